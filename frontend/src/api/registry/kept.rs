//! Documents derived from one snapshot of the API (discovery, OpenAPI), made when first asked for and kept as long as
//! the snapshot.
//!
//! Bounded by what can be derived: callers use names of documents that exist, never a client's text.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha512};

/// A body and the hash that clients may name it by (upper-case hex of its SHA-512).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDocument {
    pub body: Bytes,
    pub hash: String,
}

impl KeptDocument {
    pub fn new(body: impl Into<Bytes>) -> KeptDocument {
        let body = body.into();
        let hash = hash_of(&body);
        KeptDocument { body, hash }
    }
}

/// Upper-case hex of the SHA-512, as the original writes ETags.
pub fn hash_of(bytes: &[u8]) -> String {
    Sha512::digest(bytes).iter().map(|b| format!("{b:02X}")).collect()
}

#[derive(Debug, Default)]
pub struct Kept {
    documents: Mutex<HashMap<String, Arc<OnceLock<KeptDocument>>>>,
}

impl Kept {
    /// The document of this name; `make` runs at most once for it, and whoever asks meanwhile waits.
    pub fn get(&self, name: &str, make: impl FnOnce() -> KeptDocument) -> KeptDocument {
        let slot = self.documents.lock().entry(name.to_owned()).or_default().clone();
        slot.get_or_init(make).clone()
    }
}
