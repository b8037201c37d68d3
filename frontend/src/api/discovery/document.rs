//! How the documents of discovery are asked for and written.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::foreign::Foreign;
use crate::{
    api::schema::{Gvk, Schema, codec},
    request::{
        info::Query,
        negotiate::{MediaType, Output},
        status::ApiError,
    },
};

const API_VERSION: &[u8] = b"\"apiVersion\"";

/// What a client sent, as far as discovery looks at it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub headers: &'a HeaderMap,
    pub query: &'a Query,
    /// host:port under which this server tells clients to reach it.
    pub server_address: &'a str,
    /// What other servers serve.
    pub others: &'a [Foreign],
}

pub(super) fn respond(content_type: HeaderValue, cache_control: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    response
}

/// JSON with the newline that ends every answer of the original.
pub(super) fn write(document: &impl Serialize) -> Vec<u8> {
    let mut body = serde_json::to_vec(document).unwrap_or_default();
    body.push(b'\n');
    body
}

/// The JSON of a document in the form that was agreed on.
pub(super) fn encode(json: Vec<u8>, schema: &Schema, gvk: &Gvk, output: Output) -> Result<Bytes, ApiError> {
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
