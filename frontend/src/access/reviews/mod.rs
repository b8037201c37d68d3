//! Reviews: objects that are questions about identities and permissions, answered in their status and not stored.
//!
//! In: a decoded review, who asks, and the namespace of the path. Out: the same object with its status. Not here:
//! whether the asker may ask (authz allowed the request already).

mod permissions;
mod rules;

use serde_json::{Map, Value, json};

use crate::{
    access::Access,
    api::schema::{Object, codec},
    cluster::Cluster,
    request::{User, status::ApiError},
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
            // Nothing of what was sent is kept.
            *review = Object::new(review.ty());
            review.set_creation_timestamp(&cluster.now_text());
            json!({"userInfo": user_info(asker)})
        }
        "TokenReview" => token(access, review).await?,
        "SelfSubjectRulesReview" => {
            let status = rules::answer(access, review, asker)?;
            *review = Object::new(review.ty());
            status
        }
        "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            permissions::answer(access, review, &kind, asker, namespace).await?
        }
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
        let extra: Map<String, Value> = user.extra.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        info["extra"] = Value::Object(extra);
    }
    info
}

async fn token(access: &Access, review: &Object) -> Result<Value, ApiError> {
    let token = review.get_str(&["spec", "token"]).unwrap_or_default();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = review.get_list(&["spec", "audiences"]).unwrap_or_default();
    let audiences: Vec<String> = audiences.iter().filter_map(|a| a.as_str()).map(str::to_owned).collect();
    match access.authentication.review(token, &audiences).await {
        Ok(identity) => {
            let mut status = json!({"authenticated": true, "user": user_info(&identity.user)});
            if !identity.audiences.is_empty() {
                status["audiences"] = json!(identity.audiences);
            }
            Ok(status)
        }
        Err(why) => Ok(json!({"user": {}, "error": why.to_string()})),
    }
}
