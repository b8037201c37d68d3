//! The documents behind their paths: the index, caching by hash, compression.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};

use super::{ForeignV2, foreign, proto_v2, v2, v3};
use crate::{
    api::{
        Api,
        registry::{GroupVersion, KeptDocument, Registry},
        schema::Schema,
    },
    request::status::ApiError,
};

/// A page of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// /openapi/v2
    V2,
    /// /openapi/v3
    Index,
    /// /openapi/v3/PATH
    Document(&'a str),
}

impl<'a> Page<'a> {
    pub fn at(path: &'a str) -> Option<Page<'a>> {
        match path.strip_prefix("/openapi/")? {
            "v2" => Some(Page::V2),
            "v3" => Some(Page::Index),
            rest => rest.strip_prefix("v3/").map(Page::Document),
        }
    }
}

/// What a client sent, as far as these documents depend on it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub headers: &'a HeaderMap,
    /// The query parameter `hash`: a client that names the right one may keep the answer for ever.
    pub hash: Option<&'a str>,
    pub now: Timestamp,
    /// Documents of other servers, by path, with the URLs that they name.
    pub others: &'a [(String, String)],
    /// What other servers put into version 2, the more important first.
    pub others_v2: &'a [Arc<ForeignV2>],
}

/// Pages that are neither resources nor discovery, in the index.
const OTHERS: [&str; 3] = [".well-known/openid-configuration", "openid/v1/jwks", "version"];

/// Answers a GET.
pub fn answer(page: Page<'_>, api: &Api, asked: Asked<'_>) -> Result<Response<Bytes>, ApiError> {
    let form = wanted(asked.headers, page == Page::V2);
    let document = match page {
        Page::Index => return index(api, asked.others),
        Page::V2 => {
            let whole = || foreign::merged(v2::document(&api.schema, &api.registry), asked.others_v2);
            let hash = foreign::hash(&hash(api, "v2"), asked.others_v2);
            Some(match form {
                Some(Form::Protobuf) => kept(api, "v2.pb", hash, || proto_v2::document(&whole())),
                _ => kept(api, "v2", hash, || text(whole())),
            })
        }
        Page::Document(path) => {
            let path = path.strip_suffix('/').unwrap_or(path);
            let made = || generate(api, path).map(text).unwrap_or_default();
            is_document(&api.registry, path).then(|| kept(api, path, hash(api, path), made))
        }
    };
    let Some(document) = document else { return Ok(bare(StatusCode::NOT_FOUND)) };
    let Some(form) = form else {
        let mut refusal = bare(StatusCode::NOT_ACCEPTABLE);
        vary(&mut refusal, page);
        return Ok(refusal);
    };
    let hash = asked.hash.filter(|hash| !hash.is_empty());
    let etag = format!("\"{}\"", document.hash);
    if page != Page::V2 && hash.is_some_and(|hash| hash != document.hash) {
        return redirect(page, &document.hash);
    }
    let matches = asked.headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let unchanged = matches.is_some_and(|tags| tags.split(',').any(|t| t.trim() == etag || t.trim() == "*"));
    let mut response = if unchanged { bare(StatusCode::NOT_MODIFIED) } else { body(document, form, page, asked)? };
    vary(&mut response, page);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::try_from(etag).map_err(ApiError::internal)?);
    if page != Page::V2 && hash.is_some() {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        let year = jiff::SignedDuration::from_hours(365 * 24);
        let expires = asked.now.checked_add(year).unwrap_or(asked.now);
        headers.insert(header::EXPIRES, http_time(expires)?);
    }
    Ok(response)
}

