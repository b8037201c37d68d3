//! Admission policies and their bindings.

use std::fmt::Display;

use super::{
    super::{
        check::Check::{OneOf, Present, Required},
        judge::Judge,
        names,
        place::{Nth, Place},
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

fn policy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for field in ["matchConstraints", "matchConditions", "variables", "validations", "auditAnnotations", "paramKind"] {
        judge.settle(field);
    }
    match place.optional_text("failurePolicy") {
        None => judge.required(place, "failurePolicy", ""),
        Some(word) if !["Fail", "Ignore"].contains(&word) => {
            judge.unsupported(place, "failurePolicy", word, &["Fail", "Ignore"]);
        }
        Some(_) => {}
    }
    param_kind(place, judge);
    match place.child("matchConstraints") {
        None => judge.required(place, "matchConstraints", ""),
        Some(constraints) => {
            let below = place.below("matchConstraints", Nth::Only, constraints);
            judge.visit(&below);
            if below.list("resourceRules").is_empty() {
                judge.required(place, "matchConstraints.resourceRules", "");
            }
        }
    }
    let params = place.child("paramKind").is_some();
    webhooks::conditions(place, params, judge);
    let mut scope = Scope::new(params);
    if !place.list("variables").is_empty() {
        scope = Scope::composed(params);
        variables(place, &mut scope, judge);
    }
    if place.list("validations").is_empty() && place.list("auditAnnotations").is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        judge.required(place, "validations", detail);
        judge.required(place, "auditAnnotations", detail);
        return;
    }
    for (at, validation) in place.list("validations").iter().enumerate() {
        self::validation(place, &format!("validations[{at}]"), validation, &scope, judge);
    }
    notes(place, &scope, judge);
}

/// Which expression is meant.
fn expression_warning<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let path = place.text("fieldRef").trim();
    if path.is_empty() {
        judge.required(place, "fieldRef", "");
    } else if let Err(why) = JsonPath::parse(path) {
        judge.invalid(place, "fieldRef", path, format!("invalid JSONPath: {why}"));
    }
}

fn param_kind<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const VERSION: &str = "paramKind.apiVersion";
    const KIND: &str = "paramKind.kind";
    if place.child("paramKind").is_none() {
        return;
    }
    let read = |field| place.at(&["paramKind", field]).and_then(Value::as_str).unwrap_or_default();
    let version = read("apiVersion");
    let joined = |complaints: Vec<String>| (!complaints.is_empty()).then(|| complaints.join(","));
    if version.is_empty() {
        judge.required(place, VERSION, "");
    } else if version.matches('/').count() > 1 {
        judge.invalid(place, VERSION, version, format!("unexpected GroupVersion string: {version}"));
    } else {
        let (group, number) = version.split_once('/').unwrap_or(("", version));
        if let Some(why) = Some(group).filter(|g| !g.is_empty()).and_then(|g| joined(names::dns_1123_subdomain(g))) {
            judge.invalid(place, VERSION, group, why);
        }
        if number.is_empty() {
            judge.invalid(place, VERSION, version, "version must be specified");
        } else if let Some(why) = joined(names::dns_1035_label(number)) {
            judge.invalid(place, VERSION, number, why);
        }
    }
    let kind = read("kind");
    if kind.is_empty() {
        judge.required(place, KIND, "");
    } else if let Some(why) = joined(names::dns_1035_label(&kind.to_lowercase())) {
        judge.invalid(place, KIND, kind, format!("may have mixed case, but should otherwise match: {why}"));
    }
}

fn variables<'t>(place: &Place<'_, 't>, scope: &mut Scope, judge: &mut Judge<'t>) {
    for (at, variable) in place.list("variables").iter().enumerate() {
        let (name, expression) = (text(variable, "name"), text(variable, "expression"));
        let field = |field: &str| format!("variables[{at}].{field}");
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = name.chars().all(letter) && !name.starts_with(|c: char| c.is_ascii_digit());
        if name.trim().is_empty() {
            judge.required(place, &field("name"), "name is not specified");
        } else if !is_name || crate::api::cel::is_reserved(name) {
            judge.invalid(place, &field("name"), name, "must be a valid CEL identifier");
        }
        if expression.trim().is_empty() {
            judge.required(place, &field("expression"), "expression is not specified");
        } else {
            let compiled = scope.add(name, expression);
            webhooks::complain_of(place, &field("expression"), expression, compiled, judge);
        }
    }
}

fn validation<'t>(place: &Place<'_, 't>, at: &str, validation: &'t Value, scope: &Scope, judge: &mut Judge<'t>) {
    let field = |field: &dyn Display| format!("{at}.{field}");
    let expression = text(validation, "expression");
    if expression.trim().is_empty() {
        judge.required(place, &field(&"expression"), "expression is not specified");
    } else {
        let compiled = scope.compile(expression, Wanted::Truth);
        webhooks::complain_of(place, &field(&"expression"), expression, compiled, judge);
    }
    let said = text(validation, "messageExpression");
    if !said.is_empty() && said.trim().is_empty() {
        judge.invalid(place, &field(&"messageExpression"), said, "must be non-empty if specified");
    } else if !said.is_empty() {
        let compiled = scope.without_authorizer().compile(said, Wanted::Text);
        webhooks::complain_of(place, &field(&"messageExpression"), said, compiled, judge);
    }
    let message = text(validation, "message");
    if !message.is_empty() && message.trim().is_empty() {
        judge.invalid(place, &field(&"message"), message, "must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        judge.invalid(place, &field(&"message"), message, "must not contain line breaks");
    }
    if let Some(reason) = validation.child("reason").and_then(Value::as_str).filter(|reason| !REASONS.contains(reason))
    {
        judge.unsupported(place, &field(&"reason"), reason, REASONS);
    }
}

