//! Discovery: what groups, versions and resources there are, derived from a snapshot of the registry.
//!
//! In: a path and what the client accepts. Out: a whole response, or the refusal. Not here: authorization, and methods
//! other than GET.

mod aggregated;
mod legacy;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::{
    api::{
        Api,
        schema::{Gvk, Schema, codec},
    },
    request::{
        info::Query,
        negotiate::{self, MediaType, Offer, Output},
        status::ApiError,
    },
};

const API_VERSION: &[u8] = b"\"apiVersion\"";

/// A page of discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// /api
    Core,
    /// /apis
    Groups,
    /// /apis/GROUP
    Group(&'a str),
    /// /api/v1 and /apis/GROUP/VERSION
    Resources { group: &'a str, version: &'a str },
}

impl<'a> Page<'a> {
    /// The page at a path, whether or not its group exists; a trailing slash changes nothing.
    pub fn at(path: &'a str) -> Option<Page<'a>> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["api"] => Some(Page::Core),
            ["apis"] => Some(Page::Groups),
            ["apis", group] => Some(Page::Group(group)),
            ["api", version] => Some(Page::Resources { group: "", version }),
            ["apis", group, version] => Some(Page::Resources { group, version }),
            _ => None,
        }
    }
}

/// What a client sent, as far as discovery looks at it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub headers: &'a HeaderMap,
    pub query: &'a Query,
    /// host:port under which this server tells clients to reach it.
    pub server_address: &'a str,
}

/// Answers a GET. An unknown group is a text 404, an unknown version of a known group a Status.
pub fn answer(page: Page<'_>, api: &Api, asked: Asked<'_>) -> Result<Response<Bytes>, ApiError> {
    match page {
        Page::Core | Page::Groups => {
            if let Some(output) = aggregated::wanted(asked) {
                return aggregated::answer(page == Page::Core, api, asked, output);
            }
        }
        Page::Group(group) | Page::Resources { group, .. } => {
            if api.registry.group(group).is_none_or(|_| group.is_empty() && matches!(page, Page::Group(_))) {
                return Err(ApiError::page_not_found());
            }
        }
    }
    let offer = match page {
        Page::Groups | Page::Group(_) => Offer::UNROUTED_DOCUMENTS,
        Page::Core | Page::Resources { .. } => Offer::DOCUMENTS,
    };
    let output = negotiate::output(asked.headers, asked.query, &offer)?;
    let (kind, body) = match page {
        Page::Core => ("APIVersions", write(&legacy::core_versions(asked.server_address))),
        Page::Groups => ("APIGroupList", write(&legacy::groups(&api.registry))),
        Page::Group(name) => {
            let group = api.registry.group(name).ok_or_else(ApiError::page_not_found)?;
            ("APIGroup", write(&legacy::group_page(group)))
        }
        Page::Resources { group, version } => {
            let custom = api.registry.group(group).is_some_and(|group| group.is_custom());
            let missing = if custom { ApiError::page_not_found } else { ApiError::resource_not_found };
            let found = api.registry.group_version(group, version).ok_or_else(missing)?;
            ("APIResourceList", write(&legacy::resources(group, found)))
        }
    };
    let body = encode(body, &api.schema, &Gvk::from_static("", "v1", kind), output)?;
    Ok(respond(negotiate::content_type(output.media), "no-cache, private", body))
}

fn respond(content_type: HeaderValue, cache_control: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    response
}

/// JSON with the newline that ends every answer of the original.
fn write(document: &impl Serialize) -> Vec<u8> {
    let mut body = serde_json::to_vec(document).unwrap_or_default();
    body.push(b'\n');
    body
}

/// The JSON of a document in the form that was agreed on.
fn encode(json: Vec<u8>, schema: &Schema, gvk: &Gvk, output: Output) -> Result<Bytes, ApiError> {
    if output.media == MediaType::Json && !output.pretty {
        return Ok(json.into());
    }
    if output.media == MediaType::Json {
        let value: serde_json::Value = serde_json::from_slice(&json).map_err(ApiError::internal)?;
        return Ok(serde_json::to_vec_pretty(&value).map_err(ApiError::internal)?.into());
    }
    if output.media == MediaType::Yaml {
        let mut yaml = Vec::new();
        codec::json_to_yaml(&json, &mut yaml);
        return Ok(yaml.into());
    }
    let named = json.windows(API_VERSION.len()).any(|text| text == API_VERSION);
    let decoded = codec::decode_json(schema, &json, Some(gvk));
    let object = decoded.map_err(|_| ApiError::not_acceptable(&["application/json"]))?.object;
    if named {
        return Ok(codec::encode_protobuf(&object));
    }
    Ok(unversioned(&gvk.kind, &codec::encode_protobuf_message(&object)))
}

/// The envelope of a document of the core group, which names no version.
fn unversioned(kind: &str, message: &[u8]) -> Bytes {
    let mut names = Vec::new();
    prost::encoding::string::encode(1, &String::new(), &mut names);
    prost::encoding::string::encode(2, &kind.to_owned(), &mut names);
    let mut out = b"k8s\0".to_vec();
    prost::encoding::bytes::encode(1, &names, &mut out);
    prost::encoding::bytes::encode(2, &message.to_vec(), &mut out);
    // Content encoding and content type, both empty.
    prost::encoding::string::encode(3, &String::new(), &mut out);
    prost::encoding::string::encode(4, &String::new(), &mut out);
    out.into()
}
