//! Requests for certificates, and the names of signers.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use x509_parser::{certification_request::X509CertificationRequest, pem::Pem, prelude::FromDer};

use super::{
    super::{
        diff,
        error_list::ErrorList,
        field_path::FieldPath,
        names,
        rule::{Rule, with},
    },
    resources::text,
};
use crate::api::{
    openapi::KEY_USAGES,
    schema::{Object, Struct, Value},
};

pub(super) static RULES: &[Rule] = &[with("certificates.v1.CertificateSigningRequest", request, &[])];

const EXPIRATION_SECONDS_MIN: i64 = 600;
/// Conditions that are true or not there.
const ALWAYS_TRUE: [&str; 3] = ["Approved", "Denied", "Failed"];

/// A whole request, whichever of its endpoints changes it. What was wrong before may stay so.
fn request<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let spec = path.child("spec");
    let sent = spec.and_then(|spec| spec.get("request")).and_then(Value::as_bytes);
    let bytes = sent.unwrap_or_default();
    if let Err(why) = check_request(bytes) {
        let shown = sent.map_or_else(|| "null".to_owned(), |bytes| format!("\"{}\"", BASE64.encode(bytes)));
        errors.invalid_as(path, "spec.request", shown, why);
    }
    let words = |list: Option<&'t Value>| -> Vec<&'t str> {
        list.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str).collect()
    };
    let usages = words(spec.and_then(|spec| spec.get("usages")));
    let before = words(errors.old.and_then(|old| old.get(&["spec", "usages"])));
    if usages.is_empty() {
        errors.required(path, "spec.usages", "");
    }
    let odd = |usage: &&str| !KEY_USAGES.contains(usage);
    for (at, usage) in usages.iter().enumerate().filter(|(_, usage)| odd(usage) && !before.iter().any(odd)) {
        errors.unsupported(path, &format!("spec.usages[{at}]"), usage, KEY_USAGES);
    }
    if !repeats(&before) {
        for (at, usage) in usages.iter().enumerate().filter(|(at, usage)| usages[..*at].contains(usage)) {
            errors.duplicate(path, &format!("spec.usages[{at}]"), usage);
        }
    }
    signer(path, errors);
    let seconds = spec.and_then(|spec| spec.get("expirationSeconds")).and_then(Value::as_i64);
    if let Some(seconds) = seconds.filter(|seconds| *seconds < EXPIRATION_SECONDS_MIN) {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.invalid_as(path, "spec.expirationSeconds", seconds, detail);
    }
    conditions(path, errors);
    certificate(path, errors);
}

fn repeats(words: &[&str]) -> bool {
    words.iter().enumerate().any(|(at, word)| words[..at].contains(word))
}

fn check_request(pem: &[u8]) -> Result<(), String> {
    const TYPE: &str = "PEM block type must be CERTIFICATE REQUEST";
    let block = Pem::iter_from_buffer(pem).find_map(Result::ok).filter(|block| block.label == "CERTIFICATE REQUEST");
    let block = block.ok_or_else(|| TYPE.to_owned())?;
    let (_, request) = X509CertificationRequest::from_der(&block.contents)
        .map_err(|_| "asn1: structure error: tags don't match".to_owned())?;
    request.verify_signature().map_err(|_| "x509: signature verification failure".to_owned())
}

fn signer<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const LEGACY: &str = "kubernetes.io/legacy-unknown";
    let name = path.at(&["spec", "signerName"]).and_then(Value::as_str).unwrap_or_default();
    let known = errors.old.is_some_and(|old| old.get_str(&["spec", "signerName"]) == Some(LEGACY));
    if name == LEGACY && !known {
        let detail = "the legacy signerName is not allowed via this API version";
        errors.invalid(path, "spec.signerName", name, detail);
    } else {
        signer_name(path, "spec.signerName", name, errors);
    }
}

fn all_conditions(status: Option<&Value>) -> Vec<&Struct> {
    let list = status.and_then(|status| status.child("conditions")).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_struct).collect()
}

fn conditions<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const EXCLUSIVE: &str = "Approved and Denied conditions are mutually exclusive";
    let conditions = all_conditions(path.get("status"));
    let before: Vec<&str> = errors
        .old
        .map(|old| all_conditions(old.get(&["status"])).iter().map(|condition| text(condition, "type")).collect())
        .unwrap_or_default();
    let decided = |kinds: &[&str]| kinds.contains(&"Approved") && kinds.contains(&"Denied");
    let mut seen: Vec<&str> = Vec::new();
    for (at, condition) in conditions.iter().enumerate() {
        let (kind, status) = (text(condition, "type"), text(condition, "status"));
        let field = format!("status.conditions[{at}]");
        if kind.is_empty() && !before.contains(&"") {
            errors.required(path, &format!("{field}.type"), "");
        }
        let supported: &[&str] = if ALWAYS_TRUE.contains(&kind) { &["True"] } else { &["False", "True", "Unknown"] };
        match status {
            "" => errors.required(path, &format!("{field}.status"), ""),
            status if !supported.contains(&status) => {
                errors.unsupported(path, &format!("{field}.status"), status, supported);
            }
            _ => {}
        }
        let twice = seen.contains(&kind);
        seen.push(kind);
        if matches!(kind, "Approved" | "Denied") && decided(&seen) && !decided(&before) {
            errors.invalid(path, "status.conditions", kind, EXCLUSIVE);
        }
        if twice && !repeats(&before) {
            errors.duplicate(path, &format!("{field}.type"), kind);
        }
    }
}

