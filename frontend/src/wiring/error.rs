//! What keeps a server from starting.

use crate::{
    access::authn::{CertificateError, TokenFileError, service_account::ServiceAccountKeyError},
    admission::AdmissionError,
    server::net::NetError,
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
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    ServiceAccountKey(#[from] ServiceAccountKeyError),
    #[error("{0}")]
    Roles(String),
    #[error("etcd: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error("cannot tell the address: {0}")]
    Address(std::io::Error),
}
