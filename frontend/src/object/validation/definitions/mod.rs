//! CustomResourceDefinitions validated: names, versions, schemas, columns, conversion, and the approval of protected
//! groups.
//!
//! In: a definition, and what it replaces. Out: field errors. The original validates its inner form, in which what all
//! versions share stands once at the top; its paths show it. Not here: the objects of definitions (`custom`).

mod approval;
mod columns;
mod conversion;
mod defaults;
mod leniency;
mod names;
mod openapi;
mod rules;
mod schemas;
mod structural;
mod tree;

use self::leniency::Leniency;
use super::{meta, names as forms, print};
use crate::{
    api::schema::{Object, Schema, Value, convert},
    request::status::FieldError,
};

pub use approval::{approval, is_protected_group};

/// The definition in the form that is validated.
fn inner(object: &Object) -> Object {
    let kind = Schema::builtin().kind("apiextensions.k8s.io", "v1beta1", "CustomResourceDefinition");
    let mut inner = kind.map_or_else(|| object.clone(), |kind| convert(object, &kind));
    // Only the oldest clients name one version at the top.
    inner.remove(&["spec", "version"]);
    inner
}

pub(super) fn validate_create(object: &Object) -> Vec<FieldError> {
    let definition = inner(object);
    let wanted =
        format!("{}.{}", text(&definition, &["spec", "names", "plural"]), text(&definition, &["spec", "group"]));
    let mut errors = meta::validate(object, false, forms::subdomain_name);
    if object.name() != wanted && !object.name().is_empty() {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        let at = errors.iter().rposition(|error| error.field == "metadata.name").map_or(0, |at| at + 1);
        errors.insert(at, FieldError::invalid("metadata.name", object.name(), detail));
    }
    errors.extend(spec(&definition, Leniency::default()));
    errors.extend(status(&definition));
    errors.extend(stored_versions(&definition));
    errors.extend(approval::validate(object, None));
    errors.extend(preserve_unknown(&definition, None));
    errors
}

pub(super) fn validate_update(object: &Object, old: &Object) -> Vec<FieldError> {
    let (definition, before) = (inner(object), inner(old));
    let mut errors = changed_metadata(object, old);
    errors.extend(spec(&definition, leniency(&before)));
    errors.extend(conversion::validate_authorities(&definition, &before));
    let mut frozen = vec![("group", ["spec", "group", ""]), ("names.plural", ["spec", "names", "plural"])];
    if crate::api::custom::is_true(old, "Established") {
        frozen.splice(0..0, [("scope", ["spec", "scope", ""]), ("names.kind", ["spec", "names", "kind"])]);
    }
    for (field, path) in frozen {
        let path: Vec<&str> = path.into_iter().filter(|name| !name.is_empty()).collect();
        let (new, known) = (text(&definition, &path), text(&before, &path));
        if new != known {
            errors.push(FieldError::invalid(format!("spec.{field}"), new, "field is immutable"));
        }
    }
    errors.extend(status(&definition));
    errors.extend(stored_versions(&definition));
    errors.extend(approval::validate(object, Some(old)));
    errors.extend(preserve_unknown(&definition, Some(&before)));
    errors
}

pub(super) fn validate_status_update(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = changed_metadata(object, old);
    errors.extend(status(&inner(object)));
    errors
}

/// First what is asked of every kind, then what definitions ask, which is the same: causes show it.
fn changed_metadata(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = meta::validate(object, false, forms::path_segment_name);
    errors.extend(meta::validate_update(object, old));
    errors.extend(meta::validate_update(object, old));
    errors
}

/// What clients are told: formats that nobody checks, where they are new.
pub(super) fn warnings(object: &Object, old: Option<&Object>) -> Vec<String> {
    let formats = |object: &Object| -> Vec<String> {
        let definition = inner(object);
        let mut found = Vec::new();
        for (_, schema) in tree::all(&definition) {
            tree::each(schema, &mut |schema| {
                let text = |field: &str| schema.child(field).and_then(Value::as_str).unwrap_or_default();
                if super::custom::formats::is_unrecognized(text("type"), text("format")) {
                    found.push(text("format").to_owned());
                }
            });
        }
        found
    };
    let known = old.map(formats).unwrap_or_default();
    let mut new = formats(object);
    new.retain(|format| !known.contains(format));
    new.iter().map(|format| format!("unrecognized format {}", crate::request::status::go_quote(format))).collect()
}

/// Whether the webhook of a definition has authorities that nobody could be trusted by.
pub fn has_bad_authorities(object: &Object) -> bool {
    conversion::authorities_error(&inner(object)).is_some()
}

