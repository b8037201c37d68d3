//! Roles and their bindings; flow schemas and priority levels.

use super::{
    super::{
        check::Check::{self, AtLeast, NeedsForm, NotEmpty, Within},
        error_list::ErrorList,
        field_path::FieldPath,
        names,
        print::{printed, printed_struct},
        rule::{Rule, rule, with},
    },
    networking::segment,
};
use crate::api::schema::Value;

pub(super) static RULES: &[Rule] = &[
    with("rbac.v1.PolicyRule", policy_rule, &[("verbs", NotEmpty("verbs must contain at least one value"))]),
    with(
        "rbac.v1.AggregationRule",
        aggregation,
        &[(
            "clusterRoleSelectors",
            NotEmpty("at least one clusterRoleSelector required if aggregationRule is non-nil"),
        )],
    ),
    rule("rbac.v1.RoleRef", &[("name", NeedsForm(segment))]),
    with("rbac.v1.RoleRef", role_reference, &[]),
    with("rbac.v1.Subject", subject, &[("name", Check::Required)]),
    with("flowcontrol.v1.FlowSchema", flow_schema, &[]),
    with("flowcontrol.v1.FlowDistinguisherMethod", distinguisher, &[]),
    rule(
        "flowcontrol.v1.PriorityLevelConfigurationReference",
        &[("name", NotEmpty("must reference a priority level")), ("name", Check::Form(names::dns_1123_subdomain))],
    ),
    with(
        "flowcontrol.v1.PolicyRulesWithSubjects",
        rules_with_subjects,
        &[("subjects", NotEmpty("subjects must contain at least one value"))],
    ),
    with("flowcontrol.v1.Subject", flow_subject, &[]),
    with("flowcontrol.v1.ResourcePolicyRule", flow_resources, &[]),
    with("flowcontrol.v1.NonResourcePolicyRule", flow_paths, &[]),
    with("flowcontrol.v1.PriorityLevelConfiguration", priority_level, &[]),
    with("flowcontrol.v1.PriorityLevelConfigurationSpec", only_of_its_type, &[]),
    rule("flowcontrol.v1.ExemptPriorityLevelConfiguration", SHARES),
    rule("flowcontrol.v1.LimitedPriorityLevelConfiguration", SHARES),
    rule(
        "flowcontrol.v1.LimitedPriorityLevelConfiguration",
        &[("borrowingLimitPercent", AtLeast(0, "if specified, must be a non-negative integer"))],
    ),
    with("flowcontrol.v1.LimitResponse", limit_response, &[]),
    with("flowcontrol.v1.QueuingConfiguration", queuing, &[]),
];

const SHARES: &[(&str, Check)] = &[
    ("nominalConcurrencyShares", AtLeast(0, "must be a non-negative integer")),
    ("lendablePercent", Within(0, 100, "must be between 0 and 100, inclusive")),
];
const RBAC: &str = "rbac.authorization.k8s.io";

fn policy_rule<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let paths = path.get("nonResourceURLs").filter(|list| !list.is_zero());
    if paths.is_some() {
        if path.up.is_some_and(|up| up.name() == "Role") {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            errors.invalid_value(path, "nonResourceURLs", paths, detail);
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| !path.list(field).is_empty()) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid_value(path, "nonResourceURLs", paths, detail);
        }
        return;
    }
    NotEmpty("resource rules must supply at least one api group").apply(path, "apiGroups", errors);
    NotEmpty("resource rules must supply at least one resource").apply(path, "resources", errors);
}

fn aggregation<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (at, selector) in path.structs("clusterRoleSelectors").enumerate() {
        if super::super::selecting::parse(selector).is_err() {
            // What the real server shows is the selector that it could not read.
            errors.invalid_as(path, &format!("clusterRoleSelectors[{at}]"), "null", "invalid label selector.");
        }
    }
}

fn role_reference<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let cluster = path.up.is_some_and(|up| up.name() == "ClusterRoleBinding");
    Check::Exactly(&[RBAC]).apply(path, "apiGroup", errors);
    let kinds: &[&str] = if cluster { &["ClusterRole"] } else { &["Role", "ClusterRole"] };
    let kind = path.text("kind");
    if !kinds.contains(&kind) {
        errors.unsupported(path, "kind", kind, kinds);
    }
}

