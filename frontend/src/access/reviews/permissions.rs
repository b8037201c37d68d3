//! Whether somebody may do something.

use serde_json::{Value, json};

use crate::{
    access::{
        Access,
        authz::{Attributes, Authorizer, Selector, Verdict},
    },
    api::schema::{Object, Value as Field, codec},
    object::{
        selector::{FieldTerm, Operator, Requirement},
        validation::names,
    },
    request::{
        User,
        status::{ApiError, FieldError, go_quote, json_quote},
    },
};

const RESOURCE: &str = "spec.resourceAttributes";

pub(super) async fn answer(
    access: &Access,
    review: &Object,
    kind: &str,
    asker: &User,
    namespace: &str,
) -> Result<Value, ApiError> {
    let of_self = kind == "SelfSubjectAccessReview";
    let local = kind == "LocalSubjectAccessReview";
    let mut errors = spec_errors(review);
    if !of_self && nobody(review) {
        errors.push(FieldError::invalid("spec.user", "", "at least one of user or group must be specified"));
    }
    errors.extend(selector_errors(review, "fieldSelector"));
    errors.extend(selector_errors(review, "labelSelector"));
    errors.extend(metadata_error(review, local));
    if local {
        errors.extend(local_errors(review, namespace));
    }
    // The real server names no kind in these refusals.
    if !errors.is_empty() {
        return Err(ApiError::invalid("authorization.k8s.io", "", "", errors));
    }
    let user = if of_self { asker.clone() } else { subject(review) };
    Ok(decide(access, review, user).await)
}

fn text<'a>(review: &'a Object, part: &str, field: &str) -> &'a str {
    review.get_str(&["spec", part, field]).unwrap_or_default()
}

async fn decide(access: &Access, review: &Object, user: User) -> Value {
    let part = "resourceAttributes";
    let attributes = match review.get(&["spec", part]) {
        Some(_) => Attributes {
            user,
            verb: text(review, part, "verb").to_owned(),
            is_resource: true,
            namespace: text(review, part, "namespace").to_owned(),
            group: text(review, part, "group").to_owned(),
            version: Some(text(review, part, "version")).filter(|v| !v.is_empty()).unwrap_or("*").to_owned(),
            resource: text(review, part, "resource").to_owned(),
            subresource: text(review, part, "subresource").to_owned(),
            name: text(review, part, "name").to_owned(),
            path: String::new(),
            field_selector: field_selector(review),
            label_selector: label_selector(review),
        },
        None => Attributes {
            user,
            verb: text(review, "nonResourceAttributes", "verb").to_owned(),
            path: text(review, "nonResourceAttributes", "path").to_owned(),
            ..Attributes::default()
        },
    };
    let decision = access.authorization.authorize(&attributes).await;
    let mut status = json!({"allowed": decision.is_allowed()});
    if decision.verdict == Verdict::Deny {
        status["denied"] = json!(true);
    }
    if !decision.reason.is_empty() {
        status["reason"] = json!(decision.reason);
    }
    let mut errors: Vec<String> = decision.error.into_iter().collect();
    let selectors = [
        ("fieldSelector", attributes.field_selector.error.is_some(), attributes.field_selector.terms.is_empty()),
        ("labelSelector", attributes.label_selector.error.is_some(), attributes.label_selector.terms.is_empty()),
    ];
    for (name, _, nothing_left) in selectors.into_iter().filter(|(_, failed, _)| *failed) {
        let partially = if nothing_left { "" } else { "partially " };
        errors.push(format!("{RESOURCE}.{name} {partially}ignored due to parse error"));
    }
    if !errors.is_empty() {
        status["evaluationError"] = json!(errors.join("; "));
    }
    status
}

/// The user whom a SubjectAccessReview is about.
fn subject(review: &Object) -> User {
    let groups = review.get_list(&["spec", "groups"]).unwrap_or_default();
    let texts = |list: &[Field]| list.iter().filter_map(Field::as_str).map(str::to_owned).collect::<Vec<_>>();
    let extra = review.get_map(&["spec", "extra"]).map(|extra| {
        let pairs = extra.iter().map(|(key, values)| (key.to_owned(), texts(values.as_list().unwrap_or_default())));
        pairs.collect()
    });
    User {
        name: review.get_str(&["spec", "user"]).unwrap_or_default().to_owned(),
        uid: review.get_str(&["spec", "uid"]).unwrap_or_default().to_owned(),
        groups: texts(groups),
        extra: extra.unwrap_or_default(),
    }
}

fn nobody(review: &Object) -> bool {
    review.get_str(&["spec", "user"]).unwrap_or_default().is_empty()
        && review.get_list(&["spec", "groups"]).unwrap_or_default().is_empty()
}

fn spec_errors(review: &Object) -> Vec<FieldError> {
    let resource = review.get(&["spec", "resourceAttributes"]);
    let other = review.get(&["spec", "nonResourceAttributes"]);
    match (resource, other) {
        (Some(_), Some(_)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            vec![FieldError::invalid_value("spec.nonResourceAttributes", printed_path(review), why)]
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            vec![FieldError::invalid_value(RESOURCE, "null", why)]
        }
        _ => Vec::new(),
    }
}