/// What keeps a definition's schemas from being structural; none when they are.
pub fn structural_violations(object: &Object) -> Option<String> {
    let mut errors = Vec::new();
    if object.get_bool(&["spec", "preserveUnknownFields"]) == Some(true) {
        errors.push(FieldError::invalid_value("spec.preserveUnknownFields", true, "must be false"));
    }
    let versions = object.get_list(&["spec", "versions"]).unwrap_or_default();
    for (at, version) in versions.iter().enumerate() {
        if let Some(schema) = version.at(&["schema", "openAPIV3Schema"]) {
            errors.extend(structural::validate(schema, &format!("spec.versions[{at}].schema.openAPIV3Schema")));
        }
    }
    crate::request::status::aggregate(&errors)
}

fn leniency(before: &Object) -> Leniency<'_> {
    let any = |test: &dyn Fn(&Value) -> bool| tree::all(before).into_iter().any(|(_, schema)| test(schema));
    let each = |test: &dyn Fn(&Value) -> bool| {
        let mut found = false;
        tree::all(before).into_iter().for_each(|(_, schema)| tree::each(schema, &mut |each| found |= test(each)));
        found
    };
    let versions = before.get_list(&["spec", "versions"]).unwrap_or_default().len();
    let at_top = before.get(&["spec", "validation", "openAPIV3Schema"]).is_some();
    let review_versions = conversion::review_versions(before);
    Leniency {
        before: Some(before),
        schemas_may_be_absent: !at_top && tree::all(before).len() < versions,
        schemas_may_be_unstructured: any(&|schema| !structural::validate(schema, "").is_empty()),
        defaults_may_be_unpruned: any(&|schema| defaults::has_unpruned(schema)),
        sets_may_hold_maps: each(&openapi::is_set_of_maps),
        keys_may_be_loose: each(&|schema| !openapi::map_keys(schema, "").is_empty()),
        types_may_be_unknown: each(&|schema| !openapi::has_known_type(schema)),
        review_versions_may_be_unknown: !review_versions.is_empty() && !conversion::has_known(&review_versions),
    }
}

fn text<'o>(object: &'o Object, path: &[&str]) -> &'o str {
    object.get_str(path).unwrap_or_default()
}

fn spec(definition: &Object, lenient: Leniency<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let group = text(definition, &["spec", "group"]);
    let messages = forms::subdomain_name(group, false);
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !messages.is_empty() {
        errors.push(FieldError::invalid("spec.group", group, messages.join(",")));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid("spec.group", group, "should be a domain with at least one dot"));
    }
    match text(definition, &["spec", "scope"]) {
        "" => errors.push(FieldError::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => errors.push(FieldError::not_supported("spec.scope", other, &["Cluster", "Namespaced"])),
    }
    errors.extend(schemas::present(definition, lenient));
    errors.extend(versions(definition, lenient));
    errors.extend(names::required(definition));
    errors.extend(names::validate(definition.get(&["spec", "names"]), "spec.names"));
    if let Some(schema) = definition.get(&["spec", "validation", "openAPIV3Schema"]) {
        let status = schemas::any_status(definition);
        errors.extend(schemas::validate(schema, "spec.validation", status, lenient));
    }
    errors.extend(columns::subresources(definition.get(&["spec", "subresources"]), "spec.subresources"));
    let at_top = definition.get_list(&["spec", "additionalPrinterColumns"]).unwrap_or_default();
    errors.extend(columns::printer(at_top, "spec.additionalPrinterColumns"));
    let selectable = definition.get_list(&["spec", "selectableFields"]).unwrap_or_default();
    if !selectable.is_empty() {
        match definition.get(&["spec", "validation", "openAPIV3Schema"]) {
            Some(schema) => errors.extend(columns::selectable(selectable, schema, "spec.selectableFields")),
            None => errors.push(FieldError::invalid(
                "spec.selectableFields",
                "",
                "may only be set when validations.schema is included",
            )),
        }
    }
    errors.extend(conversion::validate(definition, lenient));
    errors
}

