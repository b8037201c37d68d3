//! From kine's rows, in the order of their ids, to entries.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use bytes::Bytes;
use prost::Message;
use proto::mvccpb;

use crate::{
    migrate::{
        content::Content,
        schema,
        source::{self, End, Feed, Gone},
    },
    model::{Entry, EntryKind, Key, LeaseId, Revision},
};

const API_SERVERS_KEY: &[u8] = b"compact_rev_key_apiserver";
const COMPACT_KEY: &[u8] = b"compact_rev_key";
const GAP: &[u8] = b"gap-";

/// "kine", so that nobody takes these ids for drawn ones.
const LEASE_IDS: LeaseId = 0x6b69_6e65 << 32;
/// As many as kube-apiserver attaches to one.
const KEYS_PER_LEASE: usize = 1000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
}

impl Facts {
    pub(super) fn new(revision: Revision, compacted: Revision) -> Result<Self> {
        ensure!(revision > 0, "the table is empty");
        ensure!((0..=revision).contains(&compacted), "compacted at {compacted}, but the newest id is {revision}");
        Ok(Self { revision, compacted })
    }

    pub(super) fn name(&self) -> String {
        format!("kine's table up to revision {}, compacted at {}", self.revision, self.compacted)
    }
}

/// A row; NULL reads as 0 or nothing.
pub(super) struct Row {
    pub(super) id: Revision,
    pub(super) name: Bytes,
    pub(super) is_created: bool,
    pub(super) is_deleted: bool,
    pub(super) create_revision: Revision,
    /// Seconds.
    pub(super) lease: i64,
    pub(super) value: Bytes,
}

/// What rows become.
pub(super) struct Converter {
    facts: Facts,
    content: Content,
    /// Of each live key.
    versions: HashMap<Key, i64>,
    /// By TTL: the lease that new keys are attached to, and how many are.
    leases: HashMap<i64, (LeaseId, usize)>,
    leases_granted: LeaseId,
    last: Revision,
}

impl Converter {
    pub(super) fn new(facts: Facts) -> Self {
        let (versions, leases) = (HashMap::new(), HashMap::new());
        Self { facts, content: Content::default(), versions, leases, leases_granted: 0, last: 0 }
    }

    /// Up to two entries: perhaps a lease, and the change.
    pub(super) fn convert(&mut self, row: Row) -> Result<[Option<Entry>; 2]> {
        ensure!(row.id > self.last, "the row {} is out of order", row.id);
        self.last = row.id;
        let is_gap = row.is_deleted && row.name.starts_with(GAP);
        if is_gap || row.name == COMPACT_KEY || row.name.is_empty() {
            return Ok([None, None]);
        }
        let (granted, entry) = if row.is_deleted { (None, self.deletion(row)) } else { self.change(row)? };
        let key = schema::revision_key(entry.revision, 0, entry.kind == EntryKind::Delete);
        let is_delete = entry.kind == EntryKind::Delete;
        let stored = mvccpb::KeyValue {
            key: entry.key.clone(),
            create_revision: entry.create_revision,
            mod_revision: if is_delete { 0 } else { entry.revision },
            version: entry.version,
            value: entry.value.clone(),
            lease: entry.lease,
        };
        self.content.add(&key, &stored.encode_to_vec());
        Ok([granted, Some(entry)])
    }

    pub(super) fn deletion(&mut self, row: Row) -> Entry {
        let key = api_servers_name(row.name);
        self.versions.remove(&key);
        Entry {
            kind: EntryKind::Delete,
            revision: row.id,
            sub_revision: 0,
            key,
            value: Bytes::new(),
            create_revision: 0,
            version: 0,
            lease: 0,
        }
    }

    pub(super) fn change(&mut self, row: Row) -> Result<(Option<Entry>, Entry)> {
        let create_revision = if row.is_created || row.create_revision == 0 { row.id } else { row.create_revision };
        ensure!((1..=row.id).contains(&create_revision), "the row {} was created at {create_revision}", row.id);
        let (version, value) = if row.name == API_SERVERS_KEY { split_version(&row.value) } else { (0, row.value) };
        let key = api_servers_name(row.name);
        let version = match self.versions.get(&key) {
            _ if version > 0 => version,
            _ if create_revision == row.id => 1,
            Some(version) => version + 1,
            // The row that created it is compacted.
            None => 2,
        };
        self.versions.insert(key.clone(), version);
        let (granted, lease) = if row.lease > 0 { self.lease(row.lease) } else { (None, 0) };
        let (kind, revision) = (EntryKind::Put, row.id);
        Ok((granted, Entry { kind, revision, sub_revision: 0, key, value, create_revision, version, lease }))
    }

    pub(super) fn lease(&mut self, ttl: i64) -> (Option<Entry>, LeaseId) {
        let open = self.leases.get_mut(&ttl).filter(|(_, keys)| *keys < KEYS_PER_LEASE);
        if let Some((id, keys)) = open {
            *keys += 1;
            return (None, *id);
        }
        self.leases_granted += 1;
        let id = LEASE_IDS + self.leases_granted;
        self.leases.insert(ttl, (id, 1));
        (Some(source::lease(id, ttl)), id)
    }

    pub(super) fn end(self) -> End {
        let Facts { revision, compacted } = self.facts;
        let compacted = (compacted > 0).then_some(compacted);
        End { revision, compacted, promised: None, content: self.content.finish() }
    }
}

pub(super) fn api_servers_name(name: Bytes) -> Key {
    if name == API_SERVERS_KEY { Bytes::from_static(COMPACT_KEY) } else { name }
}

/// "7|value"; older releases stored the version alone.
pub(super) fn split_version(value: &Bytes) -> (i64, Bytes) {
    let (version, rest) = match value.iter().position(|byte| *byte == b'|') {
        Some(at) => (&value[..at], value.slice(at + 1..)),
        None => (&value[..], Bytes::from_static(b"0")),
    };
    let version = std::str::from_utf8(version).ok().and_then(|text| text.parse().ok());
    (version.unwrap_or(1), rest)
}

/// Puts what a row becomes; whether the import wants more.
pub(super) async fn put(feed: &mut Feed, entries: [Option<Entry>; 2]) -> bool {
    for entry in entries.into_iter().flatten() {
        if let Err(Gone) = feed.put(entry).await {
            return false;
        }
    }
    true
}
