//! The model written as OpenAPI 3.0.

use serde_json::{Map, Value, json};

use super::{
    API_VERSION,
    definitions::{Definitions, Everywhere},
    dialect::Dialect,
    operations::{self, Body, Content, Forms, In, Operation, Parameter, Paths},
    routes, special,
};
use crate::api::{
    registry::{Group, GroupVersion},
    schema::Schema,
};

const JSON: &str = "application/json";
const OBJECTS: [&str; 3] = [JSON, "application/vnd.kubernetes.protobuf", "application/yaml"];
const CUSTOM_OBJECTS: [&str; 2] = [JSON, "application/yaml"];
const STREAMS: [&str; 5] = [
    JSON,
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf;stream=watch",
    "application/yaml",
];
const LOGS: [&str; 4] = [JSON, "application/vnd.kubernetes.protobuf", "application/yaml", "text/plain"];
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// The document of one group version.
pub(super) fn group_version(schema: &Schema, group: &str, version: &GroupVersion) -> Value {
    let custom = version.resources.iter().all(|resource| resource.custom);
    let everywhere = if custom { Everywhere::Clients } else { Everywhere::Builtin };
    let mut definitions = Definitions::new(schema, Dialect::V3).with_everywhere(everywhere);
    let paths = routes::of_group_version(group, version, &mut definitions);
    let mut document = document(definitions, &paths);
    if custom {
        document["info"] = json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"});
        if let Some(components) = document["components"].as_object_mut() {
            components.remove("securitySchemes");
        }
    }
    document
}

/// The document of a page of discovery: /api, /apis or one group.
pub(super) fn discovery(schema: &Schema, path: &str, group: Option<&Group>) -> Value {
    let mut definitions = Definitions::new(schema, Dialect::V3);
    let paths = operations::of_discovery(path, group, &mut definitions);
    document(definitions, &paths)
}

/// The document of one of the pages that are neither resources nor discovery.
pub(super) fn page(schema: &Schema, path: &str) -> Option<Value> {
    let mut definitions = Definitions::new(schema, Dialect::V3);
    let (tag, id, description, media, content) = match path {
        "version" => {
            let info = definitions.special(special::VERSION_INFO);
            let info = definitions.reference(&info);
            ("version", "getCodeVersion", "get the version information for this server", JSON, info)
        }
        "openid/v1/jwks" => (
            "openid",
            "getServiceAccountIssuerOpenIDKeyset",
            "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)",
            "application/jwk-set+json",
            json!({"type": "string"}),
        ),
        ".well-known/openid-configuration" => (
            "WellKnown",
            "getServiceAccountIssuerOpenIDConfiguration",
            "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
            JSON,
            json!({"type": "string"}),
        ),
        _ => return None,
    };
    let get = json!({
        "tags": [tag],
        "description": description,
        "operationId": id,
        "responses": {
            "200": {"description": "OK", "content": {media: {"schema": content}}},
            "401": {"description": "Unauthorized"},
        },
    });
    Some(wrap(definitions, json!({format!("/{path}/"): {"get": get}})))
}

fn document(definitions: Definitions<'_>, paths: &Paths) -> Value {
    let written: Map<String, Value> =
        paths.iter().map(|(path, operations)| (path.clone(), path_item(operations, &definitions))).collect();
    wrap(definitions, written.into())
}

fn wrap(definitions: Definitions<'_>, paths: Value) -> Value {
    let schemas: Map<String, Value> = definitions.finish().into_iter().collect();
    let mut components = Map::new();
    if !schemas.is_empty() {
        components.insert("schemas".to_owned(), schemas.into());
    }
    let token = json!({"type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"});
    components.insert("securitySchemes".to_owned(), json!({"BearerToken": token}));
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": API_VERSION},
        "paths": paths,
        "components": components,
    })
}

fn path_item(operations: &[Operation], definitions: &Definitions<'_>) -> Value {
    let write = |operation: &Operation, shared: &[Parameter]| write_operation(operation, shared, definitions);
    operations::path_item(operations, write, write_parameter)
}

fn write_operation(operation: &Operation, shared: &[Parameter], definitions: &Definitions<'_>) -> Value {
    let mut out = Map::new();
    out.insert("tags".to_owned(), json!([operation.tag]));
    out.insert("description".to_owned(), operation.description.as_str().into());
    out.insert("operationId".to_owned(), operation.id.as_str().into());
    let own: Vec<Value> = operation.parameters.iter().filter(|p| !shared.contains(p)).map(write_parameter).collect();
    if !own.is_empty() {
        out.insert("parameters".to_owned(), own.into());
    }
    if let Some(body) = &operation.body {
        out.insert("requestBody".to_owned(), write_body(body, operation.forms, definitions));
    }
    let mut responses = Map::new();
    for (code, content) in &operation.responses {
        responses.insert(
            code.to_string(),
            json!({"description": operations::response_text(*code), "content": write_content(content, operation.forms, definitions)}),
        );
    }
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    out.insert("responses".to_owned(), responses.into());
    if let Some((action, gvk)) = &operation.action {
        out.insert("x-kubernetes-action".to_owned(), (*action).into());
        let kind = json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind});
        out.insert("x-kubernetes-group-version-kind".to_owned(), kind);
    }
    out.into()
}

fn write_parameter(parameter: &Parameter) -> Value {
    let mut out = Map::new();
    out.insert("name".to_owned(), parameter.name.as_str().into());
    out.insert("in".to_owned(), if parameter.location == In::Path { "path" } else { "query" }.into());
    if !parameter.description.is_empty() {
        out.insert("description".to_owned(), parameter.description.as_str().into());
    }
    if parameter.location == In::Path {
        out.insert("required".to_owned(), true.into());
    }
    out.insert("schema".to_owned(), json!({"type": parameter.kind, "uniqueItems": true}));
    out.into()
}

fn write_body(body: &Body, forms: Forms, definitions: &Definitions<'_>) -> Value {
    let in_all = |media: &[&str], name: &str| -> Value {
        let schema = json!({"schema": definitions.reference(name)});
        media.iter().map(|media| ((*media).to_owned(), schema.clone())).collect::<Map<_, _>>().into()
    };
    let (objects, patches): (&[&str], &[&str]) = match forms {
        Forms::Builtin => (&["*/*"], &PATCHES),
        Forms::Custom => (&CUSTOM_OBJECTS, &PATCHES[..3]),
    };
    match body {
        Body::Object(name) => json!({"content": in_all(objects, name), "required": true}),
        Body::Optional(name) => json!({"content": in_all(objects, name)}),
        Body::Patch(name) => json!({"content": in_all(patches, name), "required": true}),
    }
}

fn write_content(content: &Content, forms: Forms, definitions: &Definitions<'_>) -> Value {
    let text = || json!({"type": "string"});
    let (media, schema): (&[&str], Value) = match content {
        Content::Object(name) | Content::Watchable(name) if forms == Forms::Custom => {
            (&CUSTOM_OBJECTS, definitions.reference(name))
        }
        Content::Object(name) => (&OBJECTS, definitions.reference(name)),
        Content::Watchable(name) => (&STREAMS, definitions.reference(name)),
        Content::Raw => (&["*/*"], text()),
        Content::Log => (&LOGS, text()),
    };
    media.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect::<Map<_, _>>().into()
}
