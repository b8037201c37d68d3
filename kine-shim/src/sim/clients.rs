//! Seeded clients: they write, compare and swap, read, compact, hold leases, and watch, each through whichever shim it
//! feels like.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{sleep, timeout};

use super::{
    database::POISON,
    history::{Call, Done, History, Outcome, WatchSession},
};
use crate::{
    model::{
        Compare, CompareResult, CompareTarget, DeleteRange, Key, KeyRange, KeyValue, LeaseId, Op, Put, Range, RangeEnd,
        ReadAt, Refusal, Reply, Revision, Txn, TxnOp, TxnOpReply,
    },
    shim::{Consistency, Shim},
    watch::{Filters, WatchMessage, WatchRequest},
};

/// The shims as clients find them: a slot is empty while its shim is down.
pub(super) type Shims = Arc<Mutex<Vec<Option<Shim>>>>;

pub(super) const KEYS: usize = 5;

pub(super) struct Client {
    pub(super) id: usize,
    rng: StdRng,
    shims: Shims,
    history: Arc<History>,
    /// The mod revision of each key as this client saw it last.
    seen: BTreeMap<Key, Revision>,
    revision: Revision,
    leases: Vec<(LeaseId, i64)>,
    count: usize,
    /// Every other call is about a lease.
    loves_leases: bool,
}

fn all_keys() -> KeyRange {
    KeyRange { start: Key::from_static(b"k"), end: RangeEnd::Before(Key::from_static(b"l")) }
}

pub(super) fn range_of(key: Option<&Key>) -> KeyRange {
    match key {
        Some(key) => KeyRange::single(key.clone()),
        None => all_keys(),
    }
}

fn put_of(key: &Key, value: &str, lease: LeaseId) -> Put {
    let value = Key::copy_from_slice(value.as_bytes());
    Put { lease, ..Put::of(key.clone(), value) }
}

/// A write that no client watches or reads.
pub(super) fn last_write(shim: usize) -> Op {
    Op::Put(put_of(&Key::from_static(b"last"), &format!("of shim {shim}"), 0))
}

fn delete_of(key: &Key) -> DeleteRange {
    DeleteRange { range: range_of(Some(key)), prev_kv: false }
}

fn swap_of(key: &Key, expected: Revision, then: TxnOp) -> Op {
    let compare =
        Compare { range: range_of(Some(key)), result: CompareResult::Equal, target: CompareTarget::Mod(expected) };
    let read = TxnOp::Range(Range::of(range_of(Some(key))));
    Op::Txn(Txn { compare: vec![compare], success: vec![then], failure: vec![read] })
}

