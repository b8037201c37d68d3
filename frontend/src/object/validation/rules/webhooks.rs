//! Configurations of admission webhooks: who is asked about what, and where.

use super::super::{
    check::Check::{OneOf, Within},
    judge::Judge,
    names,
    place::Place,
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

fn unique_names<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let repeats =
        |list: &[Value], at: usize| list[..at].iter().any(|other| text(other, "name") == text(&list[at], "name"));
    let before = judge.old.map(webhooks).unwrap_or_default();
    if (0..before.len()).any(|at| repeats(before, at)) {
        return;
    }
    let list = place.list("webhooks");
    for (at, hook) in list.iter().enumerate() {
        let name = text(hook, "name");
        if !name.is_empty() && repeats(list, at) {
            judge.duplicate(place, &format!("webhooks[{at}].name"), name);
        }
    }
}

fn webhook<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let name = place.text("name");
    let form = names::dns_1123_subdomain(name);
    if name.is_empty() {
        judge.required(place, "name", "");
    } else if !form.is_empty() {
        judge.invalid(place, "name", name, form.join(","));
    } else if name.split('.').count() < 3 {
        judge.invalid(place, "name", name, "should be a domain with at least three segments separated by dots");
    }
    side_effects(place, judge);
    review_versions(place, judge);
    match (place.at(&["clientConfig", "url"]), place.at(&["clientConfig", "service"])) {
        (Some(url), None) => address(place, url.as_str().unwrap_or_default(), judge),
        (None, Some(_)) => {}
        _ => judge.required(place, "clientConfig", "exactly one of url or service is required"),
    }
    conditions(place, false, judge);
}

fn side_effects<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let had_some = judge
        .old
        .is_some_and(|old| webhooks(old).iter().any(|hook| !SIDE_EFFECTS.contains(&text(hook, "sideEffects"))));
    let allowed = if had_some { OLD_SIDE_EFFECTS } else { SIDE_EFFECTS };
    match place.optional_text("sideEffects") {
        None => judge.required(place, "sideEffects", format!("must specify one of {}", allowed.join(", "))),
        Some(word) if !allowed.contains(&word) => judge.unsupported(place, "sideEffects", word, allowed),
        Some(_) => {}
    }
}

fn review_versions<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const FIELD: &str = "admissionReviewVersions";
    let versions: Vec<&str> = place.list(FIELD).iter().filter_map(Value::as_str).collect();
    if versions.is_empty() {
        judge.required(place, FIELD, format!("must specify one of {}", VERSIONS.join(", ")));
        return;
    }
    for (at, version) in versions.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        match versions[..at].contains(version) {
            true => judge.invalid(place, &field, version, "duplicate version"),
            false => judge.complain(place, &field, version, names::dns_1035_label(version)),
        }
    }
    let knows = |list: &[Value]| list.iter().any(|v| v.as_str().is_some_and(|v| VERSIONS.contains(&v)));
    let of = |hook: &Value| hook.child(FIELD).and_then(Value::as_list).unwrap_or_default().to_vec();
    let was_unknown = judge
        .old
        .is_some_and(|old| webhooks(old).iter().map(of).any(|versions| !versions.is_empty() && !knows(&versions)));
    if !was_unknown && !knows(place.list(FIELD)) {
        let detail = format!("must include at least one of {}", VERSIONS.join(", "));
        judge.invalid_value(place, FIELD, place.get(FIELD), detail);
    }
}

fn address<'t>(place: &Place<'_, 't>, url: &str, judge: &mut Judge<'t>) {
    const FIELD: &str = "clientConfig.url";
    const FORM: &str = "; desired format: https://host[/path]";
    let parts = match Url::parse(url) {
        Ok(parts) => parts,
        Err(why) => {
            let detail = format!("url must be a valid URL: parse {url:?}: {why}{FORM}");
            judge.required(place, FIELD, detail);
            return;
        }
    };
    if parts.scheme != "https" {
        judge.invalid(place, FIELD, &parts.scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if parts.host.is_empty() {
        judge.invalid(place, FIELD, parts.host, format!("host must be specified{FORM}"));
    }
    for (part, what) in [
        (parts.user, "user information is not permitted in the URL"),
        (parts.fragment, "fragments are not permitted in the URL"),
        (parts.query, "query parameters are not permitted in the URL"),
    ] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            judge.invalid(place, FIELD, part, what);
        }
    }
}

/// A service beside a URL is not looked into.
fn service_alone<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.has("url") {
        judge.settle("service");
    }
}

