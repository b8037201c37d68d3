//! Admission policies and their bindings.

use std::fmt::Display;

use super::{
    super::{
        check::Check::{OneOf, Present, Required},
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        names,
        rule::{Rule, with},
    },
    webhooks,
};
use crate::{
    api::{custom::JsonPath, schema::Value},
    object::scope::{Scope, Wanted},
};

pub(super) static RULES: &[Rule] = &[
    with("admissionregistration.v1.ValidatingAdmissionPolicySpec", policy, &[]),
    with("admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec", binding, &[("policyName", Required)]),
    with(
        "admissionregistration.v1.MatchResources",
        match_resources,
        &[("matchPolicy", Present), ("matchPolicy", OneOf(&["Equivalent", "Exact"]))],
    ),
    with("admissionregistration.v1.NamedRuleWithOperations", named_rule, &[]),
    with("admissionregistration.v1.ValidatingAdmissionPolicyStatus", super::status::conditions, &[]),
    with("admissionregistration.v1.ExpressionWarning", expression_warning, &[("warning", Required)]),
];

const ACTIONS: &[&str] = &["Audit", "Deny", "Warn"];
const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge"];
const NOTES_MAX: usize = 20;
const NOTE_EXPRESSION_BYTES_MAX: usize = 5 * 1024;

fn text<'t>(value: &'t Value, field: &str) -> &'t str {
    value.child(field).and_then(Value::as_str).unwrap_or_default()
}

fn policy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for field in ["matchConstraints", "matchConditions", "variables", "validations", "auditAnnotations", "paramKind"] {
        errors.skip(field);
    }
    match path.optional_text("failurePolicy") {
        None => errors.required(path, "failurePolicy", ""),
        Some(word) if !["Fail", "Ignore"].contains(&word) => {
            errors.unsupported(path, "failurePolicy", word, &["Fail", "Ignore"]);
        }
        Some(_) => {}
    }
    param_kind(path, errors);
    match path.child("matchConstraints") {
        None => errors.required(path, "matchConstraints", ""),
        Some(constraints) => {
            let below = path.below("matchConstraints", Nth::Only, constraints);
            errors.visit(&below);
            if below.list("resourceRules").is_empty() {
                errors.required(path, "matchConstraints.resourceRules", "");
            }
        }
    }
    let params = path.child("paramKind").is_some();
    webhooks::conditions(path, params, errors);
    let mut scope = Scope::new(params);
    if !path.list("variables").is_empty() {
        scope = Scope::composed(params);
        variables(path, &mut scope, errors);
    }
    if path.list("validations").is_empty() && path.list("auditAnnotations").is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.required(path, "validations", detail);
        errors.required(path, "auditAnnotations", detail);
        return;
    }
    for (at, validation) in path.list("validations").iter().enumerate() {
        self::validation(path, &format!("validations[{at}]"), validation, &scope, errors);
    }
    notes(path, &scope, errors);
}

/// Which expression is meant.
fn expression_warning<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let reference = path.text("fieldRef").trim();
    if reference.is_empty() {
        errors.required(path, "fieldRef", "");
    } else if let Err(why) = JsonPath::parse(reference) {
        errors.invalid(path, "fieldRef", reference, format!("invalid JSONPath: {why}"));
    }
}

fn param_kind<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const VERSION: &str = "paramKind.apiVersion";
    const KIND: &str = "paramKind.kind";
    if path.child("paramKind").is_none() {
        return;
    }
    let read = |field| path.at(&["paramKind", field]).and_then(Value::as_str).unwrap_or_default();
    let version = read("apiVersion");
    let joined = |messages: Vec<String>| (!messages.is_empty()).then(|| messages.join(","));
    if version.is_empty() {
        errors.required(path, VERSION, "");
    } else if version.matches('/').count() > 1 {
        errors.invalid(path, VERSION, version, format!("unexpected GroupVersion string: {version}"));
    } else {
        let (group, number) = version.split_once('/').unwrap_or(("", version));
        if let Some(why) = Some(group).filter(|g| !g.is_empty()).and_then(|g| joined(names::dns_1123_subdomain(g))) {
            errors.invalid(path, VERSION, group, why);
        }
        if number.is_empty() {
            errors.invalid(path, VERSION, version, "version must be specified");
        } else if let Some(why) = joined(names::dns_1035_label(number)) {
            errors.invalid(path, VERSION, number, why);
        }
    }
    let kind = read("kind");
    if kind.is_empty() {
        errors.required(path, KIND, "");
    } else if let Some(why) = joined(names::dns_1035_label(&kind.to_lowercase())) {
        errors.invalid(path, KIND, kind, format!("may have mixed case, but should otherwise match: {why}"));
    }
}

fn variables<'t>(path: &FieldPath<'_, 't>, scope: &mut Scope, errors: &mut ErrorList<'t>) {
    for (at, variable) in path.list("variables").iter().enumerate() {
        let (name, expression) = (text(variable, "name"), text(variable, "expression"));
        let field = |field: &str| format!("variables[{at}].{field}");
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = name.chars().all(letter) && !name.starts_with(|c: char| c.is_ascii_digit());
        if name.trim().is_empty() {
            errors.required(path, &field("name"), "name is not specified");
        } else if !is_name || crate::api::cel::is_reserved(name) {
            errors.invalid(path, &field("name"), name, "must be a valid CEL identifier");
        }
        if expression.trim().is_empty() {
            errors.required(path, &field("expression"), "expression is not specified");
        } else {
            let compiled = scope.add(name, expression);
            webhooks::compile_error(path, &field("expression"), expression, compiled, errors);
        }
    }
}

