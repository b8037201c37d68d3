//! The twin: a whole map per revision, every answer by brute force, transcribed from what etcd is observed to do.

use std::collections::BTreeMap;

use crate::model::{
    Compare, CompareResult, CompareTarget, DeleteRange, DeleteRangeReply, Event, Grant, Key, KeyRange, KeyValue,
    LeaseId, Op, Put, PutReply, Range, RangeReply, ReadAt, Refusal, Reply, Revision, RevisionEvents, SortOrder,
    SortTarget, Txn, TxnOp, TxnOpReply, TxnReply,
};

type World = BTreeMap<Key, KeyValue>;

#[derive(Clone, Default)]
pub(super) struct Naive {
    /// At each revision from 1 on.
    pub(super) worlds: Vec<World>,
    pub(super) events: Vec<RevisionEvents>,
    pub(super) compacted: Revision,
    pub(super) leases: BTreeMap<LeaseId, i64>,
}

/// An operation under way: the world as it becomes.
struct Step {
    world: World,
    before: Revision,
    events: Vec<Event>,
}

impl Step {
    fn revision(&self) -> Revision {
        self.before + i64::from(!self.events.is_empty())
    }
}

impl Naive {
    pub(super) fn new() -> Self {
        Self { worlds: vec![World::new()], compacted: -1, ..Self::default() }
    }

    pub(super) fn revision(&self) -> Revision {
        self.worlds.len() as i64
    }

    pub(super) fn world(&self, at: Revision) -> &World {
        &self.worlds[at as usize - 1]
    }

    fn step(&self) -> Step {
        Step { world: self.world(self.revision()).clone(), before: self.revision(), events: Vec::new() }
    }

    /// Events tell what was there before the revision; a put that creates its key tells nothing.
    fn end(&mut self, mut step: Step) {
        for event in &mut step.events {
            let is_create = !event.is_delete && event.kv.create_revision == event.kv.mod_revision;
            event.prev = self.world(step.before).get(&event.kv.key).filter(|_| !is_create).cloned();
        }
        if !step.events.is_empty() {
            self.events.push(RevisionEvents { revision: step.before + 1, events: step.events });
            self.worlds.push(step.world);
        }
    }

    pub(super) fn evaluate(&mut self, op: &Op) -> Result<Reply, Refusal> {
        let mut step = self.step();
        let reply = match op {
            Op::Put(put) => {
                self.check_lease(put.lease)?;
                Reply::Put(self.put(&mut step, put)?)
            }
            Op::DeleteRange(delete) => Reply::DeleteRange(delete_range(&mut step, delete)),
            Op::Txn(txn) => {
                self.check(txn, &step.world)?;
                let before = step.world.clone();
                let mut reply = self.run(&mut step, txn, &before);
                reply.revision = step.revision();
                Reply::Txn(reply)
            }
            Op::Compact { revision } if *revision <= self.compacted => return Err(Refusal::Compacted),
            Op::Compact { revision } if *revision > self.revision() => return Err(Refusal::FutureRevision),
            Op::Compact { revision } => {
                self.compacted = *revision;
                Reply::Compact
            }
            Op::LeaseGrant { id, .. } if self.leases.contains_key(id) => return Err(Refusal::LeaseExists),
            Op::LeaseGrant { id, ttl } => {
                self.leases.insert(*id, *ttl);
                Reply::LeaseGrant
            }
            Op::LeaseRevoke { id } | Op::LeaseExpire(Grant { id, .. }) => {
                self.leases.remove(id).ok_or(Refusal::LeaseNotFound)?;
                for key in self.lease_keys(*id) {
                    erase(&mut step, &key);
                }
                Reply::LeaseRevoke
            }
            Op::Record { .. } => Reply::Record,
            Op::Auth(_) => Reply::Auth,
        };
        self.end(step);
        Ok(reply)
    }

    pub(super) fn lease_keys(&self, id: LeaseId) -> Vec<Key> {
        let world = self.world(self.revision());
        world.values().filter(|kv| kv.lease == id).map(|kv| kv.key.clone()).collect()
    }