fn notes<'t>(place: &Place<'_, 't>, scope: &Scope, judge: &mut Judge<'t>) {
    let list = place.list("auditAnnotations");
    if list.len() > NOTES_MAX {
        let detail = format!("must not have more than {NOTES_MAX} auditAnnotations");
        judge.invalid_value(place, "auditAnnotations", place.get("auditAnnotations"), detail);
    }
    let name = place.up.and_then(|root| root.at(&["metadata", "name"])).and_then(Value::as_str).unwrap_or_default();
    for (at, note) in list.iter().enumerate() {
        let (key, expression) = (text(note, "key"), text(note, "valueExpression"));
        let field = |field: &str| format!("auditAnnotations[{at}].{field}");
        if name.is_empty() {
            judge.invalid(place, &field("key"), key, "requires metadata.name be non-empty");
        } else {
            let both = format!("{name}/{key}");
            for why in names::label_key(&both) {
                judge.invalid(place, &field("key"), &both, why);
            }
        }
        let trimmed = expression.trim();
        let value = field("valueExpression");
        if trimmed.is_empty() {
            judge.required(place, &value, "valueExpression is not specified");
        } else if trimmed.len() > NOTE_EXPRESSION_BYTES_MAX {
            judge.required(place, &value, format!("must not exceed {NOTE_EXPRESSION_BYTES_MAX} bytes in length"));
        } else {
            webhooks::complain_of(place, &value, expression, scope.compile(trimmed, Wanted::TextOrNull), judge);
        }
        if list[..at].iter().any(|other| text(other, "key") == key) {
            judge.duplicate(place, &field("key"), key);
        }
    }
}

fn match_resources<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for field in ["namespaceSelector", "objectSelector"] {
        if !place.has(field) {
            judge.required(place, field, "");
        }
    }
}

fn named_rule<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let list: Vec<&str> = place.texts("resourceNames").collect();
    for (at, name) in list.iter().enumerate() {
        let field = format!("resourceNames[{at}]");
        judge.complain(place, &field, name, names::path_segment_name(name, false));
        if list[..at].contains(name) {
            judge.duplicate(place, &field, name);
        }
    }
    webhooks::operations(place, judge);
    if let Some(scope) = place.optional_text("scope").filter(|scope| !webhooks::SCOPES.contains(scope)) {
        judge.unsupported(place, "scope", scope, webhooks::SCOPES);
    }
}

fn binding<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for field in ["paramRef", "matchResources"] {
        judge.settle(field);
    }
    let policy = place.text("policyName");
    if !policy.is_empty() {
        judge.complain(place, "policyName", policy, names::dns_1123_subdomain(policy));
    }
    if let Some(reference) = place.child("paramRef") {
        param_reference(&place.below("paramRef", Nth::Only, reference), judge);
    }
    if let Some(constraints) = place.child("matchResources") {
        judge.visit(&place.below("matchResources", Nth::Only, constraints));
    }
    const FIELD: &str = "validationActions";
    let actions: Vec<&str> = place.texts(FIELD).collect();
    for (at, action) in actions.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        if !ACTIONS.contains(action) {
            judge.unsupported(place, &field, action, ACTIONS);
        }
        if actions[..at].contains(action) {
            judge.duplicate(place, &field, action);
        }
    }
    if actions.contains(&"Deny") && actions.contains(&"Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        judge.invalid_value(place, FIELD, place.get(FIELD), detail);
    }
    if actions.is_empty() {
        judge.required(place, FIELD, "at least one validation action is required");
    }
}

fn param_reference<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const BOTH: &str = "name and selector are mutually exclusive";
    let (name, selector) = (place.text("name"), place.child("selector"));
    if !name.is_empty() {
        judge.complain(place, "name", name, names::path_segment_name(name, false));
        if selector.is_some() {
            judge.forbidden(place, "name", BOTH);
        }
    }
    if let Some(selector) = selector {
        judge.visit(&place.below("selector", Nth::Only, selector));
        if !name.is_empty() {
            judge.forbidden(place, "selector", BOTH);
        }
    }
    if name.is_empty() && selector.is_none() {
        judge.required(place, "", "one of name or selector must be specified");
    }
    match place.text("parameterNotFoundAction") {
        "" => judge.required(place, "parameterNotFoundAction", ""),
        "Allow" | "Deny" => {}
        word => judge.unsupported(place, "parameterNotFoundAction", word, &["Deny", "Allow"]),
    }
}
