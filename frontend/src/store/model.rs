//! The nouns of the store: keys, stored values, pages, and the outcomes of conditional writes.

use std::fmt;

use bytes::Bytes;
use proto::mvccpb::KeyValue;

use super::StoreError;

/// A key of the store. Kubernetes' keys are UTF-8; keys that are not belong to somebody else and are left alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// None when the bytes are not UTF-8.
    pub fn from_bytes(bytes: Bytes) -> Option<Key> {
        std::str::from_utf8(&bytes).ok()?;
        Some(Key(bytes))
    }

    pub fn as_str(&self) -> &str {
        // Every constructor checked it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(key: &str) -> Key {
        Key(Bytes::copy_from_slice(key.as_bytes()))
    }
}

impl From<String> for Key {
    fn from(key: String) -> Key {
        Key(Bytes::from(key))
    }
}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key with its value, as the store holds it. The value is a slice of the reply it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub key: Key,
    pub value: Bytes,
    pub create_revision: i64,
    pub mod_revision: i64,
    /// How often the key was written since it was created.
    pub version: i64,
}

impl Stored {
    /// None for a key that is not UTF-8.
    pub(super) fn from_wire(kv: KeyValue) -> Option<Stored> {
        Some(Stored {
            key: Key::from_bytes(kv.key)?,
            value: kv.value,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
        })
    }

    pub(super) fn single(kvs: Vec<KeyValue>) -> Result<Option<Stored>, StoreError> {
        let Some(kv) = kvs.into_iter().next() else { return Ok(None) };
        let stored = Stored::from_wire(kv).ok_or_else(|| StoreError::Malformed("a key is not UTF-8".into()))?;
        Ok(Some(stored))
    }
}

/// Which page of a prefix to read.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// All keys that start with this; it should end in a slash.
    pub prefix: String,
    /// Where to begin, inside the prefix; None at its start.
    pub start: Option<String>,
    /// 0: all.
    pub limit: i64,
    /// 0: now, linearizable.
    pub revision: i64,
    pub keys_only: bool,
}

/// One page of a prefix, ordered by key.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub items: Vec<Stored>,
    /// The revision that the page shows.
    pub revision: i64,
    /// Whether keys follow after the last item.
    pub more: bool,
    /// Keys from `start` to the end of the prefix, those of this page included.
    pub count: i64,
}

/// How a create ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateOutcome {
    Created { revision: i64 },
    Exists,
}

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateOutcome {
    Updated {
        revision: i64,
    },
    /// The key is no longer at the expected revision; None when it is gone.
    Changed(Option<Stored>),
}

/// How a delete ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteOutcome {
    Deleted {
        revision: i64,
    },
    /// The key is no longer at the expected revision; None when it is gone.
    Changed(Option<Stored>),
}

/// The first key behind all those that start with the prefix.
pub(super) fn prefix_end(prefix: &[u8]) -> bytes::Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end.into();
        }
    }
    // etcd's "from this key on, all of them".
    bytes::Bytes::from_static(&[0])
}
