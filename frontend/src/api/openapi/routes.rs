//! The paths of a group version's resources: for each row of the registry what its verbs and subresources give.

use super::{
    definitions::Definitions,
    operations::{
        Body, Content, Forms, In, Operation, Parameter, Paths, discovery_operation, group_tag, root_path, title,
    },
    special,
};
use crate::api::{
    registry::{GroupVersion, Resource, Subresource, Verb},
    schema::{Gvk, Kind},
};

const LIST: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
const PATCH: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force"];
const DELETE: &[&str] = &[
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
];
const PRETTY: &str = "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or \
                      command-line HTTP tool (curl and wget).";

/// All paths of a group version; the definitions that they name are made on the way.
pub(super) fn of_group_version(group: &str, version: &GroupVersion, definitions: &mut Definitions<'_>) -> Paths {
    let mut paths = Paths::new();
    let tag = group_tag(group);
    let id = format!("{}{}", title(&tag), title(&version.version));
    let root = root_path(group, &version.version);
    let mut builder = Builder { definitions, paths: &mut paths, tag: format!("{tag}_{}", version.version), id, root };
    // Discovery of what definitions define is answered, but not described.
    if !version.resources.iter().all(|resource| resource.custom) {
        builder.discovery();
    }
    for resource in &version.resources {
        builder.resource(resource);
    }
    paths
}

struct Builder<'a, 'b> {
    definitions: &'a mut Definitions<'b>,
    paths: &'a mut Paths,
    tag: String,
    id: String,
    root: String,
}

/// What an operation is about: a collection, an object or below it.
#[derive(Clone, Copy)]
struct Endpoint<'a> {
    resource: &'a Resource,
    subresource: Option<&'a Subresource>,
    /// The path has a namespace.
    namespaced: bool,
    /// The path has a name.
    named: bool,
}

impl Endpoint<'_> {
    fn gvk(&self) -> Gvk {
        let (group, version, kind) = match self.subresource {
            Some(s) => (&s.group, &s.version, &s.kind),
            None => (&self.resource.group, &self.resource.version, &self.resource.kind),
        };
        Gvk { group: group.clone(), version: version.clone(), kind: kind.clone() }
    }

    /// "NamespacedPodStatus"
    fn id(&self) -> String {
        let namespaced = if self.resource.namespaced { "Namespaced" } else { "" };
        let below = self.subresource.map_or_else(String::new, |s| title(&s.name));
        format!("{namespaced}{}{below}", self.resource.kind)
    }
}

impl Builder<'_, '_> {
    fn discovery(&mut self) {
        let name = self.definitions.meta("APIResourceList").unwrap_or_default();
        let id = format!("get{}APIResources", self.id);
        let operation = discovery_operation(&self.tag, "get available resources", id, Content::Object(name));
        self.paths.insert(format!("{}/", self.root), vec![operation]);
    }

    fn resource(&mut self, resource: &Resource) {
        let endpoint = Endpoint { resource, subresource: None, namespaced: resource.namespaced, named: false };
        let below = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
        let collection = format!("{}/{below}{}", self.root, resource.plural);
        self.collection(endpoint, &collection);
        self.object(Endpoint { named: true, ..endpoint }, &format!("{collection}/{{name}}"));
        if resource.namespaced && resource.has_verb(Verb::List) {
            let everywhere = Endpoint { namespaced: false, ..endpoint };
            let list = self.list(everywhere, format!("list{}{}ForAllNamespaces", self.id, resource.kind));
            self.add(format!("{}/{}", self.root, resource.plural), vec![list]);
        }
        if resource.has_verb(Verb::Watch) && !resource.custom {
            self.watches(endpoint, below);
        }
        for subresource in &resource.subresources {
            let endpoint =
                Endpoint { resource, subresource: Some(subresource), namespaced: resource.namespaced, named: true };
            self.subresource(endpoint, subresource, &format!("{collection}/{{name}}/{}", subresource.name));
        }
    }

    fn add(&mut self, path: String, mut operations: Vec<Operation>) {
        let order = ["get", "put", "post", "delete", "options", "head", "patch"];
        operations.sort_by_key(|o| order.iter().position(|method| *method == o.method));
        if !operations.is_empty() {
            self.paths.insert(path, operations);
        }
    }