fn printed_path(review: &Object) -> String {
    let field = |name| json_quote(text(review, "nonResourceAttributes", name));
    format!("{{\"Path\":{},\"Verb\":{}}}", field("path"), field("verb"))
}

fn metadata_error(review: &Object, local: bool) -> Option<FieldError> {
    let metadata = review.get(&["metadata"]).and_then(Field::as_struct)?;
    let mut given = metadata.clone();
    given.remove("managedFields");
    if local {
        given.remove("namespace");
    }
    if given.iter().all(|(_, value)| value.is_zero()) {
        return None;
    }
    let mut printed = Vec::new();
    codec::encode_struct_json(metadata, &mut printed);
    let why = if local { "must be empty except for namespace" } else { "must be empty" };
    Some(FieldError::invalid_value("metadata", String::from_utf8_lossy(&printed), why))
}

fn local_errors(review: &Object, namespace: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let asked = text(review, "resourceAttributes", "namespace");
    if review.get(&["spec", "resourceAttributes"]).is_some() && asked != namespace {
        errors.push(FieldError::invalid(format!("{RESOURCE}.namespace"), asked, "must match metadata.namespace"));
    }
    if review.get(&["spec", "nonResourceAttributes"]).is_some() {
        let why = "disallowed on this kind of request";
        errors.push(FieldError::invalid_value("spec.nonResourceAttributes", printed_path(review), why));
    }
    errors
}

/// Key, operator and values of each requirement of a selector.
fn requirements<'a>(review: &'a Object, selector: &str) -> Vec<(&'a str, &'a str, Vec<&'a str>)> {
    let list = review.get_list(&["spec", "resourceAttributes", selector, "requirements"]).unwrap_or_default();
    let read = |requirement: &'a Field| {
        let field = |name: &str| requirement.child(name).and_then(Field::as_str).unwrap_or_default();
        let values = requirement.child("values").and_then(Field::as_list).unwrap_or_default();
        (field("key"), field("operator"), values.iter().filter_map(Field::as_str).collect())
    };
    list.iter().map(read).collect()
}

fn raw<'a>(review: &'a Object, selector: &str) -> &'a str {
    review.get_str(&["spec", "resourceAttributes", selector, "rawSelector"]).unwrap_or_default()
}

fn selector_errors(review: &Object, selector: &str) -> Vec<FieldError> {
    if review.get(&["spec", "resourceAttributes", selector]).is_none() {
        return Vec::new();
    }
    let path = format!("{RESOURCE}.{selector}");
    let (raw, requirements) = (raw(review, selector), requirements(review, selector));
    let mut errors = Vec::new();
    if !raw.is_empty() && !requirements.is_empty() {
        let why = "may not specified at the same time as requirements";
        errors.push(FieldError::invalid(format!("{path}.rawSelector"), raw, why));
    }
    if raw.is_empty() && requirements.is_empty() {
        let why = format!("when {path} is specified, requirements or rawSelector is required");
        errors.push(FieldError::required(format!("{path}.requirements"), why));
    }
    for (at, (key, operator, values)) in requirements.iter().enumerate() {
        let path = format!("{path}.requirements[{at}]");
        match *operator {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(format!("{path}.values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(format!("{path}.values"), why));
            }
            _ => {}
        }
        if selector == "labelSelector" {
            let key_errors = names::label_key(key).into_iter();
            errors.extend(key_errors.map(|why| FieldError::invalid(format!("{path}.key"), key, why)));
            for (at, value) in values.iter().enumerate() {
                let value_errors = names::label_value(value).into_iter();
                errors.extend(value_errors.map(|why| FieldError::invalid(format!("{path}.values[{at}]"), value, why)));
            }
        } else if key.is_empty() {
            errors.push(FieldError::required(format!("{path}.key"), "must be specified"));
        }
    }
    errors
}

fn field_selector(review: &Object) -> Selector<FieldTerm> {
    let requirements = requirements(review, "fieldSelector");
    if requirements.is_empty() {
        return Selector::of_fields(raw(review, "fieldSelector"));
    }
    let mut selector = Selector::default();
    for (key, operator, values) in requirements {
        match (operator, values.as_slice()) {
            ("In" | "NotIn", [value]) => selector.terms.push(FieldTerm {
                field: key.to_owned(),
                value: (*value).to_owned(),
                negated: operator == "NotIn",
            }),
            _ => selector.error = Some(format!("{operator} of {} values is not understood", values.len())),
        }
    }
    selector
}

fn label_selector(review: &Object) -> Selector<Requirement> {
    let requirements = requirements(review, "labelSelector");
    if requirements.is_empty() {
        return Selector::of_labels(raw(review, "labelSelector"));
    }
    let mut selector = Selector::default();
    for (key, operator, values) in requirements {
        let operator = match operator {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => {
                selector.error = Some(format!("{} is not a valid label selector operator", go_quote(other)));
                continue;
            }
        };
        let mut values: Vec<String> = values.into_iter().map(str::to_owned).collect();
        values.sort_unstable();
        values.dedup();
        selector.terms.push(Requirement { key: key.to_owned(), operator, values });
    }
    selector
}
