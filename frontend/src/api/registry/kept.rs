//! Documents derived from a snapshot of the API (discovery, OpenAPI), made when first asked for. [`Kept`] keeps them as
//! long as the snapshot, [`Lasting`] as long as what they are made of stays the same.
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

/// Documents that outlive a snapshot. Of each name one is kept: that of the hash that was last asked for.
#[derive(Debug, Default)]
pub struct Lasting {
    documents: Mutex<HashMap<String, Arc<Dated>>>,
}

/// A document, or the place for it while it is made, with the hash of what it is made of.
#[derive(Debug)]
struct Dated {
    hash: String,
    body: OnceLock<Bytes>,
}

impl Lasting {
    /// The document of this name and hash; `make` runs at most once for both, and whoever asks meanwhile waits.
    pub fn get(&self, name: &str, hash: String, make: impl FnOnce() -> Bytes) -> KeptDocument {
        let dated = {
            let mut documents = self.documents.lock();
            match documents.get(name).filter(|kept| kept.hash == hash) {
                Some(kept) => Arc::clone(kept),
                None => {
                    let dated = Arc::new(Dated { hash: hash.clone(), body: OnceLock::new() });
                    documents.insert(name.to_owned(), Arc::clone(&dated));
                    dated
                }
            }
        };
        KeptDocument { body: dated.body.get_or_init(make).clone(), hash }
    }

    /// Forgets what nobody can ask for any more.
    pub fn retain(&self, is_known: impl Fn(&str) -> bool) {
        self.documents.lock().retain(|name, _| is_known(name));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_document_lasts_until_its_sources_change() {
        let (lasting, made) = (Lasting::default(), Cell::new(0));
        let ask = |name: &str, hash: &str| {
            lasting.get(name, hash.to_owned(), || {
                made.set(made.get() + 1);
                Bytes::from(format!("{name} {hash}"))
            })
        };
        for (name, hash, expected) in [("a", "1", 1), ("a", "1", 1), ("a", "2", 2), ("b", "1", 3), ("a", "2", 3)] {
            assert_eq!(ask(name, hash).body, format!("{name} {hash}"));
            assert_eq!(made.get(), expected, "{name} {hash}");
        }
        lasting.retain(|name| name == "b");
        ask("b", "1");
        assert_eq!(made.get(), 3);
        ask("a", "2");
        assert_eq!(made.get(), 4);
    }
}
