//! The model written as OpenAPI 2.0: one document of everything.

use serde_json::{Map, Value, json};

use super::{
    API_VERSION,
    definitions::Definitions,
    dialect::Dialect,
    operations::{self, Body, Content, Forms, In, Operation, Parameter},
    routes, special,
};
use crate::api::{registry::Registry, schema::Schema};

const OBJECTS: [&str; 4] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"];
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

pub(super) fn document(schema: &Schema, registry: &Registry) -> Value {
    let mut definitions = Definitions::new(schema, Dialect::V2);
    let mut paths = Map::new();
    let mut add = |found: operations::Paths, definitions: &Definitions<'_>| {
        paths.extend(found.into_iter().map(|(path, operations)| (path, path_item(&operations, definitions))));
    };
    for path in ["api", "apis"] {
        let found = operations::of_discovery(path, None, &mut definitions);
        add(found, &definitions);
    }
    for group in registry.groups() {
        if !group.name.is_empty() && !group.is_custom() {
            let found = operations::of_discovery(&format!("apis/{}", group.name), Some(group), &mut definitions);
            add(found, &definitions);
        }
        for version in &group.versions {
            let found = routes::of_group_version(&group.name, version, &mut definitions);
            add(found, &definitions);
        }
    }
    add(version_page(&mut definitions), &definitions);
    let token = json!({"description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header"});
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": API_VERSION},
        "paths": paths,
        "definitions": definitions.finish(),
        "securityDefinitions": {"BearerToken": token},
        "security": [{"BearerToken": []}],
    })
}

fn version_page(definitions: &mut Definitions<'_>) -> operations::Paths {
    let info = Content::Object(definitions.special(special::VERSION_INFO));
    let description = "get the version information for this server";
    let operation = operations::discovery_operation("version", description, "getCodeVersion".to_owned(), info);
    operations::Paths::from([("/version/".to_owned(), vec![operation])])
}

fn path_item(operations: &[Operation], definitions: &Definitions<'_>) -> Value {
    let write = |operation: &Operation, shared: &[Parameter]| write_operation(operation, shared, definitions);
    operations::path_item(operations, write, write_parameter)
}

fn write_operation(operation: &Operation, shared: &[Parameter], definitions: &Definitions<'_>) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    let (objects, mut consumes, patches) = match operation.forms {
        Forms::Builtin => (json!(OBJECTS), json!(["*/*"]), json!(PATCHES)),
        Forms::Custom => (json!(OBJECTS[..2]), json!(OBJECTS[..2]), json!([PATCHES[0], PATCHES[1], PATCHES[3]])),
    };
    if let Some(body) = &operation.body {
        let (name, required) = match body {
            Body::Object(name) => (name, true),
            Body::Optional(name) => (name, false),
            Body::Patch(name) => {
                consumes = patches;
                (name, true)
            }
        };
        let mut parameter = json!({"name": "body", "in": "body", "schema": definitions.reference(name)});
        if required {
            parameter["required"] = true.into();
        }
        parameters.push(parameter);
    }
    parameters.extend(operation.parameters.iter().filter(|p| !shared.contains(p)).map(write_parameter));
    let mut responses = Map::new();
    for (code, content) in &operation.responses {
        let schema = match content {
            Content::Object(name) | Content::Watchable(name) => definitions.reference(name),
            Content::Raw | Content::Log => json!({"type": "string"}),
        };
        responses.insert(code.to_string(), json!({"description": operations::response_text(*code), "schema": schema}));
    }
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    let mut out = json!({
        "consumes": consumes,
        "description": operation.description,
        "operationId": operation.id,
        "produces": if operation.responses.iter().any(|(_, c)| *c == Content::Raw) { json!(["*/*"]) } else { objects },
        "responses": responses,
        "schemes": ["https"],
        "tags": [operation.tag],
    });
    if !parameters.is_empty() {
        out["parameters"] = parameters.into();
    }
    if let Some((action, gvk)) = &operation.action {
        out["x-kubernetes-action"] = (*action).into();
        out["x-kubernetes-group-version-kind"] = json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version});
    }
    out
}

fn write_parameter(parameter: &Parameter) -> Value {
    let mut out = json!({
        "description": parameter.description,
        "in": if parameter.location == In::Path { "path" } else { "query" },
        "name": parameter.name,
        "type": parameter.kind,
        "uniqueItems": true,
    });
    if parameter.location == In::Path {
        out["required"] = true.into();
    }
    out
}
