//! Roles and their bindings; flow schemas and priority levels.

use super::{
    super::{
        check::Check::{self, AtLeast, NeedsForm, NotEmpty, Within},
        judge::Judge,
        names,
        place::Place,
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

fn policy_rule<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let paths = place.get("nonResourceURLs").filter(|list| !list.is_zero());
    if paths.is_some() {
        if place.up.is_some_and(|up| up.name() == "Role") {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            judge.invalid_value(place, "nonResourceURLs", paths, detail);
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| !place.list(field).is_empty()) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            judge.invalid_value(place, "nonResourceURLs", paths, detail);
        }
        return;
    }
    NotEmpty("resource rules must supply at least one api group").apply(place, "apiGroups", judge);
    NotEmpty("resource rules must supply at least one resource").apply(place, "resources", judge);
}

fn aggregation<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (at, selector) in place.structs("clusterRoleSelectors").enumerate() {
        if super::super::selecting::parse(selector).is_err() {
            // What the real server shows is the selector that it could not read.
            judge.invalid_as(place, &format!("clusterRoleSelectors[{at}]"), "null", "invalid label selector.");
        }
    }
}

fn role_reference<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let cluster = place.up.is_some_and(|up| up.name() == "ClusterRoleBinding");
    Check::Exactly(&[RBAC]).apply(place, "apiGroup", judge);
    let kinds: &[&str] = if cluster { &["ClusterRole"] } else { &["Role", "ClusterRole"] };
    let kind = place.text("kind");
    if !kinds.contains(&kind) {
        judge.unsupported(place, "kind", kind, kinds);
    }
}

fn subject<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (kind, name, group) = (place.text("kind"), place.text("name"), place.text("apiGroup"));
    match kind {
        "ServiceAccount" => {
            if !name.is_empty() {
                judge.complain(place, "name", name, names::dns_1123_subdomain(name));
            }
            if !group.is_empty() {
                judge.unsupported(place, "apiGroup", group, &[""]);
            }
            let cluster = place.up.is_some_and(|up| up.name() == "ClusterRoleBinding");
            if cluster && place.text("namespace").is_empty() {
                judge.required(place, "namespace", "");
            }
        }
        "User" | "Group" => {
            if group != RBAC {
                judge.unsupported(place, "apiGroup", group, &[RBAC]);
            }
        }
        other => judge.unsupported(place, "kind", other, &["ServiceAccount", "User", "Group"]),
    }
}

const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

fn flow_schema<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const FIELD: &str = "spec.matchingPrecedence";
    const MOST: i64 = 10_000;
    let name = place.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    let precedence = place.at(&["spec", "matchingPrecedence"]).and_then(Value::as_i64).unwrap_or(0);
    if precedence <= 0 {
        judge.invalid_as(place, FIELD, precedence, "must be a positive value");
    }
    if precedence > MOST {
        judge.invalid_as(place, FIELD, precedence, format!("must not be greater than {MOST}"));
    }
    if precedence == 1 && name != "exempt" {
        let detail = "only the schema named 'exempt' may have matchingPrecedence 1";
        judge.invalid_as(place, FIELD, precedence, detail);
    }
}

fn unsupported_as<'t>(place: &Place<'_, 't>, field: &str, shown: String, supported: &[&str], judge: &mut Judge<'t>) {
    let quoted: Vec<String> = supported.iter().map(|word| crate::request::status::go_quote(word)).collect();
    let detail = format!("supported values: {}", quoted.join(", "));
    judge.with_detail(crate::request::status::FieldErrorKind::NotSupported, place, field, shown, detail);
}

/// The whole method is printed.
fn distinguisher<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const METHODS: [&str; 2] = ["ByNamespace", "ByUser"];
    if !METHODS.contains(&place.text("type")) {
        unsupported_as(place, "type", printed_struct(place.fields), &METHODS, judge);
    }
}

fn rules_with_subjects<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.list("resourceRules").is_empty() && place.list("nonResourceRules").is_empty() {
        judge.required(place, "", "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
}

fn flow_subject<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const KINDS: [(&str, &str); 3] = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = place.text("kind");
    let Some((_, wanted)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return judge.unsupported(place, "kind", kind, &["Group", "ServiceAccount", "User"]);
    };
    for (name, field) in KINDS.iter().filter(|(_, field)| field != wanted && place.has(field)) {
        judge.forbidden(place, field, format!("{field} is forbidden when subject kind is not '{name}'"));
    }
    let Some(subject) = place.get(wanted) else {
        return judge.required(place, wanted, format!("{wanted} is required when subject kind is '{kind}'"));
    };
    let text = |name: &str| subject.child(name).and_then(Value::as_str).unwrap_or_default();
    let account = kind == "ServiceAccount";
    match text("name") {
        "" => judge.required(place, &format!("{wanted}.name"), ""),
        name if account && name != "*" => {
            judge.complain(place, &format!("{wanted}.name"), name, names::dns_1123_subdomain(name));
        }
        _ => {}
    }
    if account {
        let field = format!("{wanted}.namespace");
        match text("namespace") {
            "" => judge.required(place, &field, "must specify namespace for service account"),
            name => judge.complain(place, &field, name, names::dns_1123_label(name)),
        }
    }
}

fn flow_verbs<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    NotEmpty("verbs must contain at least one value").apply(place, "verbs", judge);
    let verbs: Vec<&str> = place.texts("verbs").collect();
    if verbs.contains(&"*") {
        alone(place, "verbs", "verbs", judge);
    } else if verbs.iter().any(|verb| !VERBS.contains(verb)) {
        unsupported_as(place, "verbs", printed(place.get("verbs")), &VERBS, judge);
    }
}

