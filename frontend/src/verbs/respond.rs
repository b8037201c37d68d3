//! From what a verb has to say to the bytes that the client asked for.

use bytes::Bytes;
use http::Response;

use crate::{
    api::{
        registry::Resource,
        schema::{Object, Schema, Value, codec::Named},
        table::copy_metadata,
    },
    cluster::{Target, known_kind},
    request::{
        body::{self, Body},
        info::Query,
        negotiate::{MediaType, MetaVersion, Output, Transform},
        status::{ApiError, GroupResource, Reason},
    },
    verbs::{
        Context, encodings,
        response::{encode, response},
        table::{TableStyle, table_of_object},
    },
};

/// What a verb answers: an object, or a Status of success, and the HTTP status.
pub(super) struct Answer {
    code: u16,
    what: Shown,
}

/// An object that a client shall see.
pub(super) enum Shown {
    Object(Box<Object>),
    /// As the store holds it, at a revision; 0 where it is not stored. Only where no webhook converts.
    Stored {
        bytes: Bytes,
        revision: i64,
    },
}

impl Shown {
    pub(super) fn object(object: Object) -> Shown {
        Shown::Object(Box::new(object))
    }

    pub(super) fn into_object(self, target: &Target) -> Result<Object, ApiError> {
        match self {
            Shown::Object(object) => Ok(*object),
            Shown::Stored { bytes, revision } => target.decode_bytes(&bytes, revision),
        }
    }
}

impl Answer {
    pub(super) fn object(code: u16, object: Object) -> Answer {
        Answer::shown(code, Shown::object(object))
    }

    pub(super) fn shown(code: u16, what: Shown) -> Answer {
        Answer { code, what }
    }

    /// A Status of success about an object.
    pub(super) fn success(
        schema: &Schema,
        code: u16,
        resource: &GroupResource,
        name: &str,
        uid: &str,
    ) -> Result<Answer, ApiError> {
        let mut status = success(schema)?;
        let details =
            [("name", name), ("group", resource.group.as_ref()), ("kind", resource.resource.as_ref()), ("uid", uid)];
        for (field, text) in details.into_iter().filter(|(_, text)| !text.is_empty()) {
            status.set(&["details", field], text);
        }
        Ok(Answer::object(code, status))
    }

    /// A Status of success that says no more than its code.
    pub(super) fn done(schema: &Schema, code: u16) -> Result<Answer, ApiError> {
        let mut status = success(schema)?;
        status.set(&["code"], i64::from(code));
        Ok(Answer::object(code, status))
    }
}

/// A Status of success.
fn success(schema: &Schema) -> Result<Object, ApiError> {
    let mut status = Object::new(&known_kind(schema, "", "v1", "Status")?);
    status.set(&["metadata"], new_struct(&status, "metadata"));
    status.set(&["status"], "Success");
    Ok(status)
}

/// An empty struct for a field of the root.
fn new_struct(object: &Object, field: &str) -> Value {
    let def = object.root().def().field(field).and_then(|f| f.struct_ref());
    def.map_or(Value::Null, |def| Value::Struct(crate::api::schema::Struct::new(def)))
}

/// Writes an answer in the representation that was agreed on.
pub(super) fn respond(
    ctx: &Context,
    target: &Target,
    query: &Query,
    output: Output,
    answer: Answer,
) -> Result<Response<Body>, ApiError> {
    let Answer { code, what } = answer;
    if let (Shown::Stored { bytes, revision }, Transform::None) = (&what, output.transform) {
        let body = match output.media {
            MediaType::Json if !output.pretty => {
                let mut json = encodings::json_of_stored(target, bytes, *revision, Named::Kind)?;
                json.push(b'\n');
                Some(Bytes::from(json))
            }
            MediaType::Protobuf => Some(encodings::protobuf_of_stored(target, bytes, *revision)?),
            _ => None,
        };
        if let Some(body) = body {
            return Ok(response(code, output.media, body::full(body)));
        }
    }
    let object = what.into_object(target)?;
    let is_status = object.gvk().kind == "Status";
    let bytes = match output.transform {
        Transform::None => encode(&object, output),
        _ if is_status => encode(&object, output),
        Transform::Table(version) => table_of_object(ctx, target, &object, TableStyle::parse(query, version)?, output)?,
        Transform::PartialObjectMetadata(version) => {
            encode(&partial_metadata(&target.api.schema, &object, version)?, output)
        }
        Transform::PartialObjectMetadataList(_) => return Err(not_a_list(target)),
    };
    Ok(response(code, output.media, body::full(bytes)))
}

pub(super) fn not_a_list(target: &Target) -> ApiError {
    let kind = target.kind.gvk.kind.as_ref();
    let message = format!(
        "you requested PartialObjectMetadataList, but the requested object is not a list ({})",
        go_type(&target.resource, kind)
    );
    ApiError::new(406, Reason::NotAcceptable, message)
}

/// The type by which the original's messages name what is served.
pub(super) fn go_type(resource: &Resource, kind: &str) -> String {
    if resource.custom {
        return format!("*unstructured.Unstructured{}", if kind == resource.list_kind { "List" } else { "" });
    }
    let package = match resource.group.split('.').next() {
        None | Some("" | "events") => "core",
        Some(first) => first,
    };
    format!("*{package}.{kind}")
}

/// The object's metadata alone.
pub(super) fn partial_metadata(schema: &Schema, object: &Object, version: MetaVersion) -> Result<Object, ApiError> {
    let mut partial = Object::new(&known_kind(schema, "meta.k8s.io", "v1", "PartialObjectMetadata")?);
    partial.set(&["apiVersion"], version.api_version());
    copy_metadata(&mut partial, object);
    Ok(partial)
}