/// A certificate that is new must be one.
fn certificate<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let bytes = |value: Option<&'t Value>| value.and_then(Value::as_bytes).unwrap_or_default();
    let new = bytes(path.at(&["status", "certificate"]));
    let old = errors.old.map(|old| bytes(old.get(&["status", "certificate"])));
    if old.is_some_and(|old| old == new || check_certificates(old).is_err()) {
        return;
    }
    if let Err(why) = check_certificates(new) {
        errors.invalid(path, "status.certificate", "<certificate data>", why);
    }
}

fn check_certificates(pem: &[u8]) -> Result<(), String> {
    if pem.is_empty() {
        return Ok(());
    }
    let mut blocks = 0;
    for block in Pem::iter_from_buffer(pem).map_while(Result::ok) {
        if block.label != "CERTIFICATE" {
            let found = crate::request::status::go_quote(&block.label);
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {found}"));
        }
        x509_parser::parse_x509_certificate(&block.contents).map_err(|_| "x509: malformed certificate".to_owned())?;
        blocks += 1;
    }
    if blocks == 0 {
        return Err("must contain at least one CERTIFICATE PEM block".to_owned());
    }
    Ok(())
}

/// Which endpoint a change comes through, and what it may therefore change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::object::validation) enum Through {
    Main,
    Status,
    Approval,
}

pub(in crate::object::validation) fn changed<'t>(
    path: &FieldPath<'_, 't>,
    old: &'t Object,
    through: Through,
    errors: &mut ErrorList<'t>,
) {
    const CONDITIONS: &str = "status.conditions";
    let of = |conditions: Vec<&'t Struct>, kind: &str| -> Vec<Value> {
        let mut kept: Vec<&Struct> = conditions;
        kept.retain(|condition| text(condition, "type") == kind);
        kept.into_iter().cloned().map(Value::Struct).collect()
    };
    for kind in ALWAYS_TRUE {
        let new = of(all_conditions(path.get("status")), kind);
        let before = of(all_conditions(old.get(&["status"])), kind);
        if new.len() < before.len() {
            errors.forbidden(path, CONDITIONS, format!("updates may not remove a condition of type \"{kind}\""));
        }
        if through == Through::Approval || kind == "Failed" {
            continue;
        }
        if new.len() > before.len() {
            errors.forbidden(path, CONDITIONS, format!("updates may not add a condition of type \"{kind}\""));
        } else if new.len() == before.len() && new != before {
            let diff = diff::of(Some(&Value::List(before)), Some(&Value::List(new)));
            let detail = format!("updates may not modify a condition of type \"{kind}\"\n{diff}");
            errors.forbidden(path, CONDITIONS, detail);
        }
    }
    let bytes = |value: Option<&'t Value>| value.and_then(Value::as_bytes).unwrap_or_default();
    let new = bytes(path.at(&["status", "certificate"]));
    let before = bytes(old.get(&["status", "certificate"]));
    if new != before && through != Through::Status {
        errors.forbidden(path, "status.certificate", "updates may not set certificate content");
    } else if new != before && !before.is_empty() {
        errors.forbidden(path, "status.certificate", "updates may not modify existing certificate content");
    }
}

const DOMAIN_MAX: usize = 253;
const PATH_MAX: usize = 253 + 63 + 1;

/// `example.com/signer-name`.
pub(super) fn signer_name<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, errors: &mut ErrorList<'t>) {
    if name.is_empty() {
        return errors.required(path, field, "");
    }
    let (domain, rest) = match name.split('/').collect::<Vec<_>>().as_slice() {
        [domain, rest] => (*domain, *rest),
        _ => {
            let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            return errors.invalid(path, field, name, detail);
        }
    };
    if domain.len() > DOMAIN_MAX {
        errors.too_long(path, field, DOMAIN_MAX);
    }
    labels(path, field, domain, names::dns_1123_label, errors);
    if !domain.contains('.') {
        errors.invalid(path, field, domain, "should be a domain with at least two segments separated by dots");
    }
    labels(path, field, rest, names::dns_1123_subdomain, errors);
    if name.len() > DOMAIN_MAX + PATH_MAX + 1 {
        errors.too_long(path, field, DOMAIN_MAX + PATH_MAX + 1);
    }
}

/// The first bad label of a dotted text.
fn labels<'t>(
    path: &FieldPath<'_, 't>,
    field: &str,
    text: &str,
    form: fn(&str) -> Vec<String>,
    errors: &mut ErrorList<'t>,
) {
    let bad = text.split('.').map(|label| (label, form(label))).find(|(_, messages)| !messages.is_empty());
    for (label, message) in bad.into_iter().flat_map(|(label, all)| all.into_iter().map(move |one| (label, one))) {
        let detail = format!("validating label {}: {message}", crate::request::status::go_quote(label));
        errors.invalid(path, field, text, detail);
    }
}