/// The real server takes the name for the namespace here, and says the one of the other.
fn service<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (field, said) in [("namespace", "name"), ("name", "namespace")] {
        if place.text(field).is_empty() {
            judge.required(place, said, "");
        }
    }
    let port = place.number("port").unwrap_or(0);
    if let Some(why) = names::port_number(port) {
        judge.invalid_as(place, "port", port, format!("port is not valid: {why}"));
    }
    let path = place.text("path");
    if matches!(path, "" | "/") {
        return;
    }
    if path == "//" {
        judge.invalid(place, "path", path, "segment[0] may not be empty");
        return;
    }
    if !path.starts_with('/') {
        judge.invalid(place, "path", path, "must start with a '/'");
    }
    let steps: String = path.chars().skip(1).collect();
    for (at, step) in steps.strip_suffix('/').unwrap_or(&steps).split('/').enumerate() {
        if step.is_empty() {
            judge.invalid(place, "path", path, format!("segment[{at}] may not be empty"));
        }
        for why in names::dns_1123_subdomain(step).into_iter().filter(|_| !step.is_empty()) {
            judge.invalid(place, "path", path, format!("segment[{at}]: {why}"));
        }
    }
}

/// What the compiler says of an expression.
pub(super) fn complain_of<'t>(
    place: &Place<'_, 't>,
    field: &str,
    shown: &str,
    compiled: Result<impl Sized, Fault>,
    judge: &mut Judge<'t>,
) {
    match compiled {
        Ok(_) => {}
        Err(Fault::Invalid(why)) => judge.invalid(place, field, shown, why),
        Err(Fault::Internal(why)) => judge.push(FieldError::internal(place.path(field), why)),
    }
}

/// Conditions in CEL, which may speak of `params` in policies that take some.
pub(super) fn conditions<'t>(place: &Place<'_, 't>, params: bool, judge: &mut Judge<'t>) {
    const FIELD: &str = "matchConditions";
    let list = place.list(FIELD);
    if list.len() > CONDITIONS_MAX {
        judge.too_many(place, FIELD, list.len(), CONDITIONS_MAX);
    }
    for (at, condition) in list.iter().enumerate() {
        let name = text(condition, "name");
        let (field, expression) = (format!("{FIELD}[{at}].expression"), text(condition, "expression").trim());
        match expression {
            "" => judge.required(place, &field, ""),
            _ => complain_of(place, &field, expression, Scope::new(params).compile(expression, Wanted::Truth), judge),
        }
        let field = format!("{FIELD}[{at}].name");
        if name.is_empty() {
            judge.required(place, &field, "");
            continue;
        }
        judge.complain(place, &field, name, names::label_key(name));
        if list[..at].iter().any(|other| text(other, "name") == name) {
            judge.duplicate(place, &field, name);
        }
    }
}

pub(super) fn operations<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let wildcard = |list: &[Value]| list.len() > 1 && list.iter().any(|word| word.as_str() == Some("*"));
    for (field, others) in [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")]
    {
        let list = place.list(field);
        if list.is_empty() {
            judge.required(place, field, "");
        }
        if wildcard(list) {
            let detail = format!("if '*' is present, must not specify other {others}");
            judge.invalid_value(place, field, place.get(field), detail);
        }
    }
    for (at, operation) in place.list("operations").iter().filter_map(Value::as_str).enumerate() {
        if !OPERATIONS.contains(&operation) {
            judge.unsupported(place, &format!("operations[{at}]"), operation, OPERATIONS);
        }
    }
    for (at, version) in place.list("apiVersions").iter().enumerate() {
        if version.as_str() == Some("") {
            judge.required(place, &format!("apiVersions[{at}]"), "");
        }
    }
    resources(place, judge);
}

fn resources<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const FIELD: &str = "resources";
    let list: Vec<&str> = place.list(FIELD).iter().filter_map(Value::as_str).collect();
    if list.is_empty() {
        judge.required(place, FIELD, "");
    }
    let mut plain_last = false;
    for (at, both) in list.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        if both.is_empty() {
            judge.required(place, &field, "");
            continue;
        }
        let Some((resource, subresource)) = both.split_once('/') else {
            plain_last = *both != "*";
            continue;
        };
        let before = || list[..at].iter().filter_map(|other| other.split_once('/'));
        if before().any(|(r, s)| r == resource && s == "*") {
            judge.invalid(place, &field, both, format!("if '{resource}/*' is present, must not specify {both}"));
        }
        if before().any(|(r, s)| r == "*" && s == subresource) {
            judge.invalid(place, &field, both, format!("if '*/{subresource}' is present, must not specify {both}"));
        }
    }
    if list.len() > 1 && list.contains(&"*/*") {
        let detail = "if '*/*' is present, must not specify other resources";
        judge.invalid_value(place, FIELD, place.get(FIELD), detail);
    }
    if plain_last && list.contains(&"*") {
        let detail = "if '*' is present, must not specify other resources without subresources";
        judge.invalid_value(place, FIELD, place.get(FIELD), detail);
    }
}
