//! Signatures that were found good a while ago.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::claims::Claims;

/// At this many the older half is forgotten.
const KEPT_MAX: usize = 8192;

/// Claims by the digest of their token, in two generations: what is asked for stays, what is not goes.
#[derive(Default)]
pub(super) struct Verified(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<[u8; 32], Arc<Claims>>,
    old: HashMap<[u8; 32], Arc<Claims>>,
}

impl Generations {
    fn put(&mut self, digest: [u8; 32], claims: Arc<Claims>) {
        if self.young.len() >= KEPT_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, claims);
    }
}

impl Verified {
    pub(super) fn get(&self, token: &str) -> Option<Arc<Claims>> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut kept = self.0.lock();
        if let Some(claims) = kept.young.get(&digest) {
            return Some(Arc::clone(claims));
        }
        let claims = kept.old.remove(&digest)?;
        kept.put(digest, Arc::clone(&claims));
        Some(claims)
    }

    pub(super) fn put(&self, token: &str, claims: Arc<Claims>) {
        self.0.lock().put(Sha256::digest(token.as_bytes()).into(), claims);
    }
}