/// Where everything is meant, nothing else is named.
fn alone<'t>(place: &Place<'_, 't>, field: &str, what: &str, judge: &mut Judge<'t>) {
    if place.list(field).len() > 1 && place.texts(field).any(|text| text == "*") {
        let detail = format!("if '*' is present, must not specify other {what}");
        judge.invalid_value(place, field, place.get(field), detail);
    }
}

fn flow_resources<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    flow_verbs(place, judge);
    NotEmpty("resource rules must supply at least one api group").apply(place, "apiGroups", judge);
    alone(place, "apiGroups", "api groups", judge);
    NotEmpty("resource rules must supply at least one resource").apply(place, "resources", judge);
    alone(place, "resources", "resources", judge);
    if place.list("namespaces").is_empty() && !place.is("clusterScope") {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        judge.required(place, "namespaces", detail);
    } else if place.texts("namespaces").any(|name| name == "*") {
        alone(place, "namespaces", "namespaces", judge);
    } else {
        for (at, name) in place.texts("namespaces").enumerate() {
            for complaint in names::dns_1123_label(name) {
                let detail = format!("each member of this list must be '*' or a DNS-1123 label; {complaint}");
                judge.invalid(place, &format!("namespaces[{at}]"), name, detail);
            }
        }
    }
}

fn flow_paths<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    flow_verbs(place, judge);
    NotEmpty("nonResourceURLs must contain at least one value").apply(place, "nonResourceURLs", judge);
    if place.texts("nonResourceURLs").any(|path| path == "*") {
        return alone(place, "nonResourceURLs", "non-resource URLs", judge);
    }
    for (at, path) in place.texts("nonResourceURLs").enumerate() {
        let stars = path.matches('*').count();
        let detail = match path {
            "" => "must not be empty",
            "/" => continue,
            path if !path.starts_with('/') => "must start with slash",
            path if path.contains(' ') => "must not contain white-space",
            path if path.contains("//") => "must not contain double slash",
            path if stars > 1 || (stars == 1 && !path.ends_with("/*")) => "wildcard can only do suffix matching",
            _ => continue,
        };
        judge.invalid(place, &format!("nonResourceURLs[{at}]"), path, detail);
    }
}

fn priority_level<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const KEPT: &str = "flowcontrol.k8s.io/preserve-zero-concurrency-shares";
    let name = place.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    if place.at(&["metadata", "annotations", KEPT]).is_some() {
        judge.forbidden(place, "metadata.annotations", format!("annotation '{KEPT}' is forbidden"));
    }
    let kind = place.at(&["spec", "type"]).and_then(Value::as_str).unwrap_or_default();
    let (limited, exempt) = (place.at(&["spec", "limited"]), place.at(&["spec", "exempt"]));
    if (name == "exempt") != (kind == "Exempt") {
        judge.invalid(place, "spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'");
    }
    match kind {
        "Exempt" if limited.is_some() => {
            judge.forbidden(place, "spec.limited", "must be nil if the type is not Limited");
        }
        "Exempt" => {}
        "Limited" => {
            if exempt.is_some() {
                judge.forbidden(place, "spec.exempt", "must be nil if the type is Limited");
            }
            if limited.is_none() {
                judge.required(place, "spec.limited", "must not be empty when type is Limited");
            }
        }
        other => {
            judge.unsupported(place, "spec.type", other, &["Exempt", "Limited"]);
            judge.settle("spec");
        }
    }
}

/// What does not belong to the type is not looked into.
fn only_of_its_type<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    match place.text("type") {
        "Exempt" => judge.settle("limited"),
        "Limited" => judge.settle("exempt"),
        _ => {}
    }
}

fn limit_response<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.above("PriorityLevelConfigurationSpec").is_some_and(|spec| spec.text("type") != "Limited") {
        return judge.settle("queuing");
    }
    match (place.text("type"), place.has("queuing")) {
        ("Reject", true) => {
            judge.forbidden(place, "queuing", "must be nil if limited.limitResponse.type is not Limited");
            judge.settle("queuing");
        }
        ("Queue", false) => {
            judge.required(place, "queuing", "must not be empty if limited.limitResponse.type is Limited");
        }
        ("Reject" | "Queue", _) => {}
        (other, _) => {
            judge.unsupported(place, "type", other, &["Queue", "Reject"]);
            judge.settle("queuing");
        }
    }
}

fn queuing<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const QUEUES_MAX: i64 = 10_000_000;
    const BITS_MAX: u32 = 60;
    let number = |field| place.number(field).unwrap_or(0);
    let (queues, hand) = (number("queues"), number("handSize"));
    if number("queueLengthLimit") <= 0 {
        judge.invalid_as(place, "queueLengthLimit", number("queueLengthLimit"), "must be positive");
    }
    if queues <= 0 {
        judge.invalid_as(place, "queues", queues, "must be positive");
    } else if queues > QUEUES_MAX {
        judge.invalid_as(place, "queues", queues, format!("must not be greater than {QUEUES_MAX}"));
    }
    if hand <= 0 {
        judge.invalid_as(place, "handSize", hand, "must be positive");
    } else if hand > queues {
        judge.invalid_as(place, "handSize", hand, format!("should not be greater than queues ({queues})"));
    } else {
        let bits = (0..hand).map(|dealt| ((queues - dealt) as f64).log2()).sum::<f64>().ceil() as u32;
        if bits > BITS_MAX {
            let detail = format!(
                "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {BITS_MAX}"
            );
            judge.invalid_as(place, "handSize", hand, detail);
        }
    }
}
