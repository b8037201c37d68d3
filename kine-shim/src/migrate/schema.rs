//! What stands where in etcd's database file: the names of buckets and of what is in them, and how a record of ours
//! looks there. Pure translation, both ways; the file's own format is not known here (see `bbolt`).
//!
//! Source: etcd 3.6, server/storage/schema and server/storage/mvcc/revision.go. Numbers are big-endian here.

use bytes::{Bytes, BytesMut};
use prost::Message;
use proto::mvccpb;

use crate::{
    bbolt::Value,
    model::{Key, KeyValue, LeaseId, Revision},
    state::ScrubRecord,
};

pub(crate) const ALARM: &str = "alarm";
pub(crate) const AUTH: &str = "auth";
pub(crate) const AUTH_ROLES: &str = "authRoles";
pub(crate) const AUTH_USERS: &str = "authUsers";
pub(crate) const CLUSTER: &str = "cluster";
pub(crate) const KEY: &str = "key";
pub(crate) const LEASE: &str = "lease";
pub(crate) const MEMBERS: &str = "members";
pub(crate) const MEMBERS_REMOVED: &str = "members_removed";
pub(crate) const META: &str = "meta";

/// In `auth`, and the records of ours that say the same.
pub(crate) const AUTH_ENABLED: (&str, &str) = ("authEnabled", "auth/enabled");
pub(crate) const AUTH_REVISION: (&str, &str) = ("authRevision", "auth/revision");
/// Before the names of users and roles among our records; the values are etcd's.
pub(crate) const USER_RECORD: &str = "auth/user/";
pub(crate) const ROLE_RECORD: &str = "auth/role/";
/// What tokens are signed with is of one store and goes with nobody.
pub(crate) const SECRET_RECORD: &str = "auth/secret";

/// In `meta`.
pub(crate) const CONF_STATE: &str = "confState";
pub(crate) const CONSISTENT_INDEX: &str = "consistent_index";
pub(crate) const FINISHED_COMPACT: &str = "finishedCompactRev";
pub(crate) const SCHEDULED_COMPACT: &str = "scheduledCompactRev";
pub(crate) const STORAGE_VERSION: &str = "storageVersion";
pub(crate) const TERM: &str = "term";
/// In `cluster`.
pub(crate) const CLUSTER_VERSION: &str = "clusterVersion";

/// The version of this layout.
pub(crate) const VERSION: &str = "3.6.0";

const REVISION_KEY_LEN: usize = 17;
const TOMBSTONE: u8 = b't';

/// A revision as a key: main revision, '_', sub-revision, and 't' for a tombstone.
pub(crate) fn revision_key(revision: Revision, sub_revision: u32, is_delete: bool) -> Vec<u8> {
    let mut key = Vec::with_capacity(REVISION_KEY_LEN + 1);
    key.extend(revision.to_be_bytes());
    key.push(b'_');
    key.extend(i64::from(sub_revision).to_be_bytes());
    key.extend(is_delete.then_some(TOMBSTONE));
    key
}

/// Revision, sub-revision and whether it is a tombstone; `None` for what is no such key.
pub(crate) fn parse_revision_key(key: &[u8]) -> Option<(Revision, u32, bool)> {
    let is_delete = match key.get(REVISION_KEY_LEN..)? {
        [] => false,
        [TOMBSTONE] => true,
        _ => return None,
    };
    let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
    let revision = number(&key[..8]).filter(|revision| *revision >= 0)?;
    let sub_revision = u32::try_from(number(&key[9..REVISION_KEY_LEN])?).ok()?;
    (key[8] == b'_').then_some((revision, sub_revision, is_delete))
}

/// A record's value: etcd's KeyValue. Of a tombstone only the key.
pub(crate) fn stored(record: &ScrubRecord) -> mvccpb::KeyValue {
    let KeyValue { key, value, create_revision, mod_revision, version, lease } = record.kv.clone();
    let mod_revision = if record.is_delete { 0 } else { mod_revision };
    mvccpb::KeyValue { key, create_revision, mod_revision, version, value, lease }
}

impl Value for mvccpb::KeyValue {
    fn len(&self) -> usize {
        self.encoded_len()
    }

    fn put(&self, out: &mut BytesMut) {
        // Only a full buffer fails, and this one grows.
        let _ = self.encode(out);
    }
}