    fn collection(&mut self, endpoint: Endpoint<'_>, path: &str) {
        let mut operations = Vec::new();
        if endpoint.resource.has_verb(Verb::List) {
            operations.push(self.list(endpoint, format!("list{}{}", self.id, endpoint.id())));
        }
        if endpoint.resource.has_verb(Verb::Create) {
            operations.push(self.create(endpoint, format!("create {}", one(endpoint.resource))));
        }
        if endpoint.resource.has_verb(Verb::DeleteCollection) {
            let mut names: Vec<&str> =
                LIST.iter().filter(|n| !matches!(**n, "allowWatchBookmarks" | "watch")).copied().collect();
            names.extend(DELETE);
            if endpoint.resource.custom {
                names = LIST.to_vec();
            }
            let status = self.definitions.meta("Status").unwrap_or_default();
            let id = format!("delete{}Collection{}", self.id, endpoint.id());
            let options = self.definitions.meta("DeleteOptions").filter(|_| !endpoint.resource.custom);
            let body = options.map(Body::Optional);
            let description = format!("delete collection of {}", endpoint.resource.kind);
            let mut operation = self.operation(endpoint, "delete", "deletecollection", (id, description), &names);
            operation.body = body;
            operation.responses = vec![(200, Content::Object(status))];
            operations.push(operation);
        }
        self.add(path.to_owned(), operations);
    }

    fn object(&mut self, endpoint: Endpoint<'_>, path: &str) {
        let mut operations = self.read_write(endpoint, &endpoint.resource.verbs);
        if endpoint.resource.has_verb(Verb::Delete) {
            let answer = if returns_deleted(endpoint.resource) { self.object_of(endpoint) } else { None };
            let answer = answer.or_else(|| self.definitions.meta("Status")).unwrap_or_default();
            let id = format!("delete{}{}", self.id, endpoint.id());
            let body = self.definitions.meta("DeleteOptions").map(Body::Optional);
            let mut operation = self.operation(
                endpoint,
                "delete",
                "delete",
                (id, format!("delete {}", one(endpoint.resource))),
                DELETE,
            );
            operation.body = body;
            operation.responses = vec![(200, Content::Object(answer.clone())), (202, Content::Object(answer))];
            operations.push(operation);
        }
        self.add(path.to_owned(), operations);
    }

    /// Get, put and patch of an object or of a part of it.
    fn read_write(&mut self, endpoint: Endpoint<'_>, verbs: &[Verb]) -> Vec<Operation> {
        let kind = &endpoint.resource.kind;
        let part = endpoint.subresource.map_or_else(String::new, |s| format!("{} of ", s.name));
        let what = format!("{part}the specified {kind}");
        let object = self.object_of(endpoint).unwrap_or_default();
        let mut operations = Vec::new();
        if verbs.contains(&Verb::Get) {
            let id = format!("read{}{}", self.id, endpoint.id());
            let options: &[&str] = if endpoint.resource.custom { &["resourceVersion"] } else { &[] };
            let mut read = self.operation(endpoint, "get", "get", (id, format!("read {what}")), options);
            read.responses = vec![(200, Content::Object(object.clone()))];
            operations.push(read);
        }
        let twice = || vec![(200, Content::Object(object.clone())), (201, Content::Object(object.clone()))];
        if verbs.contains(&Verb::Update) {
            let id = format!("replace{}{}", self.id, endpoint.id());
            let mut replace = self.operation(endpoint, "put", "put", (id, format!("replace {what}")), WRITE);
            replace.body = Some(Body::Object(object.clone()));
            replace.responses = twice();
            operations.push(replace);
        }
        if verbs.contains(&Verb::Patch) {
            let id = format!("patch{}{}", self.id, endpoint.id());
            let mut patch = self.operation(endpoint, "patch", "patch", (id, format!("partially update {what}")), PATCH);
            patch.body = Some(Body::Patch(self.definitions.special(special::PATCH)));
            patch.responses = twice();
            if endpoint.resource.custom {
                patch.responses.truncate(1);
            }
            operations.push(patch);
        }
        operations
    }

    fn list(&mut self, endpoint: Endpoint<'_>, id: String) -> Operation {
        let resource = endpoint.resource;
        let list = self.definitions.kind(&resource.group, &resource.version, &resource.list_kind);
        let description = format!(
            "list {}objects of kind {}",
            if resource.has_verb(Verb::Watch) && !resource.custom { "or watch " } else { "" },
            resource.kind
        );
        let mut operation = self.operation(endpoint, "get", "list", (id, description), LIST);
        operation.responses = vec![(200, Content::Watchable(list.unwrap_or_default()))];
        operation
    }

