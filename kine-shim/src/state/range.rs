//! Reading keys: every option of etcd's Range, its quirks included, on the newest state or at an older revision of it.

use std::sync::Arc;

use super::{State, record::Record};
use crate::model::{Key, KeyRange, Range, RangeEnd, RangeReply, ReadAt, Refusal, Revision, SortOrder, SortTarget};

impl State {
    pub fn range(&self, range: &Range) -> Result<RangeReply, Refusal> {
        let at = self.readable(range.at)?;
        let count = if at == self.revision { self.count_live(&range.range) } else { self.count_at(&range.range, at) };
        let reply = RangeReply { revision: self.revision, count: count as i64, ..RangeReply::default() };
        if range.count_only {
            return Ok(reply);
        }
        let found = if at == self.revision { self.fetch_live(range) } else { self.fetch_at(range, at) };
        Ok(finish(range, found, reply))
    }

    /// The revision to read at, if it can be read.
    pub(super) fn readable(&self, at: ReadAt) -> Result<Revision, Refusal> {
        match at {
            ReadAt::Revision(revision) if revision > self.revision => Err(Refusal::FutureRevision),
            ReadAt::Revision(revision) if revision > 0 && revision < self.compacted => Err(Refusal::Compacted),
            ReadAt::Revision(revision) if revision > 0 => Ok(revision),
            ReadAt::Revision(_) | ReadAt::Latest => Ok(self.revision),
        }
    }

    /// What a Txn asks of its ranges before it runs: unlike outside, a revision below 0 counts as compacted once
    /// something was.
    pub(super) fn check_readable(&self, at: ReadAt) -> Result<(), Refusal> {
        match at {
            ReadAt::Latest | ReadAt::Revision(0) => Ok(()),
            ReadAt::Revision(revision) if revision > self.revision => Err(Refusal::FutureRevision),
            ReadAt::Revision(revision) if revision < self.compacted => Err(Refusal::Compacted),
            ReadAt::Revision(_) => Ok(()),
        }
    }

    pub(super) fn live(&self, key: &Key) -> Option<&Arc<Record>> {
        self.newest.get(key).map(|newest| &newest.0).filter(|record| !record.is_delete)
    }

    /// Live records of the range, in key order.
    pub(super) fn live_in<'a>(&'a self, range: &'a KeyRange) -> Box<dyn Iterator<Item = &'a Arc<Record>> + 'a> {
        if range.end == RangeEnd::Single {
            return Box::new(self.live(&range.start).into_iter());
        }
        let from_start = self.newest.ascend(&range.start).live().map(|newest| &newest.0);
        Box::new(from_start.take_while(|record| range.contains(record.key_bytes())))
    }

    fn count_live(&self, range: &KeyRange) -> usize {
        let end = match &range.end {
            RangeEnd::Single => return usize::from(self.live(&range.start).is_some()),
            RangeEnd::Unbounded => self.newest.live(),
            RangeEnd::Before(end) => self.newest.live_before(end),
        };
        end.saturating_sub(self.newest.live_before(&range.start))
    }

    fn fetch_live<'a>(&'a self, range: &'a Range) -> Vec<&'a Arc<Record>> {
        match fetch_limit(range) {
            Fetch::All => self.live_in(&range.range).collect(),
            Fetch::First(limit) => self.live_in(&range.range).take(limit).collect(),
            Fetch::Last(limit) => {
                let before = match &range.range.end {
                    RangeEnd::Single => return self.live(&range.range.start).into_iter().collect(),
                    RangeEnd::Unbounded => None,
                    RangeEnd::Before(end) => Some(end),
                };
                let from_end = self.newest.descend(before).live().map(|newest| &newest.0);
                from_end.take_while(|record| range.range.contains(record.key_bytes())).take(limit).collect()
            }
        }
    }

    /// At an older revision: what is live now less what changed since, or, where more changed than there is, a walk
    /// over the range.
    fn count_at(&self, range: &KeyRange, at: Revision) -> usize {
        let now = self.count_live(range);
        let changes = self.changes.live() - self.changes.live_before(&(at + 1, 0));
        if changes > now {
            return self.visible_at(range, at).count();
        }
        let mut count = now;
        for change in self.changes.ascend(&(at + 1, 0)).filter(|change| range.contains(change.0.key_bytes())) {
            let record = &change.0;
            let before = self.before(&(record.key(), record.revision, record.sub_revision));
            // Each key once, by its first change since.
            if before.is_some_and(|before| before.revision > at) {
                continue;
            }
            let was_live = before.is_some_and(|before| !before.is_delete);
            let is_live = self.live(&record.key()).is_some();
            count = (count + usize::from(was_live)).saturating_sub(usize::from(is_live));
        }
        count
    }

    fn fetch_at<'a>(&'a self, range: &'a Range, at: Revision) -> Vec<&'a Arc<Record>> {
        let visible = self.visible_at(&range.range, at);
        match fetch_limit(range) {
            Fetch::First(limit) => visible.take(limit).collect(),
            Fetch::All | Fetch::Last(_) => visible.collect(),
        }
    }

    /// Records of the range as they were at an older revision, in key order.
    fn visible_at<'a>(&'a self, range: &'a KeyRange, at: Revision) -> impl Iterator<Item = &'a Arc<Record>> + use<'a> {
        self.newest
            .ascend(&range.start)
            .map(|newest| &newest.0)
            .take_while(|record| range.contains(record.key_bytes()))
            .filter_map(move |newest| self.as_of(newest, at))
            .filter(|record| !record.is_delete)
    }

    /// The record of the same key at a revision, tombstones included.
    pub(super) fn as_of<'a>(&'a self, newest: &'a Arc<Record>, at: Revision) -> Option<&'a Arc<Record>> {
        if newest.revision <= at {
            return Some(newest);
        }
        self.before(&(newest.key(), at + 1, 0))
    }

    /// The last superseded record of a key before a revision and sub-revision.
    pub(super) fn before(&self, id: &(Key, Revision, u32)) -> Option<&Arc<Record>> {
        let older = self.superseded.descend(Some(id)).next().map(|older| &older.0);
        older.filter(|older| older.key_bytes() == id.0)
    }
}

