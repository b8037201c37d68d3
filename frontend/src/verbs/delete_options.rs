//! How an object is to be deleted: from the body, as JSON, YAML or protobuf, or else from the query.

use bytes::Bytes;
use prost::Message;
use serde::Deserialize;

use super::{list_options::integer, options::dry_run};
use crate::{
    api::schema::{DecodeError, Gvk, Object, Schema, codec},
    cluster::known_kind,
    request::{
        info::Query,
        negotiate::{self, MediaType, Offer},
        status::{ApiError, FieldError},
    },
};

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagation {
    Orphan,
    Background,
    Foreground,
}

#[derive(Clone, Debug, Default)]
pub(super) struct DeleteOptions {
    pub(super) grace_period_seconds: Option<i64>,
    pub(super) precondition_uid: Option<String>,
    pub(super) precondition_revision: Option<String>,
    /// The old way to say what `propagation` says.
    pub(super) orphan_dependents: Option<bool>,
    pub(super) propagation: Option<Propagation>,
    pub(super) dry_run: bool,
}

/// The options as any of the three encodings carries them. Their kind exists in every group; only its name counts.
#[derive(Clone, PartialEq, Deserialize, Message)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    #[prost(int64, optional, tag = "1")]
    grace_period_seconds: Option<i64>,
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
    #[prost(bool, optional, tag = "3")]
    orphan_dependents: Option<bool>,
    #[prost(string, optional, tag = "4")]
    propagation_policy: Option<String>,
    #[prost(string, repeated, tag = "5")]
    #[serde(deserialize_with = "null_is_empty")]
    dry_run: Vec<String>,
}

#[derive(Clone, PartialEq, Deserialize, Message)]
#[serde(default)]
struct Preconditions {
    #[prost(string, optional, tag = "1")]
    uid: Option<String>,
    #[prost(string, optional, tag = "2")]
    #[serde(rename = "resourceVersion")]
    resource_version: Option<String>,
}

/// The envelope of protobuf objects, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::<Vec<String>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

const PROTOBUF_MAGIC: &[u8] = b"k8s\0";

impl DeleteOptions {
    /// As an options object, which admission shows.
    pub(super) fn to_object(&self, schema: &Schema) -> Option<Object> {
        let mut object = Object::new(&schema.kind("meta.k8s.io", "v1", "DeleteOptions")?);
        if let Some(seconds) = self.grace_period_seconds {
            object.set(&["gracePeriodSeconds"], seconds);
        }
        for (field, value) in [("uid", &self.precondition_uid), ("resourceVersion", &self.precondition_revision)] {
            if let Some(value) = value {
                object.set(&["preconditions", field], value.as_str());
            }
        }
        if let Some(orphan) = self.orphan_dependents {
            object.set(&["orphanDependents"], orphan);
        }
        if let Some(propagation) = self.propagation {
            object.set(&["propagationPolicy"], format!("{propagation:?}"));
        }
        if self.dry_run {
            object.set(&["dryRun"], vec!["All".into()]);
        }
        Some(object)
    }

    pub(super) fn parse(headers: &http::HeaderMap, query: &Query, body: &Bytes) -> Result<DeleteOptions, ApiError> {
        let wire = if body.is_empty() {
            from_query(query)?
        } else {
            from_body(negotiate::input(headers, &Offer::DOCUMENTS)?, body)?
        };
        wire.wish().validated()
    }
}

fn from_query(query: &Query) -> Result<Wire, ApiError> {
    let precondition = |name: &str| query.non_empty(name).map(str::to_owned);
    let preconditions = Preconditions { uid: precondition("uid"), resource_version: precondition("resourceVersion") };
    Ok(Wire {
        grace_period_seconds: integer(query, "gracePeriodSeconds")?,
        preconditions: Some(preconditions),
        orphan_dependents: query.get("orphanDependents").map(|_| query.is_true("orphanDependents")),
        propagation_policy: query.get("propagationPolicy").map(str::to_owned),
        dry_run: query.all("dryRun").map(str::to_owned).collect(),
    })
}

