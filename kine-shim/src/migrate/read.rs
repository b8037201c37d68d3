//! A database file of etcd as a source: a snapshot, or a copy of `member/snap/db`. In goes a path, out come entries.
//! What contradicts the format is an error that says where, never a guess.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use prost::Message;
use proto::mvccpb;
use sha2::{Digest, Sha256};

use super::{
    content::Content,
    schema,
    source::{self, End, Feed, Gone},
};
use crate::{
    bbolt::Db,
    model::{Entry, EntryKind, Revision},
};

const HASH_LEN: u64 = 32;
/// Revisions beyond this leave no room to count on.
const REVISION_MAX: Revision = 1 << 62;

pub(super) struct EtcdFile {
    db: Db,
    path: PathBuf,
}

/// Whether the hash at the end of a snapshot was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashCheck {
    Required,
    /// A copy of a member's own file has none.
    Skipped,
}

impl EtcdFile {
    pub(super) fn open(path: &Path, hash: HashCheck) -> Result<Self> {
        let named = || format!("{}", path.display());
        if hash == HashCheck::Required {
            check_hash(path).with_context(named)?;
        }
        let db = Db::open(path).with_context(named)?;
        Ok(Self { db, path: path.to_owned() })
    }

    /// What tells this import's source from another's at once; everything else is told by the contents.
    pub(super) fn name(&self) -> Result<String> {
        let compacted = self.compacted(schema::FINISHED_COMPACT)?.map_or("never".to_owned(), |at| at.to_string());
        Ok(format!("a database file of etcd, {} bytes, compacted at {compacted}", self.db.bytes()))
    }

    /// Blocking; runs until everything is fed, the import is gone or the file turns out to be damaged.
    pub(super) fn run(self, feed: Feed) {
        let runtime = tokio::runtime::Handle::current();
        let mut feed = feed;
        let fed = self.feed_all(&mut feed, &runtime).with_context(|| format!("{}", self.path.display()));
        if let Some(end) = fed.transpose() {
            // Nobody is left to be told otherwise.
            let _ = runtime.block_on(feed.end(end));
        }
    }

    /// `None`: nobody wants more.
    fn feed_all(&self, feed: &mut Feed, runtime: &tokio::runtime::Handle) -> Result<Option<End>> {
        let mut put = |entry| matches!(runtime.block_on(feed.put(entry)), Ok::<(), Gone>(()));
        for bucket in [schema::AUTH, schema::AUTH_ROLES, schema::AUTH_USERS] {
            let mut items = self.items(bucket)?;
            while let Some((key, value)) = items()? {
                if let Some((key, value)) = schema::auth_record(bucket, &key, &value)
                    && !put(source::record(key, value))
                {
                    return Ok(None);
                }
            }
        }
        let mut leases = self.items(schema::LEASE)?;
        while let Some((_, value)) = leases()? {
            let lease = schema::Lease::decode(value).context("a lease")?;
            ensure!(lease.id > 0 && lease.ttl > 0, "the lease {:x} with a TTL of {} s", lease.id, lease.ttl);
            if !put(source::lease(lease.id, lease.ttl)) {
                return Ok(None);
            }
        }
        self.feed_records(&mut put)
    }

    fn feed_records(&self, put: &mut impl FnMut(Entry) -> bool) -> Result<Option<End>> {
        let (mut content, mut last) = (Content::default(), (0, None));
        let mut records = self.items(schema::KEY)?;
        while let Some((name, value)) = records()? {
            let (revision, sub_revision, is_delete) =
                schema::parse_revision_key(&name).with_context(|| format!("{name:?} is no revision"))?;
            let at = (revision, Some(sub_revision));
            ensure!(
                at > last && (1..=REVISION_MAX).contains(&revision),
                "the record at revision {revision} is out of order"
            );
            last = at;
            // `etcdutl snapshot restore --bump-revision` leaves a record of no key, to raise the revision.
            if value.is_empty() {
                continue;
            }
            content.add(&name, &value);
            let kv = mvccpb::KeyValue::decode(value);
            let entry = kv.map_err(Into::into).and_then(|kv| entry(at, is_delete, kv));
            if !put(entry.with_context(|| format!("the record at revision {revision}"))?) {
                return Ok(None);
            }
        }
        let (finished, scheduled) =
            (self.compacted(schema::FINISHED_COMPACT)?, self.compacted(schema::SCHEDULED_COMPACT)?);
        let revision = last.0.max(1).max(finished.unwrap_or(0)).max(scheduled.unwrap_or(0));
        let promised = scheduled.filter(|scheduled| finished.is_none_or(|finished| *scheduled > finished));
        Ok(Some(End { revision, compacted: finished, promised, content: content.finish() }))
    }

    /// The items of a bucket one by one; none when there is no such bucket.
    fn items(&self, bucket: &str) -> Result<impl FnMut() -> Result<Option<(Bytes, Bytes)>>> {
        let mut cursor = self.db.bucket(bucket)?;
        Ok(move || match &mut cursor {
            Some(cursor) => Ok(cursor.next()?),
            None => Ok(None),
        })
    }

    fn compacted(&self, name: &str) -> Result<Option<Revision>> {
        let mut items = self.items(schema::META)?;
        while let Some((key, value)) = items()? {
            if key == name.as_bytes() {
                let key = schema::parse_revision_key(&value).filter(|key| key.0 <= REVISION_MAX);
                return Ok(Some(key.with_context(|| format!("{name} is no revision"))?.0));
            }
        }
        Ok(None)
    }
}

fn entry((revision, sub_revision): (Revision, Option<u32>), is_delete: bool, kv: mvccpb::KeyValue) -> Result<Entry> {
    ensure!(!kv.key.is_empty(), "has no key");
    let mvccpb::KeyValue { key, create_revision, mod_revision, version, value, lease } = kv;
    let sub_revision = sub_revision.unwrap_or(0);
    if is_delete {
        let kind = EntryKind::Delete;
        let value = Bytes::new();
        return Ok(Entry { kind, revision, sub_revision, key, value, create_revision: 0, version: 0, lease: 0 });
    }
    let is_sound = mod_revision == revision && (1..=revision).contains(&create_revision) && version > 0 && lease >= 0;
    ensure!(is_sound, "was created at {create_revision}, changed at {mod_revision}, in version {version}");
    Ok(Entry { kind: EntryKind::Put, revision, sub_revision, key, value, create_revision, version, lease })
}

/// As `etcdutl` tells whether there is a hash: by the length.
fn check_hash(path: &Path) -> Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length % 512 != HASH_LEN {
        bail!("it has no hash at its end: if it is a copy of a member's file, say --skip-hash-check");
    }
    let (mut sum, mut left, mut buffer) = (Sha256::new(), length - HASH_LEN, vec![0; 1 << 20]);
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact(&mut buffer[..wanted])?;
        sum.update(&buffer[..wanted]);
        left -= wanted as u64;
    }
    let mut hash = [0; HASH_LEN as usize];
    file.read_exact(&mut hash)?;
    ensure!(sum.finalize().as_slice() == hash, "the hash at its end is not that of its contents");
    Ok(())
}
