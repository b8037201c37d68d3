//! What keeps a server from starting.

use crate::{
    access::{
        authn::{CertificateError, TokenFileError, oidc::OidcError, service_account::ServiceAccountKeyError},
        authz::{AbacError, AuthorizationFileError},
    },
    admission::AdmissionError,
    client::CallError,
    server::{audit::PolicyError, net::NetError},
    store::StoreError,
};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    #[error(transparent)]
    ClientCa(#[from] CertificateError),
    #[error(transparent)]
    Oidc(#[from] OidcError),
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Abac(#[from] AbacError),
    #[error(transparent)]
    AuthorizationFile(#[from] AuthorizationFileError),
    #[error("--{flag}: {why}")]
    Webhook { flag: String, why: String },
    #[error(transparent)]
    AuditPolicy(#[from] PolicyError),
    #[error("--audit-log-path: cannot open {path:?}: {source}")]
    AuditLog { path: String, source: std::io::Error },
    #[error(transparent)]
    ServiceAccountKey(#[from] ServiceAccountKeyError),
    #[error("{0}")]
    Roles(String),
    #[error("calling kubelets: {0}")]
    Kubelet(CallError),
    #[error("etcd: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error("cannot tell the address: {0}")]
    Address(std::io::Error),
}
