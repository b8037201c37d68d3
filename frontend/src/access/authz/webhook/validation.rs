//! What must be right in a file of authorizers.

use std::{path::Path, time::Duration};

use super::{
    conditions,
    settings::{AuthorizationConfiguration, AuthorizerSettings, ConnectionInfo, MatchCondition, WebhookSettings},
};
use crate::{api::schema::scalar::names, config::AuthorizationMode, request::status::FieldError};

const CONDITIONS_MAX: usize = 64;
const TIME_MAX: Duration = Duration::from_secs(30);

/// All that is wrong, in order.
pub(in crate::access::authz) fn validate(configuration: &AuthorizationConfiguration) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let all = &configuration.authorizers;
    if all.is_empty() {
        let why = "at least one authorization mode must be defined";
        errors.push(FieldError::required("authorizers", why));
    }
    let (mut kinds, mut names): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (at, one) in all.iter().enumerate() {
        let path = format!("authorizers[{at}]");
        let kind = one.kind.as_str();
        if kind.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), ""));
            continue;
        }
        if AuthorizationMode::named(kind).is_none() {
            errors.push(FieldError::not_supported(format!("{path}.type"), kind, &AuthorizationMode::NAMES));
            continue;
        }
        if kinds.contains(&kind) && kind != "Webhook" {
            errors.push(FieldError::duplicate(format!("{path}.type"), kind));
            continue;
        }
        kinds.push(kind);
        errors.extend(name_error(one, &names, &path));
        names.push(&one.name);
        match (&one.webhook, kind) {
            (None, "Webhook") => {
                errors.push(FieldError::required(format!("{path}.webhook"), "required when type=Webhook"))
            }
            (Some(webhook), "Webhook") => self::webhook(webhook, &path, &mut errors),
            (Some(_), _) => {
                let why = "may only be specified when type=Webhook";
                errors.push(FieldError::invalid(format!("{path}.webhook"), "non-null", why));
            }
            (None, _) => {}
        }
    }
    errors
}

fn name_error(one: &AuthorizerSettings, before: &[&str], path: &str) -> Option<FieldError> {
    let (name, field) = (one.name.as_str(), format!("{path}.name"));
    if name.is_empty() {
        return Some(FieldError::required(field, ""));
    }
    if before.contains(&name) {
        return Some(FieldError::duplicate(field, name));
    }
    let wrong = names::dns_1123_subdomain(name);
    let why = format!("authorizer name is invalid: {}", wrong.join(", "));
    (!wrong.is_empty()).then(|| FieldError::invalid(field, name, why))
}

fn webhook(settings: &WebhookSettings, path: &str, errors: &mut Vec<FieldError>) {
    let field = |name: &str| format!("{path}.{name}");
    if settings.timeout.is_zero() {
        errors.push(FieldError::required(field("timeout"), ""));
    } else if settings.timeout > TIME_MAX {
        let shown = format!("{:?}", settings.timeout);
        errors.push(FieldError::invalid(field("timeout"), &shown, "must be > 0s and <= 30s"));
    }
    match settings.subject_access_review_version.as_str() {
        "" => errors.push(FieldError::required(field("subjectAccessReviewVersion"), "")),
        "v1" | "v1beta1" => {}
        other => {
            let name = field("subjectAccessReviewVersion");
            errors.push(FieldError::not_supported(name, other, &["v1", "v1beta1"]));
        }
    }
    let name = field("matchConditionSubjectAccessReviewVersion");
    match settings.match_condition_subject_access_review_version.as_str() {
        "" if settings.match_conditions.is_empty() => {}
        "" => errors.push(FieldError::required(name, "required if match conditions are specified")),
        "v1" => {}
        other => errors.push(FieldError::not_supported(name, other, &["v1"])),
    }
    match settings.failure_policy.as_str() {
        "" => errors.push(FieldError::required(field("failurePolicy"), "")),
        "NoOpinion" | "Deny" => {}
        other => errors.push(FieldError::not_supported(field("failurePolicy"), other, &["NoOpinion", "Deny"])),
    }
    errors.extend(connection_error(&settings.connection_info, &field("connectionInfo")));
    match_conditions(&settings.match_conditions, &field("matchConditions"), errors);
}

fn connection_error(info: &ConnectionInfo, path: &str) -> Option<FieldError> {
    let field = format!("{path}.kubeConfigFile");
    let file = info.kube_config_file.as_deref();
    match (info.kind.as_str(), file) {
        ("", _) => Some(FieldError::required(format!("{path}.type"), "")),
        ("InClusterConfig", None) => None,
        ("InClusterConfig", Some(file)) => {
            Some(FieldError::invalid(field, file, "can only be set when type=KubeConfigFile"))
        }
        ("KubeConfigFile", None | Some("")) => Some(FieldError::required(field, "")),
        ("KubeConfigFile", Some(file)) if !Path::new(file).is_absolute() => {
            Some(FieldError::invalid(field, file, "must be an absolute path"))
        }
        ("KubeConfigFile", Some(file)) => match std::fs::metadata(file) {
            Err(error) => Some(FieldError::invalid(field, file, format!("error loading file: {error}"))),
            Ok(found) => (!found.is_file()).then(|| FieldError::invalid(field, file, "must be a regular file")),
        },
        (other, _) => {
            let known = ["InClusterConfig", "KubeConfigFile"];
            Some(FieldError::not_supported(format!("{path}.type"), other, &known))
        }
    }
}

fn match_conditions(list: &[MatchCondition], path: &str, errors: &mut Vec<FieldError>) {
    if list.len() > CONDITIONS_MAX {
        errors.push(FieldError::too_many(path, list.len(), CONDITIONS_MAX));
        return;
    }
    for (at, MatchCondition { expression }) in list.iter().enumerate() {
        let field = format!("{path}[{at}].expression");
        if expression.trim().is_empty() {
            errors.push(FieldError::required(field, ""));
        } else if list[..at].iter().any(|other| other.expression == *expression) {
            errors.push(FieldError::duplicate(field, expression));
        } else if let Err(why) = conditions::program(expression) {
            errors.push(FieldError::invalid(field, expression, why));
        }
    }
}
