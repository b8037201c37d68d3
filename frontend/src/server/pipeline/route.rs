//! Where an authorized request goes: a resource, discovery, health, or one of the few other paths.

use std::sync::Arc;

use http::Response;
use serde::Serialize;

use super::{Server, is_read};
use crate::{
    access::{
        Authorized,
        authn::service_account::{Documents, JWKS_PATH, OPENID_CONFIGURATION_PATH},
    },
    api::{discovery, openapi},
    cluster::Remote,
    request::{
        body::{self, Body},
        info::RequestInfo,
        negotiate::{self, Offer},
        status::ApiError,
    },
    server::{proxy, respond},
};

/// What `/version` says. Clients look at major and minor; the rest tells which program answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    major: &'static str,
    minor: &'static str,
    emulation_major: &'static str,
    emulation_minor: &'static str,
    min_compatibility_major: &'static str,
    min_compatibility_minor: &'static str,
    git_version: &'static str,
    git_commit: &'static str,
    git_tree_state: &'static str,
    build_date: &'static str,
    go_version: &'static str,
    compiler: &'static str,
    platform: String,
}

/// The Kubernetes version that is served, with this program's name as semantic versioning's build part.
pub const VERSION: &str = "v1.35.4+frontend";

fn version() -> Version {
    Version {
        major: "1",
        minor: "35",
        emulation_major: "1",
        emulation_minor: "35",
        min_compatibility_major: "1",
        min_compatibility_minor: "34",
        git_version: VERSION,
        git_commit: "",
        git_tree_state: "",
        build_date: "1970-01-01T00:00:00Z",
        go_version: "",
        compiler: "rustc",
        platform: format!("{}/{}", std::env::consts::OS, architecture()),
    }
}

/// The machine in the words of Go.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What clients of old types are told with every answer.
fn deprecation(info: &RequestInfo) -> Option<&'static str> {
    match (info.group.as_str(), info.version.as_str(), info.resource.as_str()) {
        ("", "v1", "endpoints") if info.subresource.is_empty() => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        ("", "v1", "componentstatuses") if is_read(&info.method) => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}

impl Server {
    pub(super) async fn route(&self, authorized: Authorized) -> Result<Response<Body>, ApiError> {
        let info = &authorized.request().info;
        // The router in front of all takes only paths that begin with one slash and a known word.
        if info.path.starts_with("//") {
            return Err(ApiError::page_not_found());
        }
        if let Some(remote) = self.remote(&info.path) {
            let (request, user) = authorized.into_parts();
            return Ok(proxy::forward(&self.context.cluster, &remote, request, &user).await);
        }
        if info.is_resource {
            // Only proxies take a path behind their subresource.
            if info.parts.len() > 3 && info.subresource != "proxy" {
                return Err(ApiError::resource_not_found());
            }
            if let Some(text) = deprecation(info) {
                authorized.request().notes.warnings.add(text);
            }
            return self.resources.serve(&self.context, authorized).await;
        }
        let request = authorized.request();
        if let Some(answer) = self.health.answer(&info.path, &request.query).await {
            return Ok(answer);
        }
        if let Some(page) = discovery::Page::at(&info.path) {
            return self.discover(page, &authorized);
        }
        if let Some(page) = openapi::Page::at(&info.path) {
            return self.openapi(page, &authorized);
        }
        match info.path.as_str() {
            "/" | "/index.html" => Ok(respond::raw_json(&self.paths())),
            "/version" | "/version/" if info.method == http::Method::GET => {
                negotiate::routed(&request.headers, &Offer::JSON)?;
                Ok(respond::raw_json(&version()))
            }
            "/version" | "/version/" => Err(ApiError::method_not_allowed()),
            "/metrics" => Ok(self.metrics.answer()),
            OPENID_CONFIGURATION_PATH | JWKS_PATH => self.issuer_document(&authorized),
            _ => Err(ApiError::page_not_found()),
        }
    }

    /// The aggregated server that answers a path. Its OpenAPI is at a path of its own.
    fn remote(&self, path: &str) -> Option<Arc<Remote>> {
        let aggregation = &self.context.cluster.aggregation;
        aggregation.route(path.strip_prefix("/openapi/v3").unwrap_or(path))
    }

    /// What others need to check tokens of service accounts.
    fn issuer_document(&self, authorized: &Authorized) -> Result<Response<Body>, ApiError> {
        let (info, headers) = (&authorized.request().info, &authorized.request().headers);
        if info.method != http::Method::GET {
            return Err(ApiError::method_not_allowed());
        }
        let documents = Documents::of(&self.context.access.service_accounts, &self.advertised);
        let (document, media) = match info.path.as_str() {
            JWKS_PATH => (documents.keys, "application/jwk-set+json"),
            _ => (documents.configuration, "application/json"),
        };
        let document = document.ok_or_else(ApiError::page_not_found)?;
        negotiate::routed_to(headers, &[media])?;
        let mut response = Response::new(body::full(document));
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media));
        headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("public, max-age=3600"));
        Ok(response)
    }

    fn discover(&self, page: discovery::Page<'_>, authorized: &Authorized) -> Result<Response<Body>, ApiError> {
        let request = authorized.request();
        let others = self.context.cluster.aggregation.foreign();
        let asked = discovery::Asked {
            headers: &request.headers,
            query: &request.query,
            server_address: &self.advertised,
            others: &others,
        };
        let api = self.context.cluster.api.load();
        let answer = discovery::answer(page, &api, asked);
        match answer {
            // Of two refusals the missing page comes first.
            Err(error) if error.code == 404 => Err(error),
            // The lists of groups are answered by a handler that looks at no method.
            _ if request.info.method != http::Method::GET
                && !matches!(page, discovery::Page::Groups | discovery::Page::Group(_)) =>
            {
                Err(ApiError::method_not_allowed())
            }
            answer => answer.map(|response| response.map(body::full)),
        }
    }

    fn openapi(&self, page: openapi::Page<'_>, authorized: &Authorized) -> Result<Response<Body>, ApiError> {
        let request = authorized.request();
        if !is_read(&request.info.method) && page != openapi::Page::Index {
            return Err(ApiError::method_not_allowed());
        }
        let now = self.context.cluster.clock.now();
        let aggregation = &self.context.cluster.aggregation;
        let (others, others_v2) = (aggregation.openapi(), aggregation.openapi_v2());
        let (headers, hash) = (&request.headers, request.query.get("hash"));
        let asked = openapi::Asked { headers, hash, now, others: &others, others_v2: &others_v2 };
        let answer = openapi::answer(page, &self.context.cluster.api.load(), asked);
        answer.map(|response| response.map(body::full))
    }

    fn paths(&self) -> RootPaths {
        let mut paths: Vec<String> = [
            "/.well-known/openid-configuration",
            "/api",
            "/apis",
            "/apis/",
            "/healthz",
            "/livez",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/openapi/v3/",
            "/openid/v1/jwks",
            "/readyz",
            "/version",
        ]
        .iter()
        .map(|p| (*p).to_owned())
        .collect();
        for group in self.context.cluster.api.load().registry.groups() {
            let prefix = if group.name.is_empty() { "/api".to_owned() } else { format!("/apis/{}", group.name) };
            paths.extend(group.versions.iter().map(|v| format!("{prefix}/{}", v.version)));
            paths.push(prefix);
        }
        paths.extend(self.health.paths());
        paths.sort_unstable();
        paths.dedup();
        RootPaths { paths }
    }
}

#[derive(Serialize)]
struct RootPaths {
    paths: Vec<String>,
}
