//! Leases for objects with a time to live.
//!
//! In: a time to live. Out: a lease that lives at least that long. A lease is shared by the objects of up to 60 s (but
//! at most a twentieth of the time to live) and of up to 1,000 objects, as kube-apiserver does; expiry is late by that
//! much and never early. Through etcd-client: grants are rare and small.

use std::{collections::HashMap, time::Duration};

use etcd_client::LeaseClient;
use tokio::{sync::Mutex, time::Instant};

use super::{StoreError, error::Attempt};

const SHARED_FOR_MAX: Duration = Duration::from_secs(60);
const SHARED_PART: f64 = 0.05;
const OBJECTS_MAX: u32 = 1000;
const GRANT_LIMIT: Duration = Duration::from_secs(10);
/// Times to live are a handful of constants; more than this many come from a mistake and are not remembered.
const KINDS_MAX: usize = 16;

pub(super) struct LeasePool {
    client: LeaseClient,
    /// By time to live. Held across a grant on purpose: all who wait want the same lease.
    current: Mutex<HashMap<Duration, Shared>>,
}

struct Shared {
    id: i64,
    reusable_until: Instant,
    objects: u32,
}

impl LeasePool {
    pub(super) fn new(client: LeaseClient) -> LeasePool {
        LeasePool { client, current: Mutex::new(HashMap::new()) }
    }

    pub(super) async fn lease_for(&self, ttl: Duration) -> Result<i64, StoreError> {
        let mut current = self.current.lock().await;
        if let Some(shared) = current.get_mut(&ttl)
            && shared.objects < OBJECTS_MAX
            && Instant::now() <= shared.reusable_until
        {
            shared.objects += 1;
            return Ok(shared.id);
        }
        let shared_for = ttl.mul_f64(SHARED_PART).min(SHARED_FOR_MAX);
        let shared_for = Duration::from_secs(shared_for.as_secs());
        let reusable_until = Instant::now() + shared_for;
        let id = self.grant(ttl + shared_for).await?;
        if current.len() >= KINDS_MAX {
            current.clear();
        }
        current.insert(ttl, Shared { id, reusable_until, objects: 1 });
        Ok(id)
    }

    /// The store does not know this lease any more.
    pub(super) async fn forget(&self, id: i64) {
        self.current.lock().await.retain(|_, shared| shared.id != id);
    }

    /// A lost reply leaves a lease without objects behind, which expires by itself; so a grant may be tried again.
    async fn grant(&self, ttl: Duration) -> Result<i64, StoreError> {
        let seconds = i64::try_from(ttl.as_secs().max(1)).unwrap_or(i64::MAX);
        let mut last = StoreError::Timeout;
        for _ in 0..3 {
            let mut client = self.client.clone();
            match tokio::time::timeout(GRANT_LIMIT, client.grant(seconds, None)).await {
                Err(_) => return Err(StoreError::Timeout),
                Ok(Ok(granted)) => return Ok(granted.id()),
                Ok(Err(etcd_client::Error::GRpcStatus(status))) => match Attempt::from(status) {
                    Attempt::Answered(error) => return Err(error),
                    attempt => last = attempt.into_read_error(),
                },
                Ok(Err(error)) => return Err(StoreError::Malformed(error.to_string())),
            }
        }
        Err(last)
    }
}