fn versions(definition: &Object, lenient: Leniency<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let given = definition.get_list(&["spec", "versions"]);
    let versions = given.unwrap_or_default();
    let is = |version: &Value, flag: &str| version.child(flag).and_then(Value::as_bool).unwrap_or(false);
    let mut seen: Vec<&str> = Vec::new();
    let mut unique = true;
    for (at, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{at}]");
        let name = version.child("name").and_then(Value::as_str).unwrap_or_default();
        unique &= !seen.contains(&name);
        seen.push(name);
        let messages = forms::label_1035_name(name, false);
        if !messages.is_empty() {
            errors.push(FieldError::invalid(format!("{path}.name"), name, messages.join(",")));
        }
        errors.extend(deprecation(version, is(version, "deprecated"), &path));
        if let Some(schema) = version.at(&["schema", "openAPIV3Schema"]) {
            let status = schemas::has_status(definition, version);
            errors.extend(schemas::validate(schema, &format!("{path}.schema"), status, lenient));
        }
        errors.extend(columns::subresources(version.child("subresources"), &format!("{path}.subresources")));
        let own = version.child("additionalPrinterColumns").and_then(Value::as_list).unwrap_or_default();
        errors.extend(columns::printer(own, &format!("{path}.additionalPrinterColumns")));
        let fields = version.child("selectableFields").and_then(Value::as_list).unwrap_or_default();
        if let (false, Some(schema)) = (fields.is_empty(), version.at(&["schema", "openAPIV3Schema"])) {
            errors.extend(columns::selectable(fields, schema, &format!("{path}.selectableFields")));
        } else if !fields.is_empty() {
            let detail = "may only be set when `version.schema.openAPIV3Schema` is not included";
            errors.push(FieldError::invalid(format!("{path}.selectableFields"), "", detail));
        }
    }
    let mut refuse = |detail: &str| {
        let shown = given.map_or_else(|| "null".to_owned(), shown_versions);
        errors.push(FieldError::invalid_value("spec.versions", shown, detail));
    };
    if !unique {
        refuse("must contain unique version names");
    }
    if versions.iter().filter(|version| is(version, "storage")).count() != 1 {
        refuse("must have exactly one version marked as storage version");
    }
    // The original also has the first version's name at the top.
    let messages = seen.first().map(|first| forms::label_1035_name(first, false)).unwrap_or_default();
    if let (Some(first), false) = (seen.first(), messages.is_empty()) {
        errors.push(FieldError::invalid("spec.version", first, messages.join(",")));
    }
    errors
}

/// Versions as the original's inner type prints, whose columns stand at its end.
fn shown_versions(versions: &[Value]) -> String {
    print::printed(Some(&Value::List(versions.to_vec())))
}

fn deprecation(version: &Value, deprecated: bool, path: &str) -> Vec<FieldError> {
    let Some(warning) = version.child("deprecationWarning").and_then(Value::as_str) else { return Vec::new() };
    let mut details = Vec::new();
    if !deprecated {
        details.push("can only be set for deprecated versions".to_owned());
    } else {
        if warning.len() > 256 {
            details.push("must be <= 256 characters long".to_owned());
        }
        if warning.is_empty() {
            details.push("must not be an empty string".to_owned());
        }
        if let Some((at, _)) = warning.char_indices().find(|(_, c)| !crate::request::status::is_printable(*c)) {
            details.push(format!(
                "must only contain printable UTF-8 characters; non-printable character found at index {at}"
            ));
        }
    }
    let path = format!("{path}.deprecationWarning");
    details.into_iter().map(|detail| FieldError::invalid(path.as_str(), warning, detail)).collect()
}

fn status(definition: &Object) -> Vec<FieldError> {
    names::validate(definition.get(&["status", "acceptedNames"]), "status.acceptedNames")
}

fn stored_versions(definition: &Object) -> Vec<FieldError> {
    const PATH: &str = "status.storedVersions";
    let stored: Vec<&str> = definition
        .get_list(&["status", "storedVersions"])
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if stored.is_empty() {
        return vec![FieldError::invalid_value(PATH, "null", "must have at least one stored version")];
    }
    let versions = definition.get_list(&["spec", "versions"]).unwrap_or_default();
    let name = |version: &'_ Value| version.child("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let shown =
        format!("[{}]", stored.iter().map(|s| crate::request::status::go_quote(s)).collect::<Vec<_>>().join(","));
    let mut errors = Vec::new();
    // A name counts once: a second version of that name is not stored.
    for (at, version) in versions.iter().enumerate() {
        let is_storage = version.child("storage").and_then(Value::as_bool) == Some(true);
        let repeated = versions[..at].iter().any(|other| name(other) == name(version));
        if is_storage && (repeated || !stored.contains(&name(version).as_str())) {
            let detail = format!("must have the storage version {}", name(version));
            errors.push(FieldError::invalid_value(PATH, &shown, detail));
        }
    }
    for (at, gone) in stored.iter().enumerate().filter(|(_, gone)| !versions.iter().any(|v| name(v) == **gone)) {
        let detail = format!(
            "missing from spec.versions; {gone} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {gone} and removes {gone} from status.storedVersions"
        );
        errors.push(FieldError::invalid(format!("{PATH}[{at}]"), gone, detail));
    }
    errors
}

fn preserve_unknown(definition: &Object, before: Option<&Object>) -> Vec<FieldError> {
    let set = |object: &Object| object.get_bool(&["spec", "preserveUnknownFields"]) == Some(true);
    if before.is_some_and(set) || !set(definition) {
        return Vec::new();
    }
    let detail =
        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
    vec![FieldError::invalid_value("spec.preserveUnknownFields", true, detail)]
}