/// What an answer depends on, as the original says it: of encodings it speaks for version 2 alone.
fn vary(response: &mut Response<Bytes>, page: Page<'_>) {
    if page == Page::V2 {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
}

/// A wrong hash is told the right one.
fn redirect(page: Page<'_>, hash: &str) -> Result<Response<Bytes>, ApiError> {
    let Page::Document(path) = page else { return Ok(bare(StatusCode::NOT_FOUND)) };
    let mut moved = bare(StatusCode::MOVED_PERMANENTLY);
    let location = HeaderValue::try_from(format!("/openapi/v3/{path}?hash={hash}")).map_err(ApiError::internal)?;
    moved.headers_mut().insert(header::LOCATION, location);
    Ok(moved)
}

fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A weight of 0 refuses the encoding.
fn accepts_gzip(encodings: &str) -> bool {
    let weight = |encoding: &str| {
        let (name, parameters) = encoding.split_once(';').unwrap_or((encoding, ""));
        let given = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        name.trim().eq_ignore_ascii_case("gzip").then(|| given.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    };
    encodings.split(',').filter_map(weight).next_back().is_some_and(|weight| weight > 0.0)
}

fn body(document: KeptDocument, form: Form, page: Page<'_>, asked: Asked<'_>) -> Result<Response<Bytes>, ApiError> {
    let mut response = bare(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    let encodings = asked.headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    if accepts_gzip(encodings) {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        if page != Page::V2 {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        *response.body_mut() = document.body;
    } else {
        let mut plain = Vec::new();
        GzDecoder::new(document.body.as_ref()).read_to_end(&mut plain).map_err(ApiError::internal)?;
        *response.body_mut() = plain.into();
    }
    Ok(response)
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    /// Version 2 alone.
    Protobuf,
}

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The name that the form had before it was made a valid media type; old clients ask for it.
const PROTOBUF_BEFORE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Protobuf => PROTOBUF,
        }
    }
}

/// The first form of those that a client lists which there is.
fn wanted(headers: &HeaderMap, protobuf: bool) -> Option<Form> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.is_empty() {
        return Some(Form::Json);
    }
    accept.split(',').find_map(|clause| match clause.split(';').next().unwrap_or_default().trim() {
        "*/*" | "application/*" | "application/json" => Some(Form::Json),
        PROTOBUF | PROTOBUF_BEFORE if protobuf => Some(Form::Protobuf),
        _ => None,
    })
}

fn text(document: Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

fn http_time(time: Timestamp) -> Result<HeaderValue, ApiError> {
    HeaderValue::try_from(time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()).map_err(ApiError::internal)
}

/// The document at a path of version 3; none where there is nothing.
fn generate(api: &Api, path: &str) -> Option<Value> {
    let (registry, schema) = (&api.registry, &api.schema);
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["api"] | ["apis"] => Some(v3::discovery(schema, path, None)),
        ["apis", group] => {
            let group = registry.group(group).filter(|g| !g.name.is_empty() && !g.is_custom())?;
            Some(v3::discovery(schema, path, Some(group)))
        }
        ["api", version] => Some(v3::group_version(schema, "", registry.group_version("", version)?)),
        ["apis", group, version] if !group.is_empty() => {
            Some(v3::group_version(schema, group, registry.group_version(group, version)?))
        }
        _ => v3::page(schema, path),
    }
}

/// The document of a name that exists, compressed, under the hash that the index tells. It is made anew only when what
/// it is made of has changed: definitions of other groups leave it alone.
fn kept(api: &Api, name: &str, hash: String, make: impl FnOnce() -> Vec<u8>) -> KeptDocument {
    api.openapi.get(name, hash, || {
        api.openapi.retain(|name| matches!(name, "v2" | "v2.pb") || is_document(&api.registry, name));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail.
        let compressed = gzip.write_all(&make()).and_then(|()| gzip.finish()).unwrap_or_default();
        compressed.into()
    })
}

/// Whether version 3 has a document of this name.
fn is_document(registry: &Registry, name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["api" | "apis"] => true,
        ["apis", group] => registry.group(group).is_some_and(|group| !group.name.is_empty() && !group.is_custom()),
        _ => rows(registry, &parts).is_some() || OTHERS.contains(&name),
    }
}

/// The version that a document is of.
fn rows<'a>(registry: &'a Registry, parts: &[&str]) -> Option<&'a GroupVersion> {
    match parts {
        ["api", version] => registry.group_version("", version),
        ["apis", group, version] if !group.is_empty() => registry.group_version(group, version),
        _ => None,
    }
}

