//! A state as a database file of etcd: in goes a state and who speaks for it, out comes the file in pieces, whenever
//! the next is asked for. The state is a value that nothing changes any more, so writes go on meanwhile; the file is
//! never in memory as a whole. What is held is the state itself, a reference to each record at or below the compacted
//! revision, and a few pages.

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb as pb;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::schema;
use crate::{
    bbolt::{Builder, Layout, Value},
    state::{Kept, KeptCursor, State},
};

/// Records that are fetched at once.
const RECORDS: usize = 256;

/// Whom the file names as its cluster's only member. Restoring replaces it.
#[derive(Clone, Debug)]
pub struct Member {
    pub id: u64,
    pub name: String,
    pub client_urls: Vec<String>,
}

type Items = Vec<(Bytes, Bytes)>;

/// A bucket's items: a few in memory, or the records of the state.
enum Bucket {
    Items(&'static str, Items),
    Records,
}

/// Both runs put this in.
struct Contents {
    kept: Kept,
    /// By name, as they stand in the file.
    buckets: Vec<Bucket>,
}

#[derive(Default)]
struct Cursor {
    bucket: usize,
    records: Option<KeptCursor>,
}

/// A file in the making.
pub struct Snapshot {
    contents: Contents,
    cursor: Cursor,
    builder: Builder,
    layout: Layout,
    is_complete: bool,
    sum: Sha256,
}

impl Snapshot {
    /// Lays the file out: walks over everything once.
    pub fn of(state: &State, member: &Member) -> Self {
        let kept = state.kept();
        let contents = Contents { buckets: buckets(kept.state(), member), kept };
        let (mut measuring, mut cursor) = (Builder::measuring(), Cursor::default());
        while contents.put_next(&mut cursor, &mut measuring) {}
        let layout = measuring.finish();
        let builder = Builder::writing(&layout);
        Self { contents, cursor: Cursor::default(), builder, layout, is_complete: false, sum: Sha256::new() }
    }

    pub fn kept(&self) -> &Kept {
        &self.contents.kept
    }

    /// Without the hash that follows it.
    pub fn bytes(&self) -> u64 {
        self.layout.bytes()
    }

    /// The next bytes: as many as asked for until the last ones come; then none.
    pub fn next(&mut self, bytes: usize) -> Bytes {
        while self.builder.ready() < bytes && !self.is_complete {
            if !self.contents.put_next(&mut self.cursor, &mut self.builder) {
                self.builder.finish();
                self.is_complete = true;
            }
        }
        let next = self.builder.take(bytes);
        self.sum.update(&next);
        next
    }

    /// SHA-256 of all that came.
    pub fn hash(self) -> Bytes {
        Bytes::copy_from_slice(&self.sum.finalize())
    }
}

impl Contents {
    /// Puts the next few items in; whether there may be more.
    fn put_next(&self, cursor: &mut Cursor, builder: &mut Builder) -> bool {
        let Some(bucket) = self.buckets.get(cursor.bucket) else { return false };
        match bucket {
            Bucket::Items(name, items) => {
                builder.bucket(name);
                items.iter().for_each(|(key, value)| builder.put(key, &value[..]));
                cursor.bucket += 1;
            }
            Bucket::Records => {
                let records = cursor.records.get_or_insert_with(|| {
                    builder.bucket(schema::KEY);
                    self.kept.start()
                });
                let page = self.kept.page(records, RECORDS);
                cursor.bucket += usize::from(page.is_empty());
                for record in &page {
                    let key = schema::revision_key(record.revision, record.sub_revision, record.is_delete);
                    builder.put(&key, &schema::stored(record) as &dyn Value);
                }
            }
        }
        true
    }
}

fn buckets(state: &State, member: &Member) -> Vec<Bucket> {
    let records = state.records();
    let auth = |bucket| Bucket::Items(bucket, schema::auth_items(bucket, &records));
    let named = |name: &'static str, value: &[u8]| (Bytes::from_static(name.as_bytes()), Bytes::copy_from_slice(value));
    vec![
        Bucket::Items(schema::ALARM, alarms(state)),
        auth(schema::AUTH),
        auth(schema::AUTH_ROLES),
        auth(schema::AUTH_USERS),
        Bucket::Items(schema::CLUSTER, vec![named(schema::CLUSTER_VERSION, schema::VERSION.as_bytes())]),
        Bucket::Records,
        Bucket::Items(schema::LEASE, leases(state)),
        Bucket::Items(schema::MEMBERS, vec![(format!("{:x}", member.id).into(), attributes(member))]),
        Bucket::Items(schema::MEMBERS_REMOVED, Vec::new()),
        Bucket::Items(schema::META, meta(state, member)),
    ]
}

fn attributes(member: &Member) -> Bytes {
    let attributes = json!({
        "id": member.id, "peerURLs": [], "name": member.name, "clientURLs": member.client_urls,
    });
    attributes.to_string().into()
}

fn leases(state: &State) -> Items {
    let lease = |id: i64, ttl| {
        let value = schema::Lease { id, ttl, remaining_ttl: 0 };
        (Bytes::copy_from_slice(&id.to_be_bytes()), Bytes::from(value.encode_to_vec()))
    };
    state.leases().map(|of| lease(of.id, of.ttl)).collect()
}

/// An alarm is a key without a value.
fn alarms(state: &State) -> Items {
    let kinds = [pb::AlarmType::Nospace, pb::AlarmType::Corrupt];
    let raised = state.alarms().into_iter().filter_map(|(kind, member_id)| {
        let kind = kinds.into_iter().find(|of| of.as_str_name().eq_ignore_ascii_case(&kind))?;
        Some((Bytes::from(pb::AlarmMember { member_id, alarm: kind as i32 }.encode_to_vec()), Bytes::new()))
    });
    let mut alarms: Items = raised.collect();
    alarms.sort();
    alarms
}

fn meta(state: &State, member: &Member) -> Items {
    let mut items = Vec::new();
    let mut put = |name: &'static str, value: &[u8]| {
        items.push((Bytes::from_static(name.as_bytes()), Bytes::copy_from_slice(value)));
    };
    let voters = json!({ "voters": [member.id], "auto_leave": false }).to_string();
    put(schema::CONF_STATE, voters.as_bytes());
    put(schema::CONSISTENT_INDEX, &state.head().position.0.max(1).to_be_bytes());
    let compacted = state.compacted_at().map(|revision| schema::revision_key(revision, 0, false));
    if let Some(compacted) = &compacted {
        put(schema::FINISHED_COMPACT, compacted);
        put(schema::SCHEDULED_COMPACT, compacted);
    }
    put(schema::STORAGE_VERSION, schema::VERSION.as_bytes());
    put(schema::TERM, &(state.incarnation() + 1).to_be_bytes());
    items
}
