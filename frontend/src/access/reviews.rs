//! Reviews: objects that are questions about identities and permissions, answered in their status and not stored.
//!
//! In: a decoded review, who asks, and the namespace of the path. Out: the same object with its status. Not here: whether
//! the asker may ask (authz judged the request already).

use serde_json::{Value, json};

use crate::{
    access::{
        Access,
        authz::{Attributes, Authorizer, Verdict},
    },
    api::schema::{Object, codec},
    cluster::Cluster,
    request::{
        User,
        status::{ApiError, FieldError, go_quote},
    },
};

/// The kinds that are answered here.
pub fn is_review(kind: &str) -> bool {
    matches!(
        kind,
        "SelfSubjectReview"
            | "TokenReview"
            | "SelfSubjectAccessReview"
            | "SubjectAccessReview"
            | "LocalSubjectAccessReview"
            | "SelfSubjectRulesReview"
    )
}

/// Answers a review. A kind that is no review is a fault of the caller.
pub async fn answer(
    access: &Access,
    cluster: &Cluster,
    review: &mut Object,
    asker: &User,
    namespace: &str,
) -> Result<(), ApiError> {
    let kind = review.gvk().kind.to_string();
    let status = match kind.as_str() {
        "SelfSubjectReview" => {
            review.set_creation_timestamp(&cluster.now_text());
            json!({"userInfo": user_info(asker)})
        }
        "TokenReview" => token(access, review).await?,
        "SelfSubjectAccessReview" => {
            refuse_invalid(access_errors(review, false))?;
            judge(access, review, asker.clone()).await
        }
        "SubjectAccessReview" => {
            refuse_invalid(access_errors(review, true))?;
            judge(access, review, subject(review)).await
        }
        "LocalSubjectAccessReview" => {
            let mut errors = access_errors(review, true);
            errors.extend(local_errors(review, namespace));
            refuse_invalid(errors)?;
            judge(access, review, subject(review)).await
        }
        "SelfSubjectRulesReview" => rules(access, review, asker)?,
        _ => return Err(ApiError::internal(format!("{kind} is no review"))),
    };
    fill_status(cluster, review, &status)
}

/// The status comes by way of JSON, so that the schema alone knows the shapes.
fn fill_status(cluster: &Cluster, review: &mut Object, status: &Value) -> Result<(), ApiError> {
    let gvk = review.gvk().clone();
    let document = json!({"apiVersion": gvk.api_version(), "kind": gvk.kind, "status": status});
    let decoded = codec::decode_json(&cluster.schema(), document.to_string().as_bytes(), Some(&gvk));
    let decoded = decoded.map_err(|_| ApiError::internal("the review could not be answered"))?;
    review.copy_from(&decoded.object, &["status"]);
    Ok(())
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if !user.extra.is_empty() {
        let extra: serde_json::Map<String, Value> = user.extra.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        info["extra"] = Value::Object(extra);
    }
    info
}

async fn token(access: &Access, review: &Object) -> Result<Value, ApiError> {
    let token = review.get_str(&["spec", "token"]).unwrap_or_default();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    match access.authentication.authenticate_token(token).await {
        Ok(user) => Ok(json!({"authenticated": true, "user": user_info(&user)})),
        Err(why) => Ok(json!({"user": {}, "error": why.to_string()})),
    }
}

async fn judge(access: &Access, review: &Object, user: User) -> Value {
    let text = |part: &str, field: &str| review.get_str(&["spec", part, field]).unwrap_or_default().to_owned();
    let is_resource = review.get(&["spec", "resourceAttributes"]).is_some();
    let part = if is_resource { "resourceAttributes" } else { "nonResourceAttributes" };
    let attributes = Attributes {
        user,
        verb: text(part, "verb"),
        is_resource,
        namespace: text(part, "namespace"),
        group: text(part, "group"),
        version: text(part, "version"),
        resource: text(part, "resource"),
        subresource: text(part, "subresource"),
        name: text(part, "name"),
        path: text(part, "path"),
    };
    let decision = access.authorization.authorize(&attributes).await;
    let mut status = json!({"allowed": decision.is_allowed()});
    if decision.verdict == Verdict::Deny {
        status["denied"] = json!(true);
    }
    if !decision.reason.is_empty() {
        status["reason"] = json!(decision.reason);
    }
    if let Some(error) = decision.error {
        status["evaluationError"] = json!(error);
    }
    status
}