fn validation<'t>(
    path: &FieldPath<'_, 't>,
    at: &str,
    validation: &'t Value,
    scope: &Scope,
    errors: &mut ErrorList<'t>,
) {
    let field = |field: &dyn Display| format!("{at}.{field}");
    let expression = text(validation, "expression");
    if expression.trim().is_empty() {
        errors.required(path, &field(&"expression"), "expression is not specified");
    } else {
        let compiled = scope.compile(expression, Wanted::Truth);
        webhooks::compile_error(path, &field(&"expression"), expression, compiled, errors);
    }
    let said = text(validation, "messageExpression");
    if !said.is_empty() && said.trim().is_empty() {
        errors.invalid(path, &field(&"messageExpression"), said, "must be non-empty if specified");
    } else if !said.is_empty() {
        let compiled = scope.without_authorizer().compile(said, Wanted::Text);
        webhooks::compile_error(path, &field(&"messageExpression"), said, compiled, errors);
    }
    let message = text(validation, "message");
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(path, &field(&"message"), message, "must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid(path, &field(&"message"), message, "must not contain line breaks");
    }
    if let Some(reason) = validation.child("reason").and_then(Value::as_str).filter(|reason| !REASONS.contains(reason))
    {
        errors.unsupported(path, &field(&"reason"), reason, REASONS);
    }
}

fn notes<'t>(path: &FieldPath<'_, 't>, scope: &Scope, errors: &mut ErrorList<'t>) {
    let list = path.list("auditAnnotations");
    if list.len() > NOTES_MAX {
        let detail = format!("must not have more than {NOTES_MAX} auditAnnotations");
        errors.invalid_value(path, "auditAnnotations", path.get("auditAnnotations"), detail);
    }
    let name = path.up.and_then(|root| root.at(&["metadata", "name"])).and_then(Value::as_str).unwrap_or_default();
    for (at, note) in list.iter().enumerate() {
        let (key, expression) = (text(note, "key"), text(note, "valueExpression"));
        let field = |field: &str| format!("auditAnnotations[{at}].{field}");
        if name.is_empty() {
            errors.invalid(path, &field("key"), key, "requires metadata.name be non-empty");
        } else {
            let both = format!("{name}/{key}");
            for why in names::label_key(&both) {
                errors.invalid(path, &field("key"), &both, why);
            }
        }
        let trimmed = expression.trim();
        let value = field("valueExpression");
        if trimmed.is_empty() {
            errors.required(path, &value, "valueExpression is not specified");
        } else if trimmed.len() > NOTE_EXPRESSION_BYTES_MAX {
            errors.required(path, &value, format!("must not exceed {NOTE_EXPRESSION_BYTES_MAX} bytes in length"));
        } else {
            webhooks::compile_error(path, &value, expression, scope.compile(trimmed, Wanted::TextOrNull), errors);
        }
        if list[..at].iter().any(|other| text(other, "key") == key) {
            errors.duplicate(path, &field("key"), key);
        }
    }
}

fn match_resources<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for field in ["namespaceSelector", "objectSelector"] {
        if !path.has(field) {
            errors.required(path, field, "");
        }
    }
}

fn named_rule<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let list: Vec<&str> = path.texts("resourceNames").collect();
    for (at, name) in list.iter().enumerate() {
        let field = format!("resourceNames[{at}]");
        errors.invalid_each(path, &field, name, names::path_segment_name(name, false));
        if list[..at].contains(name) {
            errors.duplicate(path, &field, name);
        }
    }
    webhooks::operations(path, errors);
    if let Some(scope) = path.optional_text("scope").filter(|scope| !webhooks::SCOPES.contains(scope)) {
        errors.unsupported(path, "scope", scope, webhooks::SCOPES);
    }
}

fn binding<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for field in ["paramRef", "matchResources"] {
        errors.skip(field);
    }
    let policy = path.text("policyName");
    if !policy.is_empty() {
        errors.invalid_each(path, "policyName", policy, names::dns_1123_subdomain(policy));
    }
    if let Some(reference) = path.child("paramRef") {
        param_reference(&path.below("paramRef", Nth::Only, reference), errors);
    }
    if let Some(constraints) = path.child("matchResources") {
        errors.visit(&path.below("matchResources", Nth::Only, constraints));
    }
    const FIELD: &str = "validationActions";
    let actions: Vec<&str> = path.texts(FIELD).collect();
    for (at, action) in actions.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        if !ACTIONS.contains(action) {
            errors.unsupported(path, &field, action, ACTIONS);
        }
        if actions[..at].contains(action) {
            errors.duplicate(path, &field, action);
        }
    }
    if actions.contains(&"Deny") && actions.contains(&"Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.invalid_value(path, FIELD, path.get(FIELD), detail);
    }
    if actions.is_empty() {
        errors.required(path, FIELD, "at least one validation action is required");
    }
}

fn param_reference<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const BOTH: &str = "name and selector are mutually exclusive";
    let (name, selector) = (path.text("name"), path.child("selector"));
    if !name.is_empty() {
        errors.invalid_each(path, "name", name, names::path_segment_name(name, false));
        if selector.is_some() {
            errors.forbidden(path, "name", BOTH);
        }
    }
    if let Some(selector) = selector {
        errors.visit(&path.below("selector", Nth::Only, selector));
        if !name.is_empty() {
            errors.forbidden(path, "selector", BOTH);
        }
    }
    if name.is_empty() && selector.is_none() {
        errors.required(path, "", "one of name or selector must be specified");
    }
    match path.text("parameterNotFoundAction") {
        "" => errors.required(path, "parameterNotFoundAction", ""),
        "Allow" | "Deny" => {}
        word => errors.unsupported(path, "parameterNotFoundAction", word, &["Deny", "Allow"]),
    }
}