enum Fetch {
    All,
    First(usize),
    /// From the end, in descending order.
    Last(usize),
}

/// How much must be looked at: one more than the limit, to know whether there is more; all of it to be sorted or
/// filtered.
fn fetch_limit(range: &Range) -> Fetch {
    let limit = range.limit.saturating_add(1);
    match (range.sort_target, range.sort_order) {
        _ if range.limit == 0 || has_filters(range) => Fetch::All,
        // etcd's quirk: with a target but no order the limit comes first, then the sort.
        (_, SortOrder::None) | (SortTarget::Key, SortOrder::Ascend) => Fetch::First(limit),
        (SortTarget::Key, SortOrder::Descend) => Fetch::Last(limit),
        _ => Fetch::All,
    }
}

impl Range {
    /// Whether every key of the range must be looked at, however few are wanted.
    pub fn looks_at_all(&self) -> bool {
        !self.count_only && matches!(fetch_limit(self), Fetch::All)
    }
}

fn has_filters(range: &Range) -> bool {
    range.mod_revisions != (0, 0) || range.create_revisions != (0, 0)
}

fn passes(range: &Range, record: &Record) -> bool {
    let within = |(min, max): (Revision, Revision), revision: Revision| {
        (max == 0 || revision <= max) && (min == 0 || revision >= min)
    };
    within(range.mod_revisions, record.revision) && within(range.create_revisions, record.create_revision)
}

/// Filter, sort, cut, and only then make key-values.
fn finish(range: &Range, mut found: Vec<&Arc<Record>>, reply: RangeReply) -> RangeReply {
    if has_filters(range) {
        found.retain(|record| passes(range, record));
    }
    let compare = |a: &Record, b: &Record| match range.sort_target {
        SortTarget::Key => a.key_bytes().cmp(b.key_bytes()),
        SortTarget::Version => a.version.cmp(&b.version),
        SortTarget::Create => a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => a.revision.cmp(&b.revision),
        SortTarget::Value => a.value_bytes().cmp(b.value_bytes()),
    };
    match (range.sort_target, range.sort_order) {
        // Key order is how records are found.
        (SortTarget::Key, SortOrder::None | SortOrder::Ascend) => {}
        (_, SortOrder::Descend) => found.sort_by(|a, b| compare(a, b).reverse()),
        _ => found.sort_by(|a, b| compare(a, b)),
    }
    let more = range.limit > 0 && found.len() > range.limit;
    if more {
        found.truncate(range.limit);
    }
    let kvs = found.into_iter().map(|record| if range.keys_only { record.key_only() } else { record.key_value() });
    RangeReply { kvs: kvs.collect(), more, ..reply }
}