impl Client {
    pub(super) fn new(id: usize, seed: u64, shims: Shims, history: Arc<History>) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ (0xC11E47 + id as u64));
        Self {
            id,
            rng,
            shims,
            history,
            seen: BTreeMap::new(),
            revision: 1,
            leases: Vec::new(),
            count: 0,
            loves_leases: seed.is_multiple_of(4),
        }
    }

    pub(super) async fn run(mut self, calls: usize) {
        for _ in 0..calls {
            let pause =
                if self.rng.random_bool(0.1) { self.rng.random_range(0..800) } else { self.rng.random_range(0..6) };
            sleep(Duration::from_millis(pause)).await;
            let call = self.draw();
            let found = {
                let shims = self.shims.lock();
                let at = self.rng.random_range(0..shims.len());
                shims[at].clone().map(|shim| (at, shim))
            };
            let Some((at, shim)) = found else { continue };
            let start = self.history.now();
            let outcome = self.perform(&shim, &call).await;
            let end = self.history.now();
            self.learn(&call, &outcome);
            self.history.record(Done { client: self.id, shim: at, start, end, call, outcome });
        }
    }

    fn draw(&mut self) -> Call {
        self.count += 1;
        let mut value = format!("{}-{}", self.id, self.count);
        if self.rng.random_bool(0.01) {
            value = format!("{POISON} {value}");
        }
        let key = Key::from(format!("k{}", self.rng.random_range(0..KEYS)));
        let expected = self.seen.get(&key).copied().unwrap_or(0);
        let is_linearizable = self.rng.random_bool(0.8);
        let lease = match self.leases.last() {
            Some((id, _)) if self.rng.random_bool(0.3) => *id,
            _ => 0,
        };
        let least = if self.loves_leases && self.rng.random_bool(0.5) { 91 } else { 0 };
        match self.rng.random_range(least..100) {
            0..22 => Call::Put { key, value, lease },
            22..28 => Call::Delete { key },
            28..55 => Call::Swap { key, expected, value },
            55..62 => Call::Remove { key, expected },
            62..78 => Call::Get { key, is_linearizable },
            78..86 => Call::List { is_linearizable },
            86..89 => Call::ListAt { revision: self.revision - self.rng.random_range(0..10) },
            89..91 => Call::Compact { revision: self.revision - self.rng.random_range(0..6) },
            91..94 => {
                let id = LeaseId::try_from(self.id * 1000 + self.count).unwrap_or(1);
                Call::Grant { id, ttl: self.rng.random_range(2..6) }
            }
            94..98 if !self.leases.is_empty() => {
                Call::KeepAlive { id: self.leases[self.rng.random_range(0..self.leases.len())].0 }
            }
            98..99 if !self.leases.is_empty() => {
                Call::Revoke { id: self.leases[self.rng.random_range(0..self.leases.len())].0 }
            }
            _ => Call::Put { key, value, lease: 0 },
        }
    }

    async fn perform(&self, shim: &Shim, call: &Call) -> Outcome {
        let op = match call.clone() {
            Call::Put { key, value, lease } => Op::Put(put_of(&key, &value, lease)),
            Call::Delete { key } => Op::DeleteRange(delete_of(&key)),
            Call::Swap { key, expected, value } => swap_of(&key, expected, TxnOp::Put(put_of(&key, &value, 0))),
            Call::Remove { key, expected } => swap_of(&key, expected, TxnOp::DeleteRange(delete_of(&key))),
            Call::Get { key, is_linearizable } => {
                return read(shim, Range::of(range_of(Some(&key))), is_linearizable).await;
            }
            Call::List { is_linearizable } => {
                return read(shim, Range::of(all_keys()), is_linearizable).await;
            }
            Call::ListAt { revision } => {
                return read(shim, Range { at: ReadAt::Revision(revision.max(1)), ..Range::of(all_keys()) }, true)
                    .await;
            }
            Call::Compact { revision } => Op::Compact { revision: revision.max(1) },
            Call::Grant { id, ttl } => Op::LeaseGrant { id, ttl },
            Call::Revoke { id } => Op::LeaseRevoke { id },
            Call::KeepAlive { id } => {
                return match shim.lease_keep_alive(id).await {
                    Ok(ttl) => Outcome::KeptAlive { ttl },
                    Err(_) => Outcome::Unknown,
                };
            }
        };
        match shim.write(op).await {
            Ok((header, reply)) => outcome_of(header, reply),
            // Only who brought it along may hear of it.
            Err(error) if error.to_string().contains(POISON) && !call.is_poisoned() => Outcome::Blamed,
            Err(error) => error.into(),
        }
    }

    fn learn(&mut self, call: &Call, outcome: &Outcome) {
        let (header, kvs) = match outcome {
            Outcome::Written { header } => (*header, &[][..]),
            Outcome::Read { header, kvs } | Outcome::CompareFailed { header, kvs } => (*header, &kvs[..]),
            _ => return,
        };
        self.revision = self.revision.max(header);
        for kv in kvs {
            self.seen.insert(kv.key.clone(), kv.mod_revision);
        }
        match (call, outcome) {
            (Call::Put { key, .. } | Call::Swap { key, .. }, Outcome::Written { header }) => {
                self.seen.insert(key.clone(), *header);
            }
            (Call::Delete { key } | Call::Remove { key, .. }, Outcome::Written { .. }) => {
                self.seen.remove(key);
            }
            (Call::Grant { id, ttl }, Outcome::Written { .. }) => self.leases.push((*id, *ttl)),
            (Call::Get { key, .. }, Outcome::Read { kvs, .. }) if kvs.is_empty() => {
                self.seen.remove(key);
            }
            _ => {}
        }
    }
}

fn outcome_of(header: Revision, reply: Reply) -> Outcome {
    match reply {
        Reply::DeleteRange(reply) if reply.deleted == 0 => Outcome::NothingDeleted { header },
        Reply::Txn(reply) if !reply.succeeded => {
            let kvs = match reply.replies.into_iter().next() {
                Some(TxnOpReply::Range(read)) => read.kvs,
                _ => Vec::new(),
            };
            Outcome::CompareFailed { header, kvs }
        }
        Reply::Txn(reply) => match reply.replies.first() {
            // Compared with 0 and then deleted: there was nothing.
            Some(TxnOpReply::DeleteRange(reply)) if reply.deleted == 0 => Outcome::NothingDeleted { header },
            _ => Outcome::Written { header },
        },
        _ => Outcome::Written { header },
    }
}