/// The names of all documents of version 3.
fn names(registry: &Registry) -> impl Iterator<Item = String> {
    let groups = registry.groups().iter().flat_map(|group| {
        let root = if group.name.is_empty() { "api".to_owned() } else { format!("apis/{}", group.name) };
        let versions: Vec<String> = group.versions.iter().map(|v| format!("{root}/{}", v.version)).collect();
        (!group.is_custom()).then_some(root).into_iter().chain(versions)
    });
    groups.chain(std::iter::once("apis".to_owned())).chain(OTHERS.iter().map(|name| (*name).to_owned()))
}

fn index(api: &Api, others: &[(String, String)]) -> Result<Response<Bytes>, ApiError> {
    let body = match others {
        [] => api.documents.get("openapi/index", || KeptDocument::new(index_text(api, &[]))).body,
        others => index_text(api, others).into(),
    };
    let mut response = bare(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    *response.body_mut() = body;
    Ok(response)
}

fn index_text(api: &Api, others: &[(String, String)]) -> String {
    let own = names(&api.registry).map(|name| {
        let url = format!("/openapi/v3/{name}?hash={}", hash(api, &name));
        (name, url)
    });
    let all: BTreeMap<String, String> = own.chain(others.iter().cloned()).collect();
    let paths: Map<String, Value> =
        all.into_iter().map(|(name, url)| (name, json!({"serverRelativeURL": url}))).collect();
    json!({"paths": paths}).to_string()
}

/// The program's part in the documents: when it writes them otherwise, their hashes change.
const GENERATOR: [&[u8]; 8] = [
    include_bytes!("custom.rs"),
    include_bytes!("definitions.rs"),
    include_bytes!("facts.rs"),
    include_bytes!("operations.rs"),
    include_bytes!("routes.rs"),
    include_bytes!("special.rs"),
    include_bytes!("v2.rs"),
    include_bytes!("v3.rs"),
];

/// What all documents are made of: the program and the built-in types.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    let schema = Schema::builtin();
    let mut kinds: Vec<_> = schema.kinds().collect();
    kinds.sort_by(|a, b| a.gvk.cmp(&b.gvk));
    let mut digest = Sha512::new();
    digest.update(env!("CARGO_PKG_VERSION"));
    GENERATOR.iter().for_each(|source| digest.update(source));
    for kind in kinds {
        digest.update(format!("{:?}", kind.gvk));
        digest.update(kind.root.doc.as_bytes());
        for field in kind.root.fields.iter() {
            digest.update(field.name.as_bytes());
            digest.update(field.doc.as_bytes());
        }
    }
    format!("{:x?}", digest.finalize())
});

/// The hash of what a document is made of, so that the index need not make the documents: the program, the rows, the
/// schemas of the rows that definitions define.
fn hash(api: &Api, name: &str) -> String {
    let made = || {
        let parts: Vec<&str> = name.split('/').collect();
        let versions: Vec<&GroupVersion> = match name {
            "v2" => api.registry.groups().iter().flat_map(|group| &group.versions).collect(),
            _ => rows(&api.registry, &parts).into_iter().collect(),
        };
        let mut digest = Sha512::new();
        digest.update(PROGRAM.as_bytes());
        digest.update(name);
        for version in versions {
            sources(api, version, &mut digest);
        }
        let hash = digest.finalize().iter().map(|byte| format!("{byte:02X}")).collect();
        KeptDocument { body: Bytes::new(), hash }
    };
    api.documents.get(&format!("openapi/{name}"), made).hash
}

fn sources(api: &Api, version: &GroupVersion, digest: &mut Sha512) {
    for row in &version.resources {
        digest.update(format!("{row:?}"));
        if let Some(kind) = api.schema.kind(&row.group, &row.version, &row.kind).filter(|_| row.custom)
            && let Some(published) = kind.custom.as_ref().and_then(|node| node.published.as_ref())
        {
            digest.update(published.hash.as_bytes());
        }
    }
}