/// The user whom a SubjectAccessReview is about.
fn subject(review: &Object) -> User {
    let groups = review.get_list(&["spec", "groups"]).unwrap_or_default();
    User {
        name: review.get_str(&["spec", "user"]).unwrap_or_default().to_owned(),
        uid: review.get_str(&["spec", "uid"]).unwrap_or_default().to_owned(),
        groups: groups.iter().filter_map(|g| g.as_str()).map(str::to_owned).collect(),
        extra: Vec::new(),
    }
}

fn access_errors(review: &Object, names_subject: bool) -> Vec<FieldError> {
    let resource = review.get(&["spec", "resourceAttributes"]);
    let other = review.get(&["spec", "nonResourceAttributes"]);
    let mut errors = Vec::new();
    match (resource, other) {
        (Some(_), Some(_)) => {
            let field = |name| review.get_str(&["spec", "nonResourceAttributes", name]).unwrap_or_default();
            let printed = format!("{{\"Path\":{},\"Verb\":{}}}", go_quote(field("path")), go_quote(field("verb")));
            let why = "cannot be specified in combination with resourceAttributes";
            errors.push(FieldError::invalid_value("spec.nonResourceAttributes", printed, why));
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(FieldError::invalid_value("spec.resourceAttributes", "null", why));
        }
        _ => {}
    }
    let nobody = review.get_str(&["spec", "user"]).unwrap_or_default().is_empty()
        && review.get_list(&["spec", "groups"]).unwrap_or_default().is_empty();
    if names_subject && nobody {
        errors.push(FieldError::invalid("spec.user", "", "at least one of user or group must be specified"));
    }
    errors
}

fn local_errors(review: &Object, namespace: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let asked = review.get_str(&["spec", "resourceAttributes", "namespace"]).unwrap_or_default();
    if review.get(&["spec", "resourceAttributes"]).is_some() && asked != namespace {
        errors.push(FieldError::invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace"));
    }
    if review.get(&["spec", "nonResourceAttributes"]).is_some() {
        let why = "disallowed on this kind of request";
        errors.push(FieldError::invalid_value("spec.nonResourceAttributes", "{}", why));
    }
    errors
}

/// The real server names no kind in these refusals.
fn refuse_invalid(errors: Vec<FieldError>) -> Result<(), ApiError> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid("authorization.k8s.io", "", "", errors)),
    }
}

/// What the asker may do in a namespace, as far as authorizers can tell.
fn rules(access: &Access, review: &mut Object, asker: &User) -> Result<Value, ApiError> {
    let namespace = review.get_str(&["spec", "namespace"]).unwrap_or_default().to_owned();
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    review.remove(&["spec", "namespace"]);
    let all = access.authorization.rules_of(asker, &namespace);
    let (mut resource_rules, mut other_rules) = (Vec::new(), Vec::new());
    for rule in &all.rules {
        if !rule.resources.is_empty() {
            let mut shown = json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources});
            if !rule.names.is_empty() {
                shown["resourceNames"] = json!(rule.names);
            }
            resource_rules.push(shown);
        }
        if !rule.urls.is_empty() {
            other_rules.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.urls}));
        }
    }
    let mut status = json!({
        "resourceRules": resource_rules,
        "nonResourceRules": other_rules,
        "incomplete": all.incomplete,
    });
    if let Some(error) = all.error {
        status["evaluationError"] = json!(error);
    }
    Ok(status)
}
