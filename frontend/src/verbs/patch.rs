//! PATCH of an object.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::{
    caller::Caller,
    input, lifecycle,
    options::{FieldValidation, OptionsKind, WriteOptions},
    respond::Answer,
    update::check_name,
    write::{self, Current, Rewrite, Step},
};
use crate::cluster::Target;
use crate::{
    api::schema::{Kind, Object, Shape, StructRef, Type, apply_defaults, codec},
    object::patch::{
        FieldMerge, JsonPatch, MergeInfo, OPERATIONS_MAX, PatchError, go_print, merge_patch, strategic_merge,
    },
    request::{
        Request, User, Warnings,
        negotiate::{self, PatchType},
        status::{ApiError, FieldError},
    },
    verbs::Context,
};

pub(super) const BUILTIN: &[PatchType] =
    &[PatchType::Json, PatchType::Merge, PatchType::StrategicMerge, PatchType::ApplyYaml];
const CUSTOM: &[PatchType] = &[PatchType::Json, PatchType::Merge, PatchType::ApplyYaml];

/// A patch document, read once.
enum Document {
    Json(JsonPatch),
    Merge(Map<String, Json>),
    Strategic(Map<String, Json>),
}

pub(super) async fn patch(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let supported = if target.resource.custom { CUSTOM } else { BUILTIN };
    let kind = patch_type(&request, supported)?;
    let body = request.body.read().await?;
    let options = WriteOptions::parse(&request.query, OptionsKind::Patch { apply: kind == PatchType::ApplyYaml })?;
    let caller = Caller { user, warnings: &request.warnings, dry_run: options.dry_run };
    let patch = Patch::new(kind, &body, options.field_validation, &request.warnings)?;
    let mut change = PatchObject { ctx, target, patch, caller };
    let written = write::apply(ctx, target, options.dry_run, &mut change).await?;
    Ok(Answer::object(200, written.object))
}

/// The router of built-in resources knows patch types by text; it answers a 415 of its own.
pub(super) fn patch_type(request: &Request, supported: &[PatchType]) -> Result<PatchType, ApiError> {
    negotiate::patch_type(&request.headers, supported).map_err(|error| {
        if supported.len() < BUILTIN.len() {
            return error;
        }
        ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with_details(Default::default())
    })
}

fn document(kind: PatchType, body: &Bytes) -> Result<Document, ApiError> {
    let decode = |prefix: &str| {
        serde_json::from_slice::<Json>(body)
            .map_err(|error| ApiError::bad_request(format!("{prefix}{}", input::json_complaint(body, &error))))
    };
    let map = |value: Json, prefix: &str| match value {
        Json::Object(map) => Ok(map),
        other => Err(ApiError::bad_request(format!(
            "{prefix}json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_type(&other)
        ))),
    };
    match kind {
        PatchType::Json => {
            let patch = JsonPatch::from_value(decode("error decoding patch: ")?).map_err(refusal)?;
            if patch.len() > OPERATIONS_MAX {
                let limit = "The allowed maximum operations in a JSON patch is";
                return Err(ApiError::request_entity_too_large(format!(
                    "{limit} {OPERATIONS_MAX}, got {}",
                    patch.len()
                )));
            }
            Ok(Document::Json(patch))
        }
        PatchType::Merge => match decode("error decoding patch: ")? {
            Json::Null => Err(ApiError::bad_request("Invalid JSON Patch")),
            value => Ok(Document::Merge(map(value, "error decoding patch: ")?)),
        },
        PatchType::StrategicMerge => match decode("")? {
            Json::Null => Ok(Document::Strategic(Map::new())),
            value => Ok(Document::Strategic(map(value, "")?)),
        },
        PatchType::ApplyYaml | PatchType::ApplyCbor => {
            Err(ApiError::new(501, "NotImplemented", "server-side apply is not implemented by this server"))
        }
    }
}

fn json_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn refusal(error: PatchError) -> ApiError {
    match error {
        PatchError::Malformed(text) => ApiError::bad_request(text),
        PatchError::BadDirective(text) => ApiError::unknown(text),
        PatchError::DoesNotApply(text) => {
            ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request")
                .with_details(Default::default())
                .with_internal(text)
        }
    }
}

/// A patch that may be applied more than once.
pub(super) struct Patch {
    document: Document,
    validation: FieldValidation,
    warnings: Warnings,
}

