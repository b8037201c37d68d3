//! How objects get from one version to another: by a webhook that can be reached and understands reviews.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Leniency;
use crate::{
    api::{
        custom::is_true,
        schema::{Object, Value},
    },
    client::ca_error,
    object::validation::names::label_1035_name,
    request::status::{FieldError, go_quote},
};

const STRATEGY: &str = "spec.conversion.strategy";
const CONFIG: &str = "spec.conversion.webhookClientConfig";
const VERSIONS: &str = "spec.conversion.conversionReviewVersions";
const KNOWN: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn review_versions(definition: &Object) -> Vec<String> {
    let versions = definition.get_list(&["spec", "conversion", "conversionReviewVersions"]).unwrap_or_default();
    versions.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) fn has_known(versions: &[String]) -> bool {
    versions.iter().any(|version| KNOWN.contains(&version.as_str()))
}

pub(super) fn validate(definition: &Object, lenient: Leniency<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let Some(conversion) = definition.get(&["spec", "conversion"]) else { return errors };
    let strategy = conversion.child("strategy").and_then(Value::as_str).unwrap_or_default();
    match strategy {
        "" => errors.push(FieldError::required(STRATEGY, "")),
        "None" | "Webhook" => {}
        other => errors.push(FieldError::not_supported(STRATEGY, other, &["None", "Webhook"])),
    }
    let config = conversion.child("webhookClientConfig");
    let versions = review_versions(definition);
    if strategy != "Webhook" {
        let detail = "should not be set when strategy is not set to Webhook";
        errors.extend(config.map(|_| FieldError::forbidden(CONFIG, detail)));
        if !versions.is_empty() {
            errors.push(FieldError::forbidden(VERSIONS, detail));
        }
        return errors;
    }
    match config {
        Some(config) => errors.extend(client(config)),
        None => errors.push(FieldError::required(CONFIG, "required when strategy is set to Webhook")),
    }
    errors.extend(reviews(&versions, lenient));
    errors
}

fn reviews(versions: &[String], lenient: Leniency<'_>) -> Vec<FieldError> {
    if versions.is_empty() {
        return vec![FieldError::required(VERSIONS, "")];
    }
    let mut errors = Vec::new();
    for (at, version) in versions.iter().enumerate() {
        let path = format!("{VERSIONS}[{at}]");
        if versions[..at].contains(version) {
            errors.push(FieldError::invalid(path, version, "duplicate version"));
            continue;
        }
        let messages = label_1035_name(version, false).into_iter();
        errors.extend(messages.map(|message| FieldError::invalid(path.as_str(), version, message)));
    }
    if !lenient.review_versions_may_be_unknown && !has_known(versions) {
        let shown: Vec<String> = versions.iter().map(|version| go_quote(version)).collect();
        let detail = format!("must include at least one of {}", KNOWN.join(", "));
        errors.push(FieldError::invalid_value(VERSIONS, format!("[{}]", shown.join(",")), detail));
    }
    errors
}

/// Why nobody could be trusted by the authorities of a webhook.
pub(super) fn authorities_error(definition: &Object) -> Option<(&[u8], String)> {
    let bundle = definition.get(&["spec", "conversion", "webhookClientConfig", "caBundle"])?.as_bytes()?;
    if bundle.is_empty() {
        return None;
    }
    ca_error(bundle).map(|why| (bundle, why))
}

/// Authorities of a definition that is served must be good, unless those before were not.
pub(super) fn validate_authorities(definition: &Object, before: &Object) -> Option<FieldError> {
    if !is_true(before, "Established") || authorities_error(before).is_some() {
        return None;
    }
    let (bundle, why) = authorities_error(definition)?;
    Some(FieldError::invalid_value(format!("{CONFIG}.caBundle"), go_quote(&STANDARD.encode(bundle)), why))
}

fn client(config: &Value) -> Vec<FieldError> {
    let (url, service) = (config.child("url").and_then(Value::as_str), config.child("service"));
    match (url, service) {
        (Some(url), None) => webhook_url(url),
        (None, Some(service)) => webhook_service(service),
        _ => vec![FieldError::required(CONFIG, "exactly one of url or service is required")],
    }
}

fn webhook_url(url: &str) -> Vec<FieldError> {
    const FORM: &str = "; desired format: https://host[/path]";
    let path = format!("{CONFIG}.url");
    let mut errors = Vec::new();
    let mut refuse = |shown: &str, detail: &str| errors.push(FieldError::invalid(path.as_str(), shown, detail));
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if scheme != "https" {
        refuse(scheme, &format!("'https' is the only allowed URL scheme{FORM}"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if host.is_empty() || scheme.is_empty() {
        refuse("", &format!("host must be specified{FORM}"));
    }
    if let Some(user) = user {
        refuse(user, "user information is not permitted in the URL");
    }
    if let Some((_, fragment)) = url.split_once('#').filter(|(_, fragment)| !fragment.is_empty()) {
        refuse(fragment, "fragments are not permitted in the URL");
    }
    if let Some((_, query)) = url.split('#').next().and_then(|url| url.split_once('?')) {
        refuse(query, "query parameters are not permitted in the URL");
    }
    errors
}

fn webhook_service(service: &Value) -> Vec<FieldError> {
    let path = format!("{CONFIG}.service");
    let text = |field: &str| service.child(field).and_then(Value::as_str).unwrap_or_default();
    let mut errors = Vec::new();
    // The real server takes the name for the namespace here, and says the one of the other.
    for (field, said) in [("namespace", "name"), ("name", "namespace")] {
        if text(field).is_empty() {
            errors.push(FieldError::required(format!("{path}.{said}"), ""));
        }
    }
    if let Some(port) = service.child("port").and_then(Value::as_i64).filter(|port| !(1..=65535).contains(port)) {
        let detail = "port is not valid: must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid_value(format!("{path}.port"), port, detail));
    }
    let url = text("path");
    if !url.is_empty() {
        errors.extend(url_path(url, &format!("{path}.path")));
    }
    errors
}

fn url_path(url: &str, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if url == "/" {
        return errors;
    }
    if !url.starts_with('/') {
        errors.push(FieldError::invalid(path, url, "must start with a '/'"));
    }
    let trimmed = url.trim_start_matches('/');
    for (at, step) in trimmed.trim_end_matches('/').split('/').enumerate() {
        if step.is_empty() {
            errors.push(FieldError::invalid(path, url, format!("segment[{at}] may not be empty")));
            continue;
        }
        let messages = super::forms::subdomain_name(step, false).into_iter();
        errors.extend(messages.map(|why| FieldError::invalid(path, url, format!("segment[{at}]: {why}"))));
    }
    errors
}