fn subject<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (kind, name, group) = (path.text("kind"), path.text("name"), path.text("apiGroup"));
    match kind {
        "ServiceAccount" => {
            if !name.is_empty() {
                errors.invalid_each(path, "name", name, names::dns_1123_subdomain(name));
            }
            if !group.is_empty() {
                errors.unsupported(path, "apiGroup", group, &[""]);
            }
            let cluster = path.up.is_some_and(|up| up.name() == "ClusterRoleBinding");
            if cluster && path.text("namespace").is_empty() {
                errors.required(path, "namespace", "");
            }
        }
        "User" | "Group" => {
            if group != RBAC {
                errors.unsupported(path, "apiGroup", group, &[RBAC]);
            }
        }
        other => errors.unsupported(path, "kind", other, &["ServiceAccount", "User", "Group"]),
    }
}

const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

fn flow_schema<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const FIELD: &str = "spec.matchingPrecedence";
    const MOST: i64 = 10_000;
    let name = path.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    let precedence = path.at(&["spec", "matchingPrecedence"]).and_then(Value::as_i64).unwrap_or(0);
    if precedence <= 0 {
        errors.invalid_as(path, FIELD, precedence, "must be a positive value");
    }
    if precedence > MOST {
        errors.invalid_as(path, FIELD, precedence, format!("must not be greater than {MOST}"));
    }
    if precedence == 1 && name != "exempt" {
        let detail = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.invalid_as(path, FIELD, precedence, detail);
    }
}

fn unsupported_as<'t>(
    path: &FieldPath<'_, 't>,
    field: &str,
    shown: String,
    supported: &[&str],
    errors: &mut ErrorList<'t>,
) {
    let quoted: Vec<String> = supported.iter().map(|word| crate::request::status::go_quote(word)).collect();
    let detail = format!("supported values: {}", quoted.join(", "));
    errors.with_detail(crate::request::status::FieldErrorKind::NotSupported, path, field, shown, detail);
}

/// The whole method is printed.
fn distinguisher<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const METHODS: [&str; 2] = ["ByNamespace", "ByUser"];
    if !METHODS.contains(&path.text("type")) {
        unsupported_as(path, "type", printed_struct(path.fields), &METHODS, errors);
    }
}

fn rules_with_subjects<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.list("resourceRules").is_empty() && path.list("nonResourceRules").is_empty() {
        errors.required(path, "", "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
}

fn flow_subject<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const KINDS: [(&str, &str); 3] = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = path.text("kind");
    let Some((_, wanted)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return errors.unsupported(path, "kind", kind, &["Group", "ServiceAccount", "User"]);
    };
    for (name, field) in KINDS.iter().filter(|(_, field)| field != wanted && path.has(field)) {
        errors.forbidden(path, field, format!("{field} is forbidden when subject kind is not '{name}'"));
    }
    let Some(subject) = path.get(wanted) else {
        return errors.required(path, wanted, format!("{wanted} is required when subject kind is '{kind}'"));
    };
    let text = |name: &str| subject.child(name).and_then(Value::as_str).unwrap_or_default();
    let account = kind == "ServiceAccount";
    match text("name") {
        "" => errors.required(path, &format!("{wanted}.name"), ""),
        name if account && name != "*" => {
            errors.invalid_each(path, &format!("{wanted}.name"), name, names::dns_1123_subdomain(name));
        }
        _ => {}
    }
    if account {
        let field = format!("{wanted}.namespace");
        match text("namespace") {
            "" => errors.required(path, &field, "must specify namespace for service account"),
            name => errors.invalid_each(path, &field, name, names::dns_1123_label(name)),
        }
    }
}

fn flow_verbs<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    NotEmpty("verbs must contain at least one value").apply(path, "verbs", errors);
    let verbs: Vec<&str> = path.texts("verbs").collect();
    if verbs.contains(&"*") {
        alone(path, "verbs", "verbs", errors);
    } else if verbs.iter().any(|verb| !VERBS.contains(verb)) {
        unsupported_as(path, "verbs", printed(path.get("verbs")), &VERBS, errors);
    }
}

/// Where everything is meant, nothing else is named.
fn alone<'t>(path: &FieldPath<'_, 't>, field: &str, what: &str, errors: &mut ErrorList<'t>) {
    if path.list(field).len() > 1 && path.texts(field).any(|text| text == "*") {
        let detail = format!("if '*' is present, must not specify other {what}");
        errors.invalid_value(path, field, path.get(field), detail);
    }
}

fn flow_resources<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    flow_verbs(path, errors);
    NotEmpty("resource rules must supply at least one api group").apply(path, "apiGroups", errors);
    alone(path, "apiGroups", "api groups", errors);
    NotEmpty("resource rules must supply at least one resource").apply(path, "resources", errors);
    alone(path, "resources", "resources", errors);
    if path.list("namespaces").is_empty() && !path.is("clusterScope") {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.required(path, "namespaces", detail);
    } else if path.texts("namespaces").any(|name| name == "*") {
        alone(path, "namespaces", "namespaces", errors);
    } else {
        for (at, name) in path.texts("namespaces").enumerate() {
            for message in names::dns_1123_label(name) {
                let detail = format!("each member of this list must be '*' or a DNS-1123 label; {message}");
                errors.invalid(path, &format!("namespaces[{at}]"), name, detail);
            }
        }
    }
}