    fn create(&mut self, endpoint: Endpoint<'_>, description: String) -> Operation {
        let object = self.object_of(endpoint).unwrap_or_default();
        let id = format!("create{}{}", self.id, endpoint.id());
        let mut operation = self.operation(endpoint, "post", "post", (id, description), WRITE);
        operation.body = Some(Body::Object(object.clone()));
        operation.responses = [200, 201, 202].map(|code| (code, Content::Object(object.clone()))).to_vec();
        operation
    }

    fn watches(&mut self, endpoint: Endpoint<'_>, below: &str) {
        let (kind, plural) = (&endpoint.resource.kind, &endpoint.resource.plural);
        let event = self.definitions.meta("WatchEvent").unwrap_or_default();
        let list_note = format!(
            "watch individual changes to a list of {kind}. deprecated: use the 'watch' parameter with a list operation instead."
        );
        let one_note = format!(
            "watch changes to an object of kind {kind}. deprecated: use the 'watch' parameter with a list operation instead, \
             filtered to a single item with the 'fieldSelector' parameter."
        );
        let mut forms = vec![
            (
                endpoint,
                format!("{below}{plural}"),
                "watchlist",
                format!("watch{}{}List", self.id, endpoint.id()),
                list_note.clone(),
            ),
            (
                Endpoint { named: true, ..endpoint },
                format!("{below}{plural}/{{name}}"),
                "watch",
                format!("watch{}{}", self.id, endpoint.id()),
                one_note,
            ),
        ];
        if endpoint.resource.namespaced {
            let everywhere = Endpoint { namespaced: false, ..endpoint };
            let id = format!("watch{}{kind}ListForAllNamespaces", self.id);
            forms.push((everywhere, plural.to_string(), "watchlist", id, list_note));
        }
        for (endpoint, path, action, id, description) in forms {
            let mut operation = self.operation(endpoint, "get", action, (id, description), LIST);
            operation.responses = vec![(200, Content::Watchable(event.clone()))];
            self.add(format!("{}/watch/{path}", self.root), vec![operation]);
        }
    }

    fn subresource(&mut self, endpoint: Endpoint<'_>, subresource: &Subresource, path: &str) {
        match subresource.name.as_ref() {
            "proxy" => {
                let methods = ["get", "put", "post", "delete", "options", "head", "patch"];
                self.connect(endpoint, &methods, path, "");
                self.connect(endpoint, &methods, &format!("{path}/{{path}}"), "WithPath");
            }
            "exec" | "attach" | "portforward" => self.connect(endpoint, &["get", "post"], path, ""),
            "log" => {
                let id = format!("read{}{}", self.id, endpoint.id());
                let description = format!("read log of the specified {}", endpoint.resource.kind);
                let mut operation = self.operation(endpoint, "get", "get", (id, description), &[]);
                operation.parameters.extend(self.fields_of("PodLogOptions"));
                operation.parameters.sort_by(|a, b| a.name.cmp(&b.name));
                operation.responses = vec![(200, Content::Log)];
                self.add(path.to_owned(), vec![operation]);
            }
            _ => {
                let mut operations = self.read_write(endpoint, &subresource.verbs);
                if subresource.verbs.contains(&Verb::Create) {
                    let description = format!("create {} of {}", subresource.name, one(endpoint.resource));
                    operations.push(self.create(endpoint, description));
                }
                self.add(path.to_owned(), operations);
            }
        }
    }

