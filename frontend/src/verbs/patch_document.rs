//! Patch documents: read, checked as strictly as the client wishes, and applied to an object.
//!
//! In: the body of a PATCH and an object. Out: the changed object, or the refusal of the real server. A document is
//! read when there is an object to apply it to, since that there is none is said first. Not here: who owns what, and
//! the way to the store.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::{
    input,
    lifecycle::Proposal,
    options::{FieldValidation, WriteOptions},
    ownership,
    update::unnamed,
};
use crate::{
    api::schema::{DecodeError, Decoded, Kind, MapValue, Object, Shape, StructRef, Type, Value, apply_defaults, codec},
    cluster::Target,
    object::{
        managed_fields::FieldManager,
        patch::{FieldMerge, JsonPatch, MergeInfo, OPERATIONS_MAX, PatchError, go_print, merge_patch, strategic_merge},
        strategy,
    },
    request::{
        Warnings,
        negotiate::PatchType,
        status::{ApiError, FieldError, Reason, go_quote},
    },
};

/// A patch that may be applied more than once.
pub(super) struct Patch {
    kind: PatchType,
    body: Bytes,
    force: bool,
    validation: FieldValidation,
    warnings: Warnings,
    document: OnceLock<Result<Document, ApiError>>,
}

/// A patch document, read once.
struct Document {
    form: Form,
    /// What strict reading found in the document itself.
    strict: Vec<String>,
}

enum Form {
    Json(JsonPatch),
    Merge(Map<String, Json>),
    /// What is no object takes the place of all.
    Whole(Json),
    Strategic(Map<String, Json>),
    Apply(Value),
}

/// In front of the keys that came twice in what is applied, a line each.
const STRICT_YAML: &str = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  ";

/// In front of what is wrong with the documents of JSON and merge patches.
const DECODING: &str = "error decoding patch: ";

impl Patch {
    pub(super) fn new(kind: PatchType, body: Bytes, options: &WriteOptions, warnings: &Warnings) -> Patch {
        Patch {
            kind,
            body,
            force: options.force,
            validation: options.field_validation,
            warnings: warnings.clone(),
            document: OnceLock::new(),
        }
    }

    /// Only what is applied may be made of nothing.
    pub(super) fn may_create(&self) -> bool {
        self.kind == PatchType::ApplyYaml
    }

    /// The patched object, of the same kind.
    pub(super) fn apply(
        &self,
        target: &Target,
        kind: &Type,
        live: Option<&Object>,
        manager: FieldManager<'_>,
    ) -> Result<Proposal, ApiError> {
        let document = self.document.get_or_init(|| self.read()).as_ref().map_err(Clone::clone)?;
        if let Form::Apply(config) = &document.form {
            let applied = ownership::apply(manager, kind, live, config, self.force)?;
            self.heed(&document.strict, |lines| {
                let lines = lines.join("\n  ");
                ApiError::bad_request(format!("{STRICT_YAML}{lines}"))
            })?;
            return Ok(Proposal::Owned(applied));
        }
        match live {
            Some(live) => self.changed(target, document, live).map(Proposal::Sent),
            None => Err(ApiError::not_found(&target.group_resource(), &target.name)),
        }
    }

    fn is_strict(&self) -> bool {
        self.validation != FieldValidation::Ignore
    }

    fn read(&self) -> Result<Document, ApiError> {
        match self.kind {
            PatchType::Json => self.read_json_patch(),
            PatchType::Merge => self.read_merge_patch(),
            PatchType::StrategicMerge => self.read_strategic(),
            PatchType::ApplyYaml => self.read_configuration(),
            PatchType::ApplyCbor => Err(ApiError::internal("a type of patch that is not served")),
        }
    }

    fn json(&self, prefix: &str) -> Result<Json, ApiError> {
        serde_json::from_slice::<Json>(&self.body)
            .map_err(|error| ApiError::bad_request(format!("{prefix}{}", input::json_error(&self.body, &error))))
    }