    fn check_lease(&self, id: LeaseId) -> Result<(), Refusal> {
        if id == 0 || self.leases.contains_key(&id) { Ok(()) } else { Err(Refusal::LeaseNotFound) }
    }

    fn put(&self, step: &mut Step, put: &Put) -> Result<PutReply, Refusal> {
        let old = step.world.get(&put.key).cloned();
        if (put.ignore_value || put.ignore_lease) && old.is_none() {
            return Err(Refusal::KeyNotFound);
        }
        let revision = step.before + 1;
        let mut kv = KeyValue {
            key: put.key.clone(),
            value: put.value.clone(),
            create_revision: old.as_ref().map_or(revision, |old| old.create_revision),
            mod_revision: revision,
            version: old.as_ref().map_or(0, |old| old.version) + 1,
            lease: put.lease,
        };
        if let Some(old) = &old {
            kv.value = if put.ignore_value { old.value.clone() } else { kv.value };
            kv.lease = if put.ignore_lease { old.lease } else { kv.lease };
        }
        step.world.insert(put.key.clone(), kv.clone());
        step.events.push(Event { is_delete: false, kv, prev: old.clone(), shown: Default::default() });
        Ok(PutReply { prev: old.filter(|_| put.prev_kv), revision })
    }

    fn check(&self, txn: &Txn, world: &World) -> Result<(), Refusal> {
        for op in taken(txn, world) {
            match op {
                TxnOp::Range(range) => match range.at {
                    ReadAt::Revision(at) if at > self.revision() => return Err(Refusal::FutureRevision),
                    ReadAt::Revision(at) if at != 0 && at < self.compacted => return Err(Refusal::Compacted),
                    _ => {}
                },
                TxnOp::Put(put) => {
                    if (put.ignore_value || put.ignore_lease) && !world.contains_key(&put.key) {
                        return Err(Refusal::KeyNotFound);
                    }
                    self.check_lease(put.lease)?;
                }
                TxnOp::DeleteRange(_) => {}
                TxnOp::Txn(txn) => self.check(txn, world)?,
            }
        }
        Ok(())
    }

    fn run(&self, step: &mut Step, txn: &Txn, before: &World) -> TxnReply {
        let mut replies = Vec::new();
        for op in taken(txn, before) {
            replies.push(match op {
                TxnOp::Range(range) => {
                    let at = match range.at {
                        ReadAt::Revision(at) if at > 0 && at <= step.before => self.world(at),
                        _ => &step.world,
                    };
                    TxnOpReply::Range(range_in(at, range, step.revision()))
                }
                TxnOp::Put(put) => TxnOpReply::Put(self.put(step, put).unwrap()),
                TxnOp::DeleteRange(delete) => TxnOpReply::DeleteRange(delete_range(step, delete)),
                TxnOp::Txn(txn) => TxnOpReply::Txn(self.run(step, txn, before)),
            });
        }
        TxnReply { succeeded: txn.compare.iter().all(|compare| holds(before, compare)), replies, revision: 0 }
    }

    pub(super) fn range(&self, range: &Range) -> Result<RangeReply, Refusal> {
        let at = match range.at {
            ReadAt::Revision(at) if at > self.revision() => return Err(Refusal::FutureRevision),
            ReadAt::Revision(at) if at > 0 && at < self.compacted => return Err(Refusal::Compacted),
            ReadAt::Revision(at) if at > 0 => at,
            _ => self.revision(),
        };
        Ok(range_in(self.world(at), range, self.revision()))
    }

    pub(super) fn history(&self, range: &KeyRange, from: Revision) -> Result<Vec<RevisionEvents>, Refusal> {
        if from < self.compacted {
            return Err(Refusal::Compacted);
        }
        let mut found = Vec::new();
        for revision in self.events.iter().filter(|events| events.revision >= from) {
            let mut events: Vec<_> =
                revision.events.iter().filter(|event| range.contains(&event.kv.key)).cloned().collect();
            if revision.revision == self.compacted {
                let all = events.clone();
                let is_last =
                    |(at, event): (usize, &Event)| all[at + 1..].iter().all(|later| later.kv.key != event.kv.key);
                events = all.iter().enumerate().filter(|at| is_last(*at)).map(|(_, event)| event.clone()).collect();
                events.iter_mut().for_each(|event| event.prev = None);
            }
            if !events.is_empty() {
                found.push(RevisionEvents { revision: revision.revision, events });
            }
        }
        Ok(found)
    }
}

