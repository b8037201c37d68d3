//! Configurations of admission webhooks: who is asked about what, and where.

use super::super::{
    check::Check::{OneOf, Within},
    error_list::ErrorList,
    field_path::FieldPath,
    names,
    rule::{Rule, rule, with},
};
use crate::{
    api::schema::{Object, Value},
    object::scope::{Fault, Scope, Wanted},
    request::{status::FieldError, url::Url},
};

pub(super) static RULES: &[Rule] = &[
    with("admissionregistration.v1.MutatingWebhookConfiguration", unique_names, &[]),
    with("admissionregistration.v1.ValidatingWebhookConfiguration", unique_names, &[]),
    with("admissionregistration.v1.MutatingWebhook", webhook, WEBHOOK),
    rule("admissionregistration.v1.MutatingWebhook", &[("reinvocationPolicy", OneOf(&["IfNeeded", "Never"]))]),
    with("admissionregistration.v1.ValidatingWebhook", webhook, WEBHOOK),
    with("admissionregistration.v1.RuleWithOperations", operations, &[("scope", OneOf(SCOPES))]),
    with("admissionregistration.v1.ServiceReference", service, &[]),
    with("admissionregistration.v1.WebhookClientConfig", service_alone, &[]),
];

const WEBHOOK: &[(&str, super::super::check::Check)] = &[
    ("failurePolicy", OneOf(&["Fail", "Ignore"])),
    ("matchPolicy", OneOf(&["Equivalent", "Exact"])),
    ("timeoutSeconds", Within(1, 30, "the timeout value must be between 1 and 30 seconds")),
];
pub(super) const SCOPES: &[&str] = &["*", "Cluster", "Namespaced"];
const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun"];
/// What was allowed once, and stays so where it is already.
const OLD_SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun", "Some", "Unknown"];
const CONDITIONS_MAX: usize = 64;

fn webhooks(configuration: &Object) -> &[Value] {
    configuration.get_list(&["webhooks"]).unwrap_or_default()
}

fn text<'t>(value: &'t Value, field: &str) -> &'t str {
    value.child(field).and_then(Value::as_str).unwrap_or_default()
}

fn unique_names<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let repeats =
        |list: &[Value], at: usize| list[..at].iter().any(|other| text(other, "name") == text(&list[at], "name"));
    let before = errors.old.map(webhooks).unwrap_or_default();
    if (0..before.len()).any(|at| repeats(before, at)) {
        return;
    }
    let list = path.list("webhooks");
    for (at, hook) in list.iter().enumerate() {
        let name = text(hook, "name");
        if !name.is_empty() && repeats(list, at) {
            errors.duplicate(path, &format!("webhooks[{at}].name"), name);
        }
    }
}

fn webhook<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let name = path.text("name");
    let form = names::dns_1123_subdomain(name);
    if name.is_empty() {
        errors.required(path, "name", "");
    } else if !form.is_empty() {
        errors.invalid(path, "name", name, form.join(","));
    } else if name.split('.').count() < 3 {
        errors.invalid(path, "name", name, "should be a domain with at least three segments separated by dots");
    }
    side_effects(path, errors);
    review_versions(path, errors);
    match (path.at(&["clientConfig", "url"]), path.at(&["clientConfig", "service"])) {
        (Some(url), None) => address(path, url.as_str().unwrap_or_default(), errors),
        (None, Some(_)) => {}
        _ => errors.required(path, "clientConfig", "exactly one of url or service is required"),
    }
    conditions(path, false, errors);
}

fn side_effects<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let had_some = errors
        .old
        .is_some_and(|old| webhooks(old).iter().any(|hook| !SIDE_EFFECTS.contains(&text(hook, "sideEffects"))));
    let allowed = if had_some { OLD_SIDE_EFFECTS } else { SIDE_EFFECTS };
    match path.optional_text("sideEffects") {
        None => errors.required(path, "sideEffects", format!("must specify one of {}", allowed.join(", "))),
        Some(word) if !allowed.contains(&word) => errors.unsupported(path, "sideEffects", word, allowed),
        Some(_) => {}
    }
}

fn review_versions<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const FIELD: &str = "admissionReviewVersions";
    let versions: Vec<&str> = path.list(FIELD).iter().filter_map(Value::as_str).collect();
    if versions.is_empty() {
        errors.required(path, FIELD, format!("must specify one of {}", VERSIONS.join(", ")));
        return;
    }
    for (at, version) in versions.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        match versions[..at].contains(version) {
            true => errors.invalid(path, &field, version, "duplicate version"),
            false => errors.invalid_each(path, &field, version, names::dns_1035_label(version)),
        }
    }
    let knows = |list: &[Value]| list.iter().any(|v| v.as_str().is_some_and(|v| VERSIONS.contains(&v)));
    let of = |hook: &Value| hook.child(FIELD).and_then(Value::as_list).unwrap_or_default().to_vec();
    let was_unknown = errors
        .old
        .is_some_and(|old| webhooks(old).iter().map(of).any(|versions| !versions.is_empty() && !knows(&versions)));
    if !was_unknown && !knows(path.list(FIELD)) {
        let detail = format!("must include at least one of {}", VERSIONS.join(", "));
        errors.invalid_value(path, FIELD, path.get(FIELD), detail);
    }
}

