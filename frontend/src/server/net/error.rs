//! Why a server does not listen.

use std::net::SocketAddr;

/// What keeps a server from listening.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("{what} {path:?}: {why}")]
    Certificate { what: &'static str, path: String, why: String },
}