    /// The keys that came twice, where somebody wants to know.
    fn repeated(&self, prefix: &str) -> Result<Vec<String>, ApiError> {
        if !self.is_strict() {
            return Ok(Vec::new());
        }
        match codec::decode_free_strict(&self.body) {
            Ok((_, errors)) => Ok(errors.iter().map(ToString::to_string).collect()),
            Err(DecodeError::Syntax(text)) => Err(ApiError::bad_request(format!("{prefix}{text}"))),
            Err(error) => Err(ApiError::bad_request(format!("{prefix}{error}"))),
        }
    }

    fn read_json_patch(&self) -> Result<Document, ApiError> {
        let document = self.json(if self.is_strict() { DECODING } else { "" })?;
        let mut strict = self.repeated(DECODING)?;
        if self.is_strict() {
            strict.extend(validate_operations(&document)?);
            strict.sort_by_key(|error| operation_index(error));
        }
        let strict = strict.iter().map(|error| format!("json patch {error}")).collect();
        let patch = match (self.is_strict(), &document) {
            (false, Json::Array(items))
                if let Some(other) = items.iter().find(|item| !item.is_object() && !item.is_null()) =>
            {
                return Err(type_error("", other, "jsonpatch.Operation"));
            }
            (false, other) if !other.is_array() && !other.is_null() => {
                return Err(type_error("", other, "jsonpatch.Patch"));
            }
            _ => JsonPatch::from_value(document).map_err(refusal)?,
        };
        if patch.len() > OPERATIONS_MAX {
            let limit = "The allowed maximum operations in a JSON patch is";
            return Err(ApiError::request_entity_too_large(format!("{limit} {OPERATIONS_MAX}, got {}", patch.len())));
        }
        Ok(Document { form: Form::Json(patch), strict })
    }

    fn read_merge_patch(&self) -> Result<Document, ApiError> {
        let form = match self.json(if self.is_strict() { DECODING } else { "" }) {
            Err(error) if self.is_strict() => return Err(error),
            Err(_) | Ok(Json::Null) => return Err(ApiError::bad_request("Invalid JSON Patch")),
            Ok(Json::Object(map)) => Form::Merge(map),
            Ok(other) if self.is_strict() => return Err(type_error(DECODING, &other, ANY_MAP)),
            Ok(list @ Json::Array(_)) => Form::Whole(list),
            Ok(_) => return Err(ApiError::bad_request("Invalid JSON Patch")),
        };
        Ok(Document { form, strict: self.repeated(DECODING)? })
    }

    fn read_strategic(&self) -> Result<Document, ApiError> {
        let form = match self.json("")? {
            Json::Null => Form::Strategic(Map::new()),
            Json::Object(map) => Form::Strategic(map),
            other => return Err(type_error("", &other, ANY_MAP)),
        };
        Ok(Document { form, strict: self.repeated("")? })
    }

    /// What a client applies: YAML, of which JSON is a part.
    fn read_configuration(&self) -> Result<Document, ApiError> {
        let refuse = |text: String| ApiError::bad_request(format!("error decoding YAML: {text}"));
        let read = codec::yaml_to_json(&self.body)
            .map_err(|error| refuse(format!("error converting YAML to JSON: {error}")))?;
        let config = match codec::decode_free(&read.json).map_err(|error| refuse(error.to_string()))? {
            Value::Null => Value::Map(MapValue::new()),
            Value::Map(map) => Value::Map(map),
            other => {
                let found = match other {
                    Value::List(_) => "array",
                    Value::Str(_) => "string",
                    Value::Bool(_) => "bool",
                    _ => "number",
                };
                let what = format!("json: cannot unmarshal {found} into Go value of type {ANY_MAP}");
                return Err(refuse(format!("error unmarshaling JSON: while decoding JSON: {what}")));
            }
        };
        let strict = match (&read.repeated, self.validation) {
            (None, _) => Vec::new(),
            (Some(repeated), FieldValidation::Strict) => vec![format!("error converting YAML to JSON: {repeated}")],
            (Some(repeated), _) => repeated.warnings(),
        };
        Ok(Document { form: Form::Apply(config), strict })
    }