/// As etcd stores it (server/lease/leasepb).
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Lease {
    #[prost(int64, tag = "1")]
    pub(crate) id: LeaseId,
    #[prost(int64, tag = "2")]
    pub(crate) ttl: i64,
    /// Of a lease whose rest was recorded; otherwise 0. A restart gives the full time.
    #[prost(int64, tag = "3")]
    pub(crate) remaining_ttl: i64,
}

/// Our record for an item of one of the three auth buckets; `None` for what we have no use for.
pub(crate) fn auth_record(bucket: &str, key: &[u8], value: &[u8]) -> Option<(Key, Bytes)> {
    let named = |prefix: &str| Bytes::from([prefix.as_bytes(), key].concat());
    let value = Bytes::copy_from_slice(value);
    match bucket {
        AUTH if key == AUTH_ENABLED.0.as_bytes() => {
            (value.as_ref() == [1]).then(|| (Bytes::from_static(AUTH_ENABLED.1.as_bytes()), value))
        }
        AUTH if key == AUTH_REVISION.0.as_bytes() => Some((Bytes::from_static(AUTH_REVISION.1.as_bytes()), value)),
        AUTH_USERS => Some((named(USER_RECORD), value)),
        AUTH_ROLES => Some((named(ROLE_RECORD), value)),
        _ => None,
    }
}

/// The other way round: what the bucket holds for our records.
pub(crate) fn auth_items(bucket: &str, records: &[(Key, Bytes)]) -> Vec<(Bytes, Bytes)> {
    let named = |name: &str| records.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let below = |prefix: &str| {
        let of_prefix = records.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(prefix.as_bytes()).filter(|name| !name.is_empty())?;
            Some((key.slice_ref(name), value.clone()))
        });
        of_prefix.collect()
    };
    match bucket {
        AUTH => {
            let enabled = named(AUTH_ENABLED.1).is_some_and(|value| !value.is_empty());
            let revision = named(AUTH_REVISION.1).unwrap_or_else(|| Bytes::copy_from_slice(&1_u64.to_be_bytes()));
            let item = |name: &'static str, value| (Bytes::from_static(name.as_bytes()), value);
            let enabled = Bytes::from_static(if enabled { &[1] } else { &[0] });
            vec![item(AUTH_ENABLED.0, enabled), item(AUTH_REVISION.0, revision)]
        }
        AUTH_USERS => below(USER_RECORD),
        AUTH_ROLES => below(ROLE_RECORD),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_key_is_read_as_it_was_written() {
        for (revision, sub_revision, is_delete) in [(1, 0, false), (i64::MAX, u32::MAX, true), (0x1_0000, 7, true)] {
            let bytes = revision_key(revision, sub_revision, is_delete);
            assert_eq!(parse_revision_key(&bytes), Some((revision, sub_revision, is_delete)));
            assert_eq!(parse_revision_key(&bytes[..REVISION_KEY_LEN - 1]), None);
        }
        let mut other = revision_key(5, 0, true);
        other[REVISION_KEY_LEN] = b'x';
        assert_eq!(parse_revision_key(&other), None);
        assert_eq!(parse_revision_key(&[0xFF; REVISION_KEY_LEN]), None);
    }

    #[test]
    fn auth_goes_out_and_comes_back() {
        let revision = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 9]);
        let records = [
            ("auth/enabled", Bytes::from_static(&[1])),
            ("auth/revision", revision),
            ("auth/role/root", Bytes::from_static(b"\n\x04root")),
            ("auth/secret", Bytes::from_static(b"secret")),
            ("auth/user/root", Bytes::from_static(b"\n\x04root")),
            ("auth/user/x/y", Bytes::from_static(b"\n\x03x/y")),
        ];
        let records: Vec<(Key, Bytes)> = records.map(|(key, value)| (Bytes::from(key), value)).to_vec();
        let mut back = Vec::new();
        for bucket in [AUTH, AUTH_USERS, AUTH_ROLES] {
            for (key, value) in auth_items(bucket, &records) {
                back.extend(auth_record(bucket, &key, &value));
            }
        }
        back.sort();
        let expected: Vec<_> = records.into_iter().filter(|(key, _)| key != SECRET_RECORD).collect();
        assert_eq!(back, expected);
    }
}