fn erase(step: &mut Step, key: &Key) -> Option<KeyValue> {
    let prev = step.world.remove(key)?;
    let kv = KeyValue { key: key.clone(), mod_revision: step.before + 1, ..KeyValue::default() };
    step.events.push(Event { is_delete: true, kv, prev: Some(prev.clone()), shown: Default::default() });
    Some(prev)
}

fn delete_range(step: &mut Step, delete: &DeleteRange) -> DeleteRangeReply {
    let keys: Vec<Key> = step.world.keys().filter(|key| delete.range.contains(key)).cloned().collect();
    let prevs: Vec<_> = keys.iter().filter_map(|key| erase(step, key)).collect();
    DeleteRangeReply {
        deleted: prevs.len() as i64,
        prevs: if delete.prev_kv { prevs } else { Vec::new() },
        revision: step.revision(),
    }
}

fn taken<'a>(txn: &'a Txn, world: &World) -> &'a [TxnOp] {
    if txn.compare.iter().all(|compare| holds(world, compare)) { &txn.success } else { &txn.failure }
}

fn holds(world: &World, compare: &Compare) -> bool {
    let mut found: Vec<KeyValue> = world.values().filter(|kv| compare.range.contains(&kv.key)).cloned().collect();
    if found.is_empty() {
        if matches!(compare.target, CompareTarget::Value(_)) {
            return false;
        }
        found.push(KeyValue::default());
    }
    found.iter().all(|kv| {
        let order = match &compare.target {
            CompareTarget::Version(version) => kv.version.cmp(version),
            CompareTarget::Create(revision) => kv.create_revision.cmp(revision),
            CompareTarget::Mod(revision) => kv.mod_revision.cmp(revision),
            CompareTarget::Value(value) => kv.value.cmp(value),
            CompareTarget::Lease(lease) => kv.lease.cmp(lease),
            CompareTarget::Nothing => std::cmp::Ordering::Equal,
        };
        match compare.result {
            CompareResult::Equal => order.is_eq(),
            CompareResult::NotEqual => order.is_ne(),
            CompareResult::Greater => order.is_gt(),
            CompareResult::Less => order.is_lt(),
            CompareResult::Anything => true,
        }
    })
}

fn range_in(world: &World, range: &Range, revision: Revision) -> RangeReply {
    let mut kvs: Vec<KeyValue> = world.values().filter(|kv| range.range.contains(&kv.key)).cloned().collect();
    let count = kvs.len() as i64;
    if range.count_only {
        return RangeReply { kvs: Vec::new(), more: false, count, revision };
    }
    let filters = [range.mod_revisions, range.create_revisions];
    let limit_first = range.sort_order == SortOrder::None && filters == [(0, 0); 2];
    if limit_first && range.limit > 0 {
        kvs.truncate(range.limit + 1);
    }
    let within = |(min, max): (i64, i64), of: i64| (max == 0 || of <= max) && (min == 0 || of >= min);
    kvs.retain(|kv| within(filters[0], kv.mod_revision) && within(filters[1], kv.create_revision));
    if range.sort_target != SortTarget::Key || range.sort_order == SortOrder::Descend {
        kvs.sort_by(|a, b| {
            let order = match range.sort_target {
                SortTarget::Key => a.key.cmp(&b.key),
                SortTarget::Version => a.version.cmp(&b.version),
                SortTarget::Create => a.create_revision.cmp(&b.create_revision),
                SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
                SortTarget::Value => a.value.cmp(&b.value),
            };
            if range.sort_order == SortOrder::Descend { order.reverse() } else { order }
        });
    }
    let more = range.limit > 0 && kvs.len() > range.limit;
    if more {
        kvs.truncate(range.limit);
    }
    if range.keys_only {
        kvs.iter_mut().for_each(|kv| kv.value.clear());
    }
    RangeReply { kvs, more, count, revision }
}
