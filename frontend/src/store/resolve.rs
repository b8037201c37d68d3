//! Finding out whether a write whose reply was lost has happened.
//!
//! In: the write. Out: [`Found`]. The watch cache knows every change of the key since the write began, which settles
//! it; where it cannot help, the key and its older versions are read. A create that left no trace cannot be told: it
//! may still be on its way, and, had it happened and been deleted again, a second one would bring the object back.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Cache, StoreError, Stored,
    cache::{CacheEvent, EventKind},
    read::Reader,
};

const CACHE_LIMIT: Duration = Duration::from_secs(3);
/// Older versions looked at; a key that was written more often meanwhile is a conflict nobody can attribute.
const VERSIONS_MAX: usize = 16;

/// A conditional write; without a value it is a delete, expected at 0 it is a create.
pub(super) struct Write<'a> {
    pub(super) key: &'a str,
    pub(super) expected: i64,
    pub(super) value: Option<Bytes>,
}

pub(super) enum Found {
    /// It happened, at this revision.
    Done(i64),
    /// It did not and will not: the key went on without it. What the key holds now.
    Refused(Option<Stored>),
    /// The key is still at the expected revision. The write may yet happen, but not twice.
    Untouched,
    CannotTell,
}

pub(super) struct Resolver {
    reader: Reader,
    cache: Cache,
}

impl Resolver {
    pub(super) fn new(reader: Reader, cache: Cache) -> Resolver {
        Resolver { reader, cache }
    }

    /// To be asked before the write is sent: a revision before it.
    pub(super) fn before(&self, write: &Write<'_>) -> i64 {
        if write.expected > 0 { write.expected } else { self.cache.revision() }
    }

    pub(super) async fn look(&self, write: &Write<'_>, since: i64) -> Result<Found, StoreError> {
        if let Some(found) = self.look_in_cache(write, since).await? {
            return Ok(found);
        }
        let current = self.reader.get(write.key, 0).await?;
        match (&write.value, current) {
            (Some(value), Some(current)) if write.expected == 0 => self.created(write.key, value, current).await,
            (_, Some(current)) if current.mod_revision == write.expected => Ok(Found::Untouched),
            (Some(value), Some(current)) => self.updated(write, value, current).await,
            (None, Some(current)) if current.create_revision <= write.expected => Ok(Found::Refused(Some(current))),
            (None, Some(_)) | (_, None) => Ok(Found::CannotTell),
        }
    }

    /// None when the cache does not reach back far enough, or not up to now.
    async fn look_in_cache(&self, write: &Write<'_>, since: i64) -> Result<Option<Found>, StoreError> {
        if since <= 0 || !self.cache.is_ready() {
            return Ok(None);
        }
        let now = self.reader.revision(write.key).await?;
        if self.cache.wait_for(now, CACHE_LIMIT).await.is_err() {
            return Ok(None);
        }
        let Some(events) = self.cache.history(write.key, since) else { return Ok(None) };
        let mine = |event: &&std::sync::Arc<CacheEvent>| happened(write, event);
        // Only the first change after the expected revision can be an update or a delete of ours.
        let candidates = if write.expected > 0 { events.len().min(1) } else { events.len() };
        if let Some(event) = events[..candidates].iter().find(mine) {
            return Ok(Some(Found::Done(event.revision())));
        }
        let current =
            events.last().filter(|event| event.kind() != EventKind::Deleted).map(|event| event.entry().stored());
        Ok(Some(match (write.expected, current) {
            (0, Some(current)) => Found::Refused(Some(current)),
            (0, None) => match self.reader.get(write.key, 0).await? {
                Some(current) => Found::Refused(Some(current)),
                None => Found::CannotTell,
            },
            (_, _) if events.is_empty() => Found::Untouched,
            (_, current) => Found::Refused(current),
        }))
    }

    async fn created(&self, key: &str, value: &Bytes, current: Stored) -> Result<Found, StoreError> {
        let first = if current.create_revision == current.mod_revision {
            Some(current.clone())
        } else {
            self.reader.get(key, current.create_revision).await.ok().flatten()
        };
        Ok(match first {
            Some(first) if first.value == value => Found::Done(first.mod_revision),
            Some(_) => Found::Refused(Some(current)),
            None => Found::CannotTell,
        })
    }

    async fn updated(&self, write: &Write<'_>, value: &Bytes, current: Stored) -> Result<Found, StoreError> {
        let mut version = current.clone();
        for _ in 0..VERSIONS_MAX {
            if version.value == value {
                return Ok(Found::Done(version.mod_revision));
            }
            match self.reader.get(write.key, version.mod_revision - 1).await {
                Ok(Some(older)) if older.mod_revision == write.expected => return Ok(Found::Refused(Some(current))),
                Ok(Some(older)) => version = older,
                Ok(None) | Err(_) => return Ok(Found::CannotTell),
            }
        }
        Ok(Found::CannotTell)
    }
}

fn happened(write: &Write<'_>, event: &CacheEvent) -> bool {
    match (&write.value, event.kind()) {
        (Some(value), EventKind::Created) => write.expected == 0 && event.entry().value() == value,
        (Some(value), EventKind::Updated) => write.expected > 0 && event.entry().value() == value,
        (None, EventKind::Deleted) => true,
        _ => false,
    }
}