fn from_body(media: MediaType, body: &Bytes) -> Result<Wire, ApiError> {
    let bad = |error: &dyn std::fmt::Display| ApiError::bad_request(error.to_string());
    match media {
        MediaType::Protobuf => {
            let inner = body.strip_prefix(PROTOBUF_MAGIC).ok_or_else(|| {
                ApiError::bad_request(
                    "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
                )
            })?;
            let unknown = Unknown::decode(inner).map_err(|error| bad(&error))?;
            Wire::decode(unknown.raw).map_err(|error| bad(&error))
        }
        MediaType::Json => from_json(body),
        MediaType::Yaml => from_json(&codec::yaml_to_json(body).map_err(|error| bad(&error))?.json),
    }
}

fn from_json(body: &[u8]) -> Result<Wire, ApiError> {
    const KIND: Gvk = Gvk::from_static("", "v1", "DeleteOptions");
    let schema = Schema::builtin();
    let decoded = match codec::decode_json(&schema, body, Some(&KIND)) {
        // Whichever group it says it is of.
        Err(DecodeError::UnknownKind(gvk)) if gvk.kind == KIND.kind => {
            codec::decode_json_as(&known_kind(&schema, "", "v1", "DeleteOptions")?, body)
        }
        decoded => decoded,
    };
    let object = decoded.map_err(|error| ApiError::bad_request(error.to_string()))?.object;
    if object.gvk().kind != KIND.kind {
        let found = object.gvk();
        // Only the kinds that every group shares are known where options are read.
        if schema.kind("meta.k8s.io", "v1", &found.kind).is_none() {
            // What names no version is taken for one of the kinds that all groups share.
            let unversioned = codec::find_kind(body, codec::Until::End).is_ok_and(|(version, _)| version.is_empty());
            let mut shown = found.clone();
            if unversioned {
                shown.group = "meta.k8s.io".into();
            }
            return Err(ApiError::bad_request(DecodeError::UnknownKind(shown).to_string()));
        }
        let message =
            format!("converting ({}.{}) to (v1.DeleteOptions): unknown conversion", found.version, found.kind);
        return Err(ApiError::bad_request(message));
    }
    let mut json = Vec::new();
    codec::encode_json(&object, &mut json);
    serde_json::from_slice(&json).map_err(|error| ApiError::bad_request(error.to_string()))
}

/// What a client asks for, not validated yet.
pub(super) struct Wish {
    pub(super) grace_period_seconds: Option<i64>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) orphan_dependents: Option<bool>,
    pub(super) propagation_policy: Option<String>,
    pub(super) dry_run: Vec<String>,
}

impl Wire {
    fn wish(self) -> Wish {
        let preconditions = self.preconditions.unwrap_or_default();
        Wish {
            grace_period_seconds: self.grace_period_seconds,
            uid: preconditions.uid,
            resource_version: preconditions.resource_version,
            orphan_dependents: self.orphan_dependents,
            propagation_policy: self.propagation_policy,
            dry_run: self.dry_run,
        }
    }
}

impl Wish {
    pub(super) fn validated(self) -> Result<DeleteOptions, ApiError> {
        let mut errors = Vec::new();
        if self.propagation_policy.is_some() && self.orphan_dependents.is_some() {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid(
                "propagationPolicy",
                self.propagation_policy.as_deref().unwrap_or_default(),
                detail,
            ));
        }
        let propagation = match self.propagation_policy.as_deref() {
            None => None,
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Background") => Some(Propagation::Background),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(FieldError::not_supported("propagationPolicy", other, &known));
                None
            }
        };
        let dry_run = dry_run(self.dry_run.iter().map(String::as_str), &mut errors);
        if !errors.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", errors));
        }
        Ok(DeleteOptions {
            grace_period_seconds: self.grace_period_seconds.map(|s| if s < 0 { 1 } else { s }),
            precondition_uid: self.uid,
            precondition_revision: self.resource_version,
            orphan_dependents: self.orphan_dependents,
            propagation,
            dry_run,
        })
    }
}