    fn changed(&self, target: &Target, document: &Document, current: &Object) -> Result<Object, ApiError> {
        let mut json = Vec::new();
        codec::encode_json(current, &mut json);
        let original: Json = serde_json::from_slice(&json)
            .map_err(|error| ApiError::internal("an object could not be read back").with_internal(error))?;
        let kind = current.ty();
        match (&document.form, original) {
            (Form::Strategic(patch), Json::Object(original)) => {
                let info = TypeInfo::of_struct(&kind.root);
                let merged = strategic_merge(original, patch.clone(), &info).map_err(refusal)?;
                let decoded = codec::object_of_free(kind, &free(Json::Object(merged)));
                self.decoded_object(kind, document, decoded, || go_print(&Json::Object(patch.clone())))
            }
            (Form::Json(patch), original) => {
                let patched = patch.apply(&original).map_err(refusal)?;
                self.decode(target, kind, document, &patched)
            }
            (Form::Merge(patch), Json::Object(mut original)) => {
                merge_patch(&mut original, patch.clone());
                self.decode(target, kind, document, &Json::Object(original))
            }
            (Form::Whole(list), _) => self.decode(target, kind, document, list),
            (_, original) => self.decode(target, kind, document, &original),
        }
    }

    fn decode(&self, target: &Target, kind: &Type, document: &Document, patched: &Json) -> Result<Object, ApiError> {
        let text = as_go_writes(patched);
        if kind.custom.is_some() {
            input::check_patched(kind, &text)?;
        } else if let Json::Object(fields) = patched
            && fields.get("apiVersion").is_none_or(|version| version.is_null() || version == "")
        {
            return self.refuse_versionless(target, document, fields, &text);
        }
        let decoded = codec::decode_json(&target.api.schema, text.as_bytes(), Some(&kind.gvk));
        self.decoded_object(kind, document, decoded, || text)
    }

    /// A patched object without a version is read as the internal type of its kind, which has none of the fields that
    /// are served; and then it has no name.
    fn refuse_versionless(
        &self,
        target: &Target,
        document: &Document,
        fields: &Map<String, Json>,
        text: &str,
    ) -> Result<Object, ApiError> {
        let mut strict = document.strict.clone();
        let unknown = fields.keys().filter(|name| !matches!(name.as_str(), "apiVersion" | "kind"));
        strict.extend(unknown.map(|name| format!("unknown field {}", go_quote(name))));
        self.heed(&strict, |errors| {
            let detail = format!("strict decoding error: {}", errors.join(", "));
            ApiError::invalid("", "", "", vec![FieldError::invalid("patch", text, detail)])
        })?;
        Err(unnamed(target))
    }

    /// The patched document as an object of the same kind. What is wrong with it is an error of the field `patch`.
    fn decoded_object(
        &self,
        kind: &Type,
        document: &Document,
        decoded: Result<Decoded, DecodeError>,
        shown: impl FnOnce() -> String,
    ) -> Result<Object, ApiError> {
        let mut shown = Some(shown);
        let mut invalid = |detail: String| {
            let shown = shown.take().map_or_else(String::new, |shown| shown());
            ApiError::invalid("", "", "", vec![FieldError::invalid("patch", &shown, detail)])
        };
        let Decoded { mut object, warnings } = decoded.map_err(|error| invalid(error.to_string()))?;
        if object.gvk() != &kind.gvk {
            return Err(invalid(input::conversion_error(&object, kind)));
        }
        let mut strict = document.strict.clone();
        strict.extend(warnings.iter().map(ToString::to_string));
        self.heed(&strict, |errors| invalid(format!("strict decoding error: {}", errors.join(", "))))?;
        apply_defaults(&mut object);
        strategy::settle(&mut object).map_err(invalid)?;
        Ok(object)
    }