fn flow_paths<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    flow_verbs(path, errors);
    NotEmpty("nonResourceURLs must contain at least one value").apply(path, "nonResourceURLs", errors);
    if path.texts("nonResourceURLs").any(|url| url == "*") {
        return alone(path, "nonResourceURLs", "non-resource URLs", errors);
    }
    for (at, url) in path.texts("nonResourceURLs").enumerate() {
        let stars = url.matches('*').count();
        let detail = match url {
            "" => "must not be empty",
            "/" => continue,
            url if !url.starts_with('/') => "must start with slash",
            url if url.contains(' ') => "must not contain white-space",
            url if url.contains("//") => "must not contain double slash",
            url if stars > 1 || (stars == 1 && !url.ends_with("/*")) => "wildcard can only do suffix matching",
            _ => continue,
        };
        errors.invalid(path, &format!("nonResourceURLs[{at}]"), url, detail);
    }
}

fn priority_level<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const KEPT: &str = "flowcontrol.k8s.io/preserve-zero-concurrency-shares";
    let name = path.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    if path.at(&["metadata", "annotations", KEPT]).is_some() {
        errors.forbidden(path, "metadata.annotations", format!("annotation '{KEPT}' is forbidden"));
    }
    let kind = path.at(&["spec", "type"]).and_then(Value::as_str).unwrap_or_default();
    let (limited, exempt) = (path.at(&["spec", "limited"]), path.at(&["spec", "exempt"]));
    if (name == "exempt") != (kind == "Exempt") {
        errors.invalid(path, "spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'");
    }
    match kind {
        "Exempt" if limited.is_some() => {
            errors.forbidden(path, "spec.limited", "must be nil if the type is not Limited");
        }
        "Exempt" => {}
        "Limited" => {
            if exempt.is_some() {
                errors.forbidden(path, "spec.exempt", "must be nil if the type is Limited");
            }
            if limited.is_none() {
                errors.required(path, "spec.limited", "must not be empty when type is Limited");
            }
        }
        other => {
            errors.unsupported(path, "spec.type", other, &["Exempt", "Limited"]);
            errors.skip("spec");
        }
    }
}

/// What does not belong to the type is not looked into.
fn only_of_its_type<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    match path.text("type") {
        "Exempt" => errors.skip("limited"),
        "Limited" => errors.skip("exempt"),
        _ => {}
    }
}

fn limit_response<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.above("PriorityLevelConfigurationSpec").is_some_and(|spec| spec.text("type") != "Limited") {
        return errors.skip("queuing");
    }
    match (path.text("type"), path.has("queuing")) {
        ("Reject", true) => {
            errors.forbidden(path, "queuing", "must be nil if limited.limitResponse.type is not Limited");
            errors.skip("queuing");
        }
        ("Queue", false) => {
            errors.required(path, "queuing", "must not be empty if limited.limitResponse.type is Limited");
        }
        ("Reject" | "Queue", _) => {}
        (other, _) => {
            errors.unsupported(path, "type", other, &["Queue", "Reject"]);
            errors.skip("queuing");
        }
    }
}

fn queuing<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const QUEUES_MAX: i64 = 10_000_000;
    const BITS_MAX: u32 = 60;
    let number = |field| path.number(field).unwrap_or(0);
    let (queues, hand) = (number("queues"), number("handSize"));
    if number("queueLengthLimit") <= 0 {
        errors.invalid_as(path, "queueLengthLimit", number("queueLengthLimit"), "must be positive");
    }
    if queues <= 0 {
        errors.invalid_as(path, "queues", queues, "must be positive");
    } else if queues > QUEUES_MAX {
        errors.invalid_as(path, "queues", queues, format!("must not be greater than {QUEUES_MAX}"));
    }
    if hand <= 0 {
        errors.invalid_as(path, "handSize", hand, "must be positive");
    } else if hand > queues {
        errors.invalid_as(path, "handSize", hand, format!("should not be greater than queues ({queues})"));
    } else {
        let bits = (0..hand).map(|dealt| ((queues - dealt) as f64).log2()).sum::<f64>().ceil() as u32;
        if bits > BITS_MAX {
            let detail = format!(
                "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {BITS_MAX}"
            );
            errors.invalid_as(path, "handSize", hand, detail);
        }
    }
}