async fn read(shim: &Shim, range: Range, is_linearizable: bool) -> Outcome {
    let consistency = if is_linearizable { Consistency::Linearizable } else { Consistency::Serializable };
    let state = match shim.read(consistency).await {
        Ok(state) => state,
        Err(_) => return Outcome::NotApplied,
    };
    match state.range(&range) {
        Ok(reply) => Outcome::Read { header: state.revision(), kvs: reply.kvs },
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// Watches one key or all, resuming where it stopped, now and then on another shim, until `over` is dropped; then until
/// it has seen everything up to the revision it is told.
pub(super) struct Watcher {
    rng: StdRng,
    shims: Shims,
    history: Arc<History>,
    over: tokio::sync::watch::Receiver<Option<Revision>>,
}

impl Watcher {
    pub(super) fn new(
        id: usize,
        seed: u64,
        shims: Shims,
        history: Arc<History>,
        over: tokio::sync::watch::Receiver<Option<Revision>>,
    ) -> Self {
        Self { rng: StdRng::seed_from_u64(seed ^ (0x3A7C4 + id as u64)), shims, history, over }
    }

    pub(super) async fn run(mut self) {
        let key = self.rng.random_bool(0.5).then(|| Key::from(format!("k{}", self.rng.random_range(0..KEYS))));
        let mut next = None;
        loop {
            let found = {
                let shims = self.shims.lock();
                let at = self.rng.random_range(0..shims.len());
                shims[at].clone().map(|shim| (at, shim))
            };
            let Some((shim_at, shim)) = found else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let filters = match self.rng.random_range(0..8) {
                0 => Filters { no_put: true, no_delete: false },
                1 => Filters { no_put: false, no_delete: true },
                _ => Filters::default(),
            };
            let main = WatchSession { shim: shim_at, key: key.clone(), start: next, filters, messages: Vec::new() };
            // Another watcher on the same stream, of what comes from now on.
            let other = WatchSession { key: None, start: None, filters: Filters::default(), ..main.clone() };
            let mut sessions = [main, other];
            let target = self.session(&shim, &mut sessions).await;
            next = resume(next, &sessions[0]);
            sessions.into_iter().for_each(|session| self.history.record_session(session));
            if target.is_some_and(|target| next.is_some_and(|next| next > target)) {
                return;
            }
        }
    }

    /// One session; returns the final revision once it is known.
    async fn session(&mut self, shim: &Shim, sessions: &mut [WatchSession; 2]) -> Option<Revision> {
        let mut stream = shim.watch_stream();
        let control = stream.control();
        for session in sessions.iter() {
            let request = WatchRequest {
                id: None,
                range: range_of(session.key.as_ref()),
                start: session.start,
                filters: session.filters,
                progress_notify: self.rng.random_bool(0.3),
            };
            control.create(request).await;
        }
        let mut left = self.rng.random_range(1..60);
        loop {
            let target = *self.over.borrow();
            if target.is_some() || self.rng.random_bool(0.2) {
                control.request_progress();
            }
            if self.rng.random_bool(0.05) {
                // A slow reader.
                sleep(Duration::from_millis(self.rng.random_range(1..2_000))).await;
            }
            match timeout(Duration::from_millis(300), stream.next()).await {
                Ok(Some(message)) => {
                    tell(sessions, message);
                    if sessions[0].has_ended() {
                        return target;
                    }
                }
                Ok(None) => return target,
                Err(_) => {}
            }
            let seen = resume(sessions[0].start, &sessions[0]);
            if target.is_some_and(|target| seen.is_some_and(|next| next > target)) {
                return target;
            }
            left -= 1;
            if left == 0 && target.is_none() {
                return None;
            }
        }
    }
}

/// Gives a message to the watcher that it is for; the stream numbers them from 0.
fn tell(sessions: &mut [WatchSession; 2], message: WatchMessage) {
    let to = match &message {
        WatchMessage::Created { id, .. } | WatchMessage::Events { id, .. } | WatchMessage::Canceled { id, .. } => {
            Some(*id)
        }
        WatchMessage::Progress { id, .. } => *id,
        // Of the two none can be refused.
        WatchMessage::Refused { .. } => Some(0),
    };
    for (id, session) in (0..).zip(sessions) {
        let is_there = to.is_some() || !session.messages.is_empty() && !session.has_ended();
        if to.is_none_or(|to| to == id) && is_there {
            session.messages.push(message.clone());
        }
    }
}

/// Where a client that saw this session goes on.
pub(super) fn resume(next: Option<Revision>, session: &WatchSession) -> Option<Revision> {
    let mut next = next;
    for message in &session.messages {
        match message {
            WatchMessage::Created { header_revision, .. } if next.is_none() => next = Some(header_revision + 1),
            WatchMessage::Events { revisions, .. } => next = revisions.last().map(|last| last.revision + 1).or(next),
            WatchMessage::Progress { revision, .. } => next = Some(revision + 1),
            WatchMessage::Canceled { compacted: Some(compacted), header_revision, .. } => {
                // Relist, and go on from there.
                next = Some((*compacted).max(*header_revision) + 1);
            }
            _ => {}
        }
    }
    next
}

/// Every key with the revision, for the end of a run.
pub(super) async fn final_list(shim: &Shim) -> Result<(Revision, Vec<KeyValue>), Refusal> {
    loop {
        if let Ok(state) = shim.read(Consistency::Linearizable).await {
            return state.range(&Range::of(all_keys())).map(|reply| (state.revision(), reply.kvs));
        }
    }
}