    /// Strict errors refuse the patch, become warnings, or nothing.
    fn heed(&self, strict: &[String], refuse: impl FnOnce(&[String]) -> ApiError) -> Result<(), ApiError> {
        match self.validation {
            FieldValidation::Strict if !strict.is_empty() => Err(refuse(strict)),
            FieldValidation::Warn => {
                strict.iter().for_each(|error| self.warnings.add(error.as_str()));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The patched document as Go's encoder writes it, which escapes what HTML would read.
fn as_go_writes(document: &Json) -> String {
    let mut text = String::new();
    for letter in document.to_string().chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            other => text.push(other),
        }
    }
    text
}

const ANY_MAP: &str = "map[string]interface {}";

fn type_error(prefix: &str, found: &Json, wanted: &str) -> ApiError {
    let found = json_type(found);
    ApiError::bad_request(format!("{prefix}json: cannot unmarshal {found} into Go value of type {wanted}"))
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

/// What strict reading finds in the operations of a JSON patch: members that none has, and members of the wrong type.
fn validate_operations(document: &Json) -> Result<Vec<String>, ApiError> {
    let mut unknown = Vec::new();
    for (at, operation) in document.as_array().into_iter().flatten().enumerate() {
        for (name, value) in operation.as_object().into_iter().flatten() {
            match name.as_str() {
                "op" | "path" | "from" if !value.is_string() && !value.is_null() => {
                    let found = json_type(value);
                    return Err(ApiError::bad_request(format!(
                        "{DECODING}json: cannot unmarshal {found} into Go struct field jsonPatchOp.{name} of type string"
                    )));
                }
                "op" | "path" | "from" | "value" => {}
                _ => unknown.push(format!("unknown field \"[{at}].{name}\"")),
            }
        }
    }
    Ok(unknown)
}

/// The operation that a strict error is about, for their order.
fn operation_index(error: &str) -> usize {
    let index = error.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    index.and_then(|(digits, _)| digits.parse().ok()).unwrap_or(0)
}

pub(super) fn refusal(error: PatchError) -> ApiError {
    match error {
        PatchError::Malformed(text) => ApiError::bad_request(text),
        PatchError::BadDirective(text) => ApiError::unknown(text),
        PatchError::DoesNotApply(text) => {
            ApiError::new(422, Reason::Invalid, "the server rejected our request due to an error in our request")
                .with_details(Default::default())
                .with_internal(text)
        }
    }
}

/// A document as a tree without schema. Integers that are none of 64 bits become floats.
fn free(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::MAX)),
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => Value::List(items.into_iter().map(free).collect()),
        Json::Object(map) => {
            Value::Map(MapValue::from_entries(map.into_iter().map(|(key, value)| (key.into(), free(value))).collect()))
        }
    }
}

/// What strategic merge learns from the schema.
enum TypeInfo {
    Struct(StructRef),
    /// A struct of Go without fields in JSON.
    Opaque(&'static str),
    /// No struct: what Go calls its kind.
    Other(&'static str),
}

impl TypeInfo {
    fn of_struct(def: &StructRef) -> TypeInfo {
        TypeInfo::Struct(def.clone())
    }
}

impl MergeInfo for TypeInfo {
    fn field(&self, name: &str) -> Result<FieldMerge<TypeInfo>, String> {
        let unknown =
            |owner: &str| Err(format!("unable to find api field in struct {owner} for the json field \"{name}\""));
        let def = match self {
            TypeInfo::Struct(def) => def,
            TypeInfo::Opaque(owner) => return unknown(owner),
            TypeInfo::Other(kind) => {
                return Err(format!("merging an object in json but data type is not struct, instead is: {kind}"));
            }
        };
        let Some(field) = def.field(name) else { return unknown(&def.name) };
        let inner = match (&field.kind, field.shape) {
            (_, Shape::Map) => TypeInfo::Other("map"),
            (Kind::Struct(def), _) => TypeInfo::of_struct(def),
            (Kind::Raw, _) => TypeInfo::Opaque("RawExtension"),
            (Kind::Any, _) => TypeInfo::Other("interface"),
            _ => TypeInfo::Other("string"),
        };
        let strategy = &field.merge;
        Ok(FieldMerge {
            merge: strategy.has_patch_strategy("merge"),
            replace: strategy.has_patch_strategy("replace"),
            merge_key: strategy.patch_merge_key.to_string(),
            inner,
        })
    }

    fn kind_name(&self) -> &'static str {
        match self {
            TypeInfo::Struct(_) | TypeInfo::Opaque(_) => "struct",
            TypeInfo::Other(kind) => kind,
        }
    }
}
