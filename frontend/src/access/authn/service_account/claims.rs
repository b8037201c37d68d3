//! What a token says.

use serde::{Deserialize, Serialize};

use crate::{
    access::authn::jose::claims::{audiences, seconds},
    api::schema::Object,
};

/// The claims of a token, in the order in which they are printed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "audiences", skip_serializing_if = "Vec::is_empty")]
    pub(super) aud: Vec<String>,
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub(super) exp: Option<i64>,
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<i64>,
    #[serde(default)]
    pub(super) iss: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) jti: String,
    #[serde(default, rename = "kubernetes.io", skip_serializing_if = "Option::is_none")]
    pub(super) kubernetes: Option<Kubernetes>,
    #[serde(default, rename = "kubernetes.io/serviceaccount/namespace", skip_serializing_if = "String::is_empty")]
    pub(super) legacy_namespace: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/secret.name", skip_serializing_if = "String::is_empty")]
    pub(super) legacy_secret: String,
    #[serde(
        default,
        rename = "kubernetes.io/serviceaccount/service-account.name",
        skip_serializing_if = "String::is_empty"
    )]
    pub(super) legacy_account: String,
    #[serde(
        default,
        rename = "kubernetes.io/serviceaccount/service-account.uid",
        skip_serializing_if = "String::is_empty"
    )]
    pub(super) legacy_uid: String,
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) sub: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kubernetes {
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Reference>,
    #[serde(default)]
    pub(super) serviceaccount: Reference,
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub(super) warnafter: Option<i64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reference {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
}

impl Reference {
    pub(super) fn to(object: &Object) -> Reference {
        Reference { name: object.name().to_owned(), uid: object.uid().to_owned() }
    }
}