    /// Operations whose connection is handed on; they take the options' fields and never `pretty`.
    fn connect(&mut self, endpoint: Endpoint<'_>, methods: &[&'static str], path: &str, suffix: &str) {
        let Some(subresource) = endpoint.subresource else { return };
        let mut operations = Vec::new();
        for method in methods {
            let id = format!("connect{}{}{}{suffix}", self.id, title(method), endpoint.id());
            let upper = method.to_ascii_uppercase();
            let description = format!("connect {upper} requests to {} of {}", subresource.name, endpoint.resource.kind);
            let mut operation = self.operation(endpoint, method, "connect", (id, description), &[]);
            operation.parameters.retain(|p| p.name != "pretty");
            operation.parameters.extend(self.fields_of(&subresource.kind));
            if !suffix.is_empty() {
                operation.parameters.push(Parameter {
                    name: "path".to_owned(),
                    location: In::Path,
                    description: "path to the resource".to_owned(),
                    kind: "string",
                });
            }
            operation.parameters.sort_by(|a, b| (&a.name, a.location).cmp(&(&b.name, b.location)));
            operation.responses = vec![(200, Content::Raw)];
            operations.push(operation);
        }
        self.add(path.to_owned(), operations);
    }

    fn object_of(&mut self, endpoint: Endpoint<'_>) -> Option<String> {
        let gvk = endpoint.gvk();
        self.definitions.kind(&gvk.group, &gvk.version, &gvk.kind)
    }

    /// An operation with the parameters that its endpoint and its options give it.
    fn operation(
        &mut self,
        endpoint: Endpoint<'_>,
        method: &'static str,
        action: &'static str,
        (id, description): (String, String),
        options: &[&str],
    ) -> Operation {
        // What is below a custom resource acts on its own kind, also where another kind is written.
        let own = Endpoint { subresource: endpoint.subresource.filter(|_| !endpoint.resource.custom), ..endpoint };
        let gvk = own.gvk();
        let mut parameters: Vec<Parameter> = options.iter().map(|name| self.option(name, action)).collect();
        let mut add = |name: &str, location, description: String| {
            parameters.push(Parameter { name: name.to_owned(), location, description, kind: "string" });
        };
        add("pretty", In::Query, PRETTY.to_owned());
        if endpoint.named {
            add("name", In::Path, format!("name of the {}", gvk.kind));
        }
        if endpoint.namespaced {
            add("namespace", In::Path, "object name and auth scope, such as for teams and projects".to_owned());
        }
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        Operation {
            method,
            tag: self.tag.clone(),
            description,
            id,
            parameters,
            body: None,
            responses: Vec::new(),
            forms: if endpoint.resource.custom { Forms::Custom } else { Forms::Builtin },
            action: Some((action, gvk)),
        }
    }

    /// A query parameter as the options of meta/v1 describe it.
    fn option(&self, name: &str, action: &str) -> Parameter {
        let write = if action == "patch" { "PatchOptions" } else { "CreateOptions" };
        let kinds = ["ListOptions", write, "DeleteOptions"];
        let found = kinds.into_iter().find_map(|kind| self.field(("meta.k8s.io", kind), name));
        found.unwrap_or_else(|| Parameter {
            name: name.to_owned(),
            location: In::Query,
            description: String::new(),
            kind: "string",
        })
    }

    fn field(&self, (group, kind): (&str, &str), name: &str) -> Option<Parameter> {
        let root = &self.definitions.schema().kind(group, "v1", kind)?.root;
        root.field(name).map(parameter)
    }

    /// The fields of an options kind of core v1.
    fn fields_of(&self, kind: &str) -> Vec<Parameter> {
        let Some(found) = self.definitions.schema().kind("", "v1", kind) else { return Vec::new() };
        // A time cannot be given in a query.
        let fields = found.root.fields.iter();
        let usable = fields.filter(|f| !matches!(f.name.as_ref(), "kind" | "apiVersion") && f.kind != Kind::Time);
        usable.map(parameter).collect()
    }
}

fn parameter(field: &crate::api::schema::Field) -> Parameter {
    let kind = match field.kind {
        Kind::Bool => "boolean",
        Kind::Int32 | Kind::Int64 => "integer",
        _ => "string",
    };
    Parameter { name: field.name.to_string(), location: In::Query, description: field.doc.to_string(), kind }
}

/// The kind with its article; kinds that are plurals themselves have none.
fn one(resource: &Resource) -> String {
    let kind = &resource.kind;
    match kind.chars().next() {
        _ if resource.plural == resource.singular => kind.to_string(),
        Some('A' | 'E' | 'I' | 'O' | 'U') => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// Resources whose DELETE answers with the object rather than with a Status.
fn returns_deleted(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_ref(), resource.plural.as_ref()),
        ("", "persistentvolumeclaims" | "persistentvolumes" | "pods" | "podtemplates" | "resourcequotas")
            | ("", "serviceaccounts" | "services")
            | (
                "storage.k8s.io",
                "csidrivers" | "csinodes" | "storageclasses" | "volumeattachments" | "volumeattributesclasses"
            )
            | ("resource.k8s.io", _)
    )
}
