//! Aggregated discovery: everything of /api or /apis in one APIGroupDiscoveryList, with an ETag.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::{
    document::{Asked, encode, respond, write},
    foreign::{Foreign, MergedGroup, MergedVersion, merged, of_group},
    legacy::names,
};
use crate::{
    api::{
        Api,
        registry::{KeptDocument, Name, Registry, Resource, Subresource},
        schema::Gvk,
    },
    request::{
        negotiate::{self, MediaType, Output, Transform},
        status::ApiError,
    },
};

const LIST: Gvk = Gvk::from_static("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList");
const SUFFIX: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata<'a>,
    items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

#[derive(Serialize)]
struct Item<'a> {
    metadata: Metadata<'a>,
    versions: Vec<Version<'a>>,
}

#[derive(Serialize)]
struct Version<'a> {
    version: &'a str,
    resources: Entries<'a>,
    freshness: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entries<'a> {
    Own(Vec<Entry<'a>>),
    /// As another server tells them.
    Foreign(&'a serde_json::Value),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    resource: &'a str,
    response_kind: Kind<'a>,
    scope: &'static str,
    singular_resource: &'a str,
    verbs: Vec<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'a [Name],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'a [Name],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subresources: Vec<Sub<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sub<'a> {
    subresource: &'a str,
    response_kind: Kind<'a>,
    verbs: Vec<&'static str>,
}

#[derive(Serialize)]
struct Kind<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
}

/// Whether the client's first acceptable choice is the aggregated form, and in which encoding.
pub(super) fn wanted(asked: Asked<'_>) -> Option<Output> {
    let accept = first(asked.headers, &header::ACCEPT)?;
    let mut choices: Vec<(f64, Option<MediaType>)> = Vec::new();
    for clause in accept.split(',') {
        let mut pieces = clause.split(';').map(str::trim);
        let media = match pieces.next()? {
            "application/json" | "application/*" | "*/*" => MediaType::Json,
            "application/yaml" => MediaType::Yaml,
            "application/vnd.kubernetes.protobuf" => MediaType::Protobuf,
            _ => continue,
        };
        let params: Vec<(&str, &str)> = pieces.filter_map(|p| p.split_once('=')).collect();
        let param = |name| params.iter().rev().find(|(n, _)| *n == name).map(|(_, value)| *value);
        let quality = param("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
        match (param("g"), param("v"), param("as")) {
            (None, None, None) => choices.push((quality, None)),
            (Some("apidiscovery.k8s.io"), Some("v2"), Some("APIGroupDiscoveryList")) => {
                choices.push((quality, Some(media)));
            }
            _ => {}
        }
    }
    // A stable sort: of equal qualities the first one written wins.
    choices.sort_by(|a, b| b.0.total_cmp(&a.0));
    let media = choices.first()?.1?;
    let pretty = negotiate::is_pretty(asked.headers, asked.query);
    Some(Output { media, pretty, transform: Transform::None })
}

pub(super) fn answer(core: bool, api: &Api, asked: Asked<'_>, output: Output) -> Result<Response<Bytes>, ApiError> {
    let name = if core { "discovery/api" } else { "discovery/apis" };
    // What other servers tell changes without the snapshot.
    let document = match asked.others {
        [] => api.documents.get(name, || KeptDocument::new(write(&list(&api.registry, &[], core)))),
        others => KeptDocument::new(write(&list(&api.registry, others, core))),
    };
    let etag = HeaderValue::try_from(format!("\"{}\"", document.hash)).map_err(ApiError::internal)?;
    let mut response = if first(asked.headers, &header::IF_NONE_MATCH) == etag.to_str().ok() {
        let mut unchanged = Response::new(Bytes::new());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        unchanged
    } else {
        let content_type = HeaderValue::try_from(format!("{}{SUFFIX}", output.media.name()));
        let plain = output.media == MediaType::Json && !output.pretty;
        let body = if plain { document.body } else { encode(document.body.to_vec(), &api.schema, &LIST, output)? };
        respond(content_type.map_err(ApiError::internal)?, "public", body)
    };
    response.headers_mut().insert(header::ETAG, etag);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

fn first<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn list<'a>(registry: &'a Registry, others: &'a [Foreign], core: bool) -> List<'a> {
    let groups = match core {
        true => registry.group("").into_iter().map(of_group).collect(),
        false => merged(registry, others),
    };
    List {
        kind: "APIGroupDiscoveryList",
        api_version: "apidiscovery.k8s.io/v2",
        metadata: Metadata { name: "" },
        items: groups.into_iter().map(item).collect(),
    }
}

fn item(group: MergedGroup<'_>) -> Item<'_> {
    Item { metadata: Metadata { name: group.name }, versions: group.versions.into_iter().map(version).collect() }
}

fn version(version: MergedVersion<'_>) -> Version<'_> {
    match version {
        MergedVersion::Own(_, own) => Version {
            version: &own.version,
            resources: Entries::Own(own.resources.iter().map(|r| entry(r)).collect()),
            freshness: "Current",
        },
        MergedVersion::Foreign(foreign) => Version {
            version: &foreign.version,
            resources: foreign.resources.as_ref().map_or_else(|| Entries::Own(Vec::new()), Entries::Foreign),
            freshness: if foreign.is_current { "Current" } else { "Stale" },
        },
    }
}

fn entry(resource: &Resource) -> Entry<'_> {
    Entry {
        resource: &resource.plural,
        response_kind: Kind { group: "", version: "", kind: &resource.kind },
        scope: if resource.namespaced { "Namespaced" } else { "Cluster" },
        singular_resource: &resource.singular,
        verbs: names(&resource.verbs),
        short_names: &resource.short_names,
        categories: &resource.categories,
        subresources: resource.subresources.iter().map(|s| sub(resource, s)).collect(),
    }
}

/// Group and version stay empty where they are the resource's own.
fn sub<'a>(resource: &Resource, subresource: &'a Subresource) -> Sub<'a> {
    let own = subresource.group == resource.group && subresource.version == resource.version;
    let (group, version) = if own { ("", "") } else { (&*subresource.group, &*subresource.version) };
    Sub {
        subresource: &subresource.name,
        response_kind: Kind { group, version, kind: &subresource.kind },
        verbs: names(&subresource.verbs),
    }
}
