//! Where the store is and how to reach it. Not here: checking that it is there.

use std::{path::PathBuf, time::Duration};

use super::cache::CacheLimits;

/// Where the store is and how to reach it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `http://host:port` or `https://host:port`; a bare `host:port` means http.
    pub servers: Vec<String>,
    /// The certificate authority of https endpoints, a PEM file.
    pub ca: Option<PathBuf>,
    /// This client's certificate and key, PEM files; both or none.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Under which all keys lie, without a slash at its end: `/registry`.
    pub prefix: String,
    pub cache: CacheLimits,
    /// How often this server takes its turn in compacting the store's history; None: never.
    pub compact_every: Option<Duration>,
}

impl StoreConfig {
    pub fn new(servers: Vec<String>) -> StoreConfig {
        StoreConfig {
            servers,
            ca: None,
            cert: None,
            key: None,
            prefix: "/registry".into(),
            cache: CacheLimits::default(),
            compact_every: None,
        }
    }
}