struct PatchObject<'a> {
    ctx: &'a Context,
    target: &'a Target,
    patch: Patch,
    caller: Caller<'a>,
}

#[async_trait]
impl Rewrite for PatchObject<'_> {
    async fn rewrite(&mut self, current: Option<&Current>) -> Result<Step, ApiError> {
        let Some(current) = current else {
            return Err(ApiError::not_found(&self.target.group_resource(), &self.target.name));
        };
        let mut object = self.patch.apply(self.target, &current.object)?;
        super::defaults::settle_namespace(self.target, &mut object)?;
        check_name(self.target, &object)?;
        input::merge_owner_references(&mut object, self.caller.warnings);
        lifecycle::change(self.ctx, self.target, object, Some(current), self.caller).await
    }
}

impl Patch {
    pub(super) fn new(
        kind: PatchType,
        body: &Bytes,
        validation: FieldValidation,
        warnings: &Warnings,
    ) -> Result<Patch, ApiError> {
        Ok(Patch { document: document(kind, body)?, validation, warnings: warnings.clone() })
    }

    /// The patched object, of the same kind.
    pub(super) fn apply(&self, target: &Target, current: &Object) -> Result<Object, ApiError> {
        let mut json = Vec::new();
        codec::encode_json(current, &mut json);
        let document: Json = serde_json::from_slice(&json)
            .map_err(|error| ApiError::internal("an object could not be read back").with_internal(error))?;
        let (patched, shown) = match (&self.document, document) {
            (Document::Json(patch), document) => {
                let patched = patch.apply(&document).map_err(refusal)?.to_string();
                (patched.clone(), patched)
            }
            (Document::Merge(patch), Json::Object(mut document)) => {
                merge_patch(&mut document, patch.clone());
                let patched = Json::Object(document).to_string();
                (patched.clone(), patched)
            }
            (Document::Strategic(patch), Json::Object(document)) => {
                let info = TypeInfo::Struct(current.ty().root.clone());
                let merged = strategic_merge(document, patch.clone(), &info).map_err(refusal)?;
                (Json::Object(merged).to_string(), go_print(&Json::Object(patch.clone())))
            }
            (_, other) => (other.to_string(), String::new()),
        };
        self.decode(target, current.ty(), &patched, &shown)
    }

    /// The patched document as an object of the same kind. What is wrong with it is an error of the field `patch`.
    fn decode(&self, target: &Target, kind: &Type, patched: &str, shown: &str) -> Result<Object, ApiError> {
        let invalid = |detail: String| ApiError::invalid("", "", "", vec![FieldError::invalid("patch", shown, detail)]);
        let decoded = codec::decode_json(&target.api.schema, patched.as_bytes(), Some(&kind.gvk))
            .map_err(|error| invalid(error.to_string()))?;
        let mut object = decoded.object;
        if object.gvk() != &kind.gvk {
            return Err(invalid(input::conversion_error(&object, kind)));
        }
        match self.validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => decoded.warnings.iter().for_each(|w| self.warnings.add(w.to_string())),
            FieldValidation::Strict if decoded.warnings.is_empty() => {}
            FieldValidation::Strict => return Err(invalid(codec::strict_message(&decoded.warnings))),
        }
        apply_defaults(&mut object);
        Ok(object)
    }
}

/// What strategic merge learns from the schema.
enum TypeInfo {
    Struct(StructRef),
    /// Maps and free trees: every key is known and merges as its value says.
    Free,
}

impl MergeInfo for TypeInfo {
    fn field(&self, name: &str) -> Option<FieldMerge<TypeInfo>> {
        let TypeInfo::Struct(def) = self else {
            return Some(FieldMerge { merge: false, replace: false, merge_key: String::new(), inner: TypeInfo::Free });
        };
        let field = def.field(name)?;
        let inner = match (&field.kind, field.shape) {
            (Kind::Struct(def), Shape::One | Shape::List) => TypeInfo::Struct(def.clone()),
            _ => TypeInfo::Free,
        };
        let strategy = &field.merge;
        Some(FieldMerge {
            merge: strategy.has_patch_strategy("merge"),
            replace: strategy.has_patch_strategy("replace"),
            merge_key: strategy.patch_merge_key.to_string(),
            inner,
        })
    }

    fn kind_name(&self) -> &'static str {
        match self {
            TypeInfo::Struct(_) => "struct",
            TypeInfo::Free => "map",
        }
    }
}