fn address<'t>(path: &FieldPath<'_, 't>, url: &str, errors: &mut ErrorList<'t>) {
    const FIELD: &str = "clientConfig.url";
    const FORM: &str = "; desired format: https://host[/path]";
    let parts = match Url::parse(url) {
        Ok(parts) => parts,
        Err(why) => {
            let detail = format!("url must be a valid URL: parse {url:?}: {why}{FORM}");
            errors.required(path, FIELD, detail);
            return;
        }
    };
    if parts.scheme != "https" {
        errors.invalid(path, FIELD, &parts.scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if parts.host.is_empty() {
        errors.invalid(path, FIELD, parts.host, format!("host must be specified{FORM}"));
    }
    for (part, what) in [
        (parts.user, "user information is not permitted in the URL"),
        (parts.fragment, "fragments are not permitted in the URL"),
        (parts.query, "query parameters are not permitted in the URL"),
    ] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            errors.invalid(path, FIELD, part, what);
        }
    }
}

/// A service beside a URL is not looked into.
fn service_alone<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.has("url") {
        errors.skip("service");
    }
}

/// The real server takes the name for the namespace here, and says the one of the other.
fn service<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (field, said) in [("namespace", "name"), ("name", "namespace")] {
        if path.text(field).is_empty() {
            errors.required(path, said, "");
        }
    }
    let port = path.number("port").unwrap_or(0);
    if let Some(why) = names::port_number(port) {
        errors.invalid_as(path, "port", port, format!("port is not valid: {why}"));
    }
    let url_path = path.text("path");
    if matches!(url_path, "" | "/") {
        return;
    }
    if url_path == "//" {
        errors.invalid(path, "path", url_path, "segment[0] may not be empty");
        return;
    }
    if !url_path.starts_with('/') {
        errors.invalid(path, "path", url_path, "must start with a '/'");
    }
    let steps: String = url_path.chars().skip(1).collect();
    for (at, step) in steps.strip_suffix('/').unwrap_or(&steps).split('/').enumerate() {
        if step.is_empty() {
            errors.invalid(path, "path", url_path, format!("segment[{at}] may not be empty"));
        }
        for why in names::dns_1123_subdomain(step).into_iter().filter(|_| !step.is_empty()) {
            errors.invalid(path, "path", url_path, format!("segment[{at}]: {why}"));
        }
    }
}

/// What the compiler says of an expression.
pub(super) fn compile_error<'t>(
    path: &FieldPath<'_, 't>,
    field: &str,
    shown: &str,
    compiled: Result<impl Sized, Fault>,
    errors: &mut ErrorList<'t>,
) {
    match compiled {
        Ok(_) => {}
        Err(Fault::Invalid(why)) => errors.invalid(path, field, shown, why),
        Err(Fault::Internal(why)) => errors.push(FieldError::internal(path.to(field), why)),
    }
}

/// Conditions in CEL, which may speak of `params` in policies that take some.
pub(super) fn conditions<'t>(path: &FieldPath<'_, 't>, params: bool, errors: &mut ErrorList<'t>) {
    const FIELD: &str = "matchConditions";
    let list = path.list(FIELD);
    if list.len() > CONDITIONS_MAX {
        errors.too_many(path, FIELD, list.len(), CONDITIONS_MAX);
    }
    for (at, condition) in list.iter().enumerate() {
        let name = text(condition, "name");
        let (field, expression) = (format!("{FIELD}[{at}].expression"), text(condition, "expression").trim());
        match expression {
            "" => errors.required(path, &field, ""),
            _ => compile_error(path, &field, expression, Scope::new(params).compile(expression, Wanted::Truth), errors),
        }
        let field = format!("{FIELD}[{at}].name");
        if name.is_empty() {
            errors.required(path, &field, "");
            continue;
        }
        errors.invalid_each(path, &field, name, names::label_key(name));
        if list[..at].iter().any(|other| text(other, "name") == name) {
            errors.duplicate(path, &field, name);
        }
    }
}

pub(super) fn operations<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let wildcard = |list: &[Value]| list.len() > 1 && list.iter().any(|word| word.as_str() == Some("*"));
    for (field, others) in [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")]
    {
        let list = path.list(field);
        if list.is_empty() {
            errors.required(path, field, "");
        }
        if wildcard(list) {
            let detail = format!("if '*' is present, must not specify other {others}");
            errors.invalid_value(path, field, path.get(field), detail);
        }
    }
    for (at, operation) in path.list("operations").iter().filter_map(Value::as_str).enumerate() {
        if !OPERATIONS.contains(&operation) {
            errors.unsupported(path, &format!("operations[{at}]"), operation, OPERATIONS);
        }
    }
    for (at, version) in path.list("apiVersions").iter().enumerate() {
        if version.as_str() == Some("") {
            errors.required(path, &format!("apiVersions[{at}]"), "");
        }
    }
    resources(path, errors);
}

fn resources<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const FIELD: &str = "resources";
    let list: Vec<&str> = path.list(FIELD).iter().filter_map(Value::as_str).collect();
    if list.is_empty() {
        errors.required(path, FIELD, "");
    }
    let mut plain_last = false;
    for (at, both) in list.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        if both.is_empty() {
            errors.required(path, &field, "");
            continue;
        }
        let Some((resource, subresource)) = both.split_once('/') else {
            plain_last = *both != "*";
            continue;
        };
        let before = || list[..at].iter().filter_map(|other| other.split_once('/'));
        if before().any(|(r, s)| r == resource && s == "*") {
            errors.invalid(path, &field, both, format!("if '{resource}/*' is present, must not specify {both}"));
        }
        if before().any(|(r, s)| r == "*" && s == subresource) {
            errors.invalid(path, &field, both, format!("if '*/{subresource}' is present, must not specify {both}"));
        }
    }
    if list.len() > 1 && list.contains(&"*/*") {
        let detail = "if '*/*' is present, must not specify other resources";
        errors.invalid_value(path, FIELD, path.get(FIELD), detail);
    }
    if plain_last && list.contains(&"*") {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.invalid_value(path, FIELD, path.get(FIELD), detail);
    }
}
