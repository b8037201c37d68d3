//! APIServices: which version of which group is served from where.

use super::super::{
    check::Check,
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    names,
    rule::{Rule, rule, with},
};
use crate::{api::schema::Value, request::status::go_quote};

pub(super) static RULES: &[Rule] = &[
    with("kube_aggregator.pkg.apis.apiregistration.v1.APIServiceSpec", api_service, &[]),
    rule(
        "kube_aggregator.pkg.apis.apiregistration.v1.APIServiceCondition",
        &[("status", Check::Exactly(&["True", "False", "Unknown"]))],
    ),
];

fn api_service<'t>(spec: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(service) = spec.up else { return };
    let (group, version) = (spec.text("group"), spec.text("version"));
    let wanted = format!("{version}.{group}");
    for field in ["generateName", "name"] {
        let name = service.at(&["metadata", field]).and_then(Value::as_str).unwrap_or_default();
        let well_formed = !name.is_empty() && names::path_segment_name(name, false).is_empty();
        if well_formed && name != wanted {
            let detail = format!("must be `spec.version+\".\"+spec.group`: {}", go_quote(&wanted));
            errors.invalid(service, &format!("metadata.{field}"), name, detail);
        }
    }
    if group.is_empty() && version != "v1" {
        errors.required(spec, "group", "only v1 may have an empty group and it better be legacy kube");
    }
    Check::Form(names::dns_1123_subdomain).apply(spec, "group", errors);
    Check::AlwaysForm(names::dns_1035_label).apply(spec, "version", errors);
    for (field, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        let number = spec.number(field).unwrap_or(0);
        if !(1..=most).contains(&number) {
            errors.invalid_as(spec, field, number, format!("must be positive and less than {most}"));
        }
    }
    where_served(spec, errors);
}

fn where_served<'t>(spec: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const INSECURE: &str = "insecureSkipTLSVerify";
    let bundle = spec.get("caBundle").and_then(Value::as_bytes).unwrap_or_default();
    let Some(service) = spec.child("service") else {
        if !bundle.is_empty() {
            let shown = format!("{} bytes", bundle.len());
            errors.invalid(spec, "caBundle", &shown, "local APIServices may not have a caBundle");
        }
        if spec.is(INSECURE) {
            errors.invalid_as(spec, INSECURE, true, "local APIServices may not have insecureSkipTLSVerify");
        }
        return;
    };
    let service = spec.below("service", Nth::Only, service);
    Check::Required.apply(&service, "namespace", errors);
    Check::Required.apply(&service, "name", errors);
    let port = service.number("port").unwrap_or(0);
    if let Some(message) = names::port_number(port) {
        errors.invalid_as(&service, "port", port, format!("port is not valid: {message}"));
    }
    if spec.is(INSECURE) && !bundle.is_empty() {
        errors.invalid_as(spec, INSECURE, true, "may not be true if caBundle is present");
    }
}
