//! What can be done at each path, as a model that both dialects write; and the paths of discovery. Not here: the paths
//! of resources (`routes`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::definitions::Definitions;
use crate::api::{registry::Group, schema::Gvk};

/// What an answer or a request body is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// An object of this definition.
    Object(String),
    /// The same, or a stream of it.
    Watchable(String),
    /// Whatever the other side sends.
    Raw,
    /// Log lines.
    Log,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Object(String),
    Optional(String),
    Patch(String),
}

/// In which forms objects come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forms {
    Builtin,
    /// No protobuf, and no strategic merge patch; streams are not described.
    Custom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum In {
    Path,
    Query,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) location: In,
    pub(super) description: String,
    pub(super) kind: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) tag: String,
    pub(super) description: String,
    pub(super) id: String,
    /// Sorted by name.
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) responses: Vec<(u16, Content)>,
    pub(super) forms: Forms,
    /// With the kind that it acts on; none for discovery.
    pub(super) action: Option<(&'static str, Gvk)>,
}

/// What a response is called.
pub(super) fn response_text(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        _ => "Accepted",
    }
}

/// Paths in their order, each with its operations.
pub(super) type Paths = BTreeMap<String, Vec<Operation>>;

/// "rbac.authorization.k8s.io" as "rbacAuthorization"; the core group is "core".
pub(super) fn group_tag(group: &str) -> String {
    let short = group.strip_suffix(".k8s.io").unwrap_or(group);
    let mut parts = short.split(['.', '-']).filter(|p| !p.is_empty());
    let first = parts.next().unwrap_or("core").to_owned();
    parts.fold(first, |tag, part| tag + &title(part))
}

pub(super) fn title(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

/// "/api/v1" or "/apis/apps/v1".
pub(super) fn root_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// The path of a page of discovery: "api", "apis", or that of a group.
pub(super) fn of_discovery(path: &str, group: Option<&Group>, definitions: &mut Definitions<'_>) -> Paths {
    let (tag, kind, description, id) = match group {
        Some(group) => {
            let tag = group_tag(&group.name);
            let id = format!("get{}APIGroup", title(&tag));
            (tag, "APIGroup", "get information of a group", id)
        }
        None if path == "api" => {
            ("core".to_owned(), "APIVersions", "get available API versions", "getCoreAPIVersions".to_owned())
        }
        None => (path.to_owned(), "APIGroupList", "get available API versions", "getAPIVersions".to_owned()),
    };
    let content = Content::Object(definitions.meta(kind).unwrap_or_default());
    Paths::from([(format!("/{path}/"), vec![discovery_operation(&tag, description, id, content)])])
}

/// One operation that reads a page of discovery.
pub(super) fn discovery_operation(tag: &str, description: &str, id: String, content: Content) -> Operation {
    Operation {
        method: "get",
        tag: tag.to_owned(),
        description: description.to_owned(),
        id,
        parameters: Vec::new(),
        body: None,
        responses: vec![(200, content)],
        forms: Forms::Builtin,
        action: None,
    }
}

/// The operations of a path, and beside them the parameters that all of them share.
pub(super) fn path_item(
    operations: &[Operation],
    write: impl Fn(&Operation, &[Parameter]) -> Value,
    write_parameter: fn(&Parameter) -> Value,
) -> Value {
    let shared = shared_parameters(operations);
    let mut item = Map::new();
    for operation in operations {
        item.insert(operation.method.to_owned(), write(operation, &shared));
    }
    if !shared.is_empty() {
        item.insert("parameters".to_owned(), shared.iter().map(write_parameter).collect());
    }
    item.into()
}

fn shared_parameters(operations: &[Operation]) -> Vec<Parameter> {
    let Some((first, rest)) = operations.split_first() else { return Vec::new() };
    let shared = |p: &&Parameter| rest.iter().all(|o| o.parameters.contains(p));
    first.parameters.iter().filter(shared).cloned().collect()
}
