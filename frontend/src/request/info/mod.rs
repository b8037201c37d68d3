//! What a request asks for, read from its method, path and query alone.
//!
//! In: an HTTP method and a URI. Out: a [`RequestInfo`]. Not here: whether such a resource exists (registry), whether
//! the user may (authz).

mod query;

use http::{Method, Uri};
pub use query::{Query, has_valid_escapes, percent_decode};

use crate::request::status::GroupResource;

/// The API verb of a request. For paths that are no resources it is [`Verb::Http`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
    /// The old way of proxying by a path prefix.
    Proxy,
    /// A resource path with a method that no verb stands for (OPTIONS, TRACE, ...).
    None,
    /// Not a resource: the HTTP method in lower case.
    Http,
}

/// A request's target, in the terms of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    pub is_resource: bool,
    pub verb: Verb,
    pub method: Method,
    /// The decoded path.
    pub path: String,
    /// `api` or `apis`, for resources.
    pub api_prefix: String,
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    /// Empty at cluster scope and over all namespaces. Set to its own name for a request on a namespace.
    pub namespace: String,
    pub resource: String,
    pub subresource: String,
    /// The name in the path, else empty.
    pub name: String,
    /// The single name that a list or watch selects by `metadata.name=`: authorization counts it as the name.
    pub selected_name: String,
    /// The verb came from a path prefix (`/api/v1/watch/...`).
    pub verb_via_path: bool,
    /// The path from the resource on: resource, name, subresource, and whatever follows.
    pub parts: Vec<String>,
}

/// A path that promises a resource and names none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unable to determine kind and namespace from url, {0}")]
pub struct UnknownForm(pub String);

impl RequestInfo {
    pub fn parse(method: &Method, uri: &Uri, query: &Query) -> Result<RequestInfo, UnknownForm> {
        let path = percent_decode(uri.path());
        let mut info = RequestInfo::non_resource(method, &path);
        let segments: Vec<String> = split_path(&path);
        let groupless = match segments.first().map(String::as_str) {
            Some("api") => true,
            Some("apis") => false,
            _ => return Ok(info),
        };
        let needed = if groupless { 3 } else { 4 };
        if segments.len() < 3 {
            return Ok(info);
        }
        info.api_prefix = segments[0].clone();
        if segments.len() < needed {
            return Ok(info);
        }
        let mut rest = segments.into_iter().skip(1);
        if !groupless {
            info.group = rest.next().unwrap_or_default();
        }
        info.version = rest.next().unwrap_or_default();
        info.is_resource = true;
        let mut parts: Vec<String> = rest.collect();
        info.verb = method_verb(method);
        if let Some(verb) = path_verb(&parts[0]) {
            if parts.len() < 2 {
                return Err(UnknownForm(uri.to_string()));
            }
            info.verb = verb;
            info.verb_via_path = true;
            parts.remove(0);
        }
        info.take_namespace(&mut parts);
        info.take_names(parts);
        info.settle_verb(query);
        Ok(info)
    }

    fn non_resource(method: &Method, path: &str) -> RequestInfo {
        RequestInfo {
            is_resource: false,
            verb: Verb::Http,
            method: method.clone(),
            path: path.to_owned(),
            api_prefix: String::new(),
            group: String::new(),
            version: String::new(),
            namespace: String::new(),
            resource: String::new(),
            subresource: String::new(),
            name: String::new(),
            selected_name: String::new(),
            verb_via_path: false,
            parts: Vec::new(),
        }
    }

    fn take_namespace(&mut self, parts: &mut Vec<String>) {
        if parts[0] == "namespaces" && parts.len() > 1 {
            self.namespace = parts[1].clone();
            // What follows the name is a resource of its own, except for the namespace's own subresources.
            if parts.len() > 2 && !matches!(parts[2].as_str(), "status" | "finalize") {
                parts.drain(..2);
            }
        }
    }

    fn take_names(&mut self, parts: Vec<String>) {
        if parts.len() >= 3 && self.verb != Verb::Proxy {
            self.subresource = parts[2].clone();
        }
        if parts.len() >= 2 {
            self.name = parts[1].clone();
        }
        self.resource = parts[0].clone();
        self.parts = parts;
    }

    /// Without a name a get is a list or a watch, and a delete is a collection's.
    fn settle_verb(&mut self, query: &Query) {
        if !self.name.is_empty() {
            return;
        }
        match self.verb {
            Verb::Get => {
                self.verb = if query.is_true("watch") { Verb::Watch } else { Verb::List };
                self.selected_name = query.get("fieldSelector").and_then(name_selected_by).unwrap_or_default();
            }
            Verb::Delete => self.verb = Verb::DeleteCollection,
            _ => {}
        }
    }

    /// The verb as authorization, audit and messages spell it.
    pub fn verb_name(&self) -> String {
        match self.verb {
            Verb::Get => "get".into(),
            Verb::List => "list".into(),
            Verb::Watch => "watch".into(),
            Verb::Create => "create".into(),
            Verb::Update => "update".into(),
            Verb::Patch => "patch".into(),
            Verb::Delete => "delete".into(),
            Verb::DeleteCollection => "deletecollection".into(),
            Verb::Proxy => "proxy".into(),
            Verb::None => String::new(),
            Verb::Http => self.method.as_str().to_ascii_lowercase(),
        }
    }

    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.group.clone(), self.resource.clone())
    }

    /// The name that authorization sees.
    pub fn authorized_name(&self) -> &str {
        if self.name.is_empty() { &self.selected_name } else { &self.name }
    }

    /// Requests without a deadline of their own: watches, proxies, and the streaming subresources.
    pub fn is_long_running(&self) -> bool {
        matches!(self.verb, Verb::Watch | Verb::Proxy)
            || matches!(self.subresource.as_str(), "attach" | "exec" | "proxy" | "log" | "portforward")
            || (!self.is_resource && self.path.starts_with("/debug/pprof/"))
    }
}

fn method_verb(method: &Method) -> Verb {
    match *method {
        Method::POST => Verb::Create,
        Method::GET | Method::HEAD => Verb::Get,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE => Verb::Delete,
        _ => Verb::None,
    }
}

fn path_verb(segment: &str) -> Option<Verb> {
    match segment {
        "watch" => Some(Verb::Watch),
        "proxy" => Some(Verb::Proxy),
        _ => None,
    }
}

fn split_path(path: &str) -> Vec<String> {
    match path.trim_matches('/') {
        "" => Vec::new(),
        inner => inner.split('/').map(str::to_owned).collect(),
    }
}

/// The name in `metadata.name=x` (or `==`) among the terms of a field selector, if it can be a path segment.
fn name_selected_by(selector: &str) -> Option<String> {
    let name = selector.split(',').find_map(|term| {
        let (field, value) = term.split_once('=')?;
        (field.trim() == "metadata.name").then(|| value.strip_prefix('=').unwrap_or(value).to_owned())
    })?;
    let legal = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%']);
    legal.then_some(name)
}

#[cfg(test)]
mod tests;
