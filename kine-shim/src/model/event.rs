//! Keys with their values, and their changes as watchers see them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{Key, LeaseId, Revision};

/// etcd's KeyValue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    pub key: Key,
    pub value: Bytes,
    pub create_revision: Revision,
    pub mod_revision: Revision,
    pub version: i64,
    pub lease: LeaseId,
}

/// One change as a watcher sees it. A delete's `kv` has only `key` and `mod_revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub is_delete: bool,
    pub kv: KeyValue,
    /// The value just before; `None` when the key did not exist.
    pub prev: Option<KeyValue>,
    pub shown: Shown,
}

/// An event as clients are shown it.
#[derive(Debug)]
pub struct Encoded {
    pub bytes: Bytes,
    /// So many of the bytes are the event without its `prev`, which stands last.
    pub without_prev: usize,
}

/// Encoded by the first who shows the event, for all who have a clone of it (see `grpc`). No part of what an event is.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<OnceLock<Encoded>>);

impl Shown {
    pub fn get_or_encode(&self, encode: impl FnOnce() -> Encoded) -> &Encoded {
        self.0.get_or_init(encode)
    }
}

impl PartialEq for Shown {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Shown {}

/// All events of one revision, in sub-revision order; shared by all watchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionEvents {
    pub revision: Revision,
    pub events: Vec<Event>,
}
