//! Makes steps from a seed: small alphabets of keys, values, leases and ids, so that collisions are plenty, and
//! revisions around those that the answers so far have shown. A theme is a row of makers with their weights.

mod auth;
mod kv;
mod lease;
mod operator;
mod txn;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, Result};
use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb as pb;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::recording::{Kind, Outcome, Step};

/// Queues one or more steps.
type Maker = fn(&mut Generator);

/// Names and their makers. `etcd` must be fresh for each.
pub const THEMES: &[(&str, &[(u32, Maker)])] = &[
    (
        "kv",
        &[
            (40, kv::range),
            (40, kv::put),
            (15, kv::delete_range),
            (5, txn::txn),
            (1, kv::compact),
            (2, operator::hash_kv),
        ],
    ),
    (
        "txn",
        &[
            (10, kv::range),
            (10, kv::put),
            (60, txn::txn),
            (4, txn::too_large),
            (1, kv::compact),
            (2, operator::hash_kv),
        ],
    ),
    (
        "lease",
        &[
            (10, kv::range),
            (20, kv::put),
            (10, txn::txn),
            (20, lease::grant),
            (8, lease::revoke),
            (8, lease::keep_alive),
            (20, lease::time_to_live),
            (4, lease::list),
            (2, lease::grant_short),
            (1, kv::compact),
        ],
    ),
    (
        "expiry",
        &[
            (10, lease::expire),
            (10, kv::put),
            (10, kv::delete_range),
            (10, watch::create),
            (10, watch::drain),
            (5, watch::cancel),
        ],
    ),
    (
        "watch",
        &[
            (40, kv::put),
            (12, kv::delete_range),
            (12, txn::txn),
            (14, watch::create),
            (14, watch::drain),
            (6, watch::cancel),
            (1, watch::close),
            (1, kv::compact),
            (3, lease::grant),
            (2, lease::revoke),
        ],
    ),
    (
        "operator",
        &[
            (20, kv::put),
            (5, kv::delete_range),
            (2, kv::compact),
            (20, operator::any),
            (20, operator::turns),
            (6, lease::grant),
            (6, lease::revoke),
            (6, operator::unreadable),
        ],
    ),
    ("auth", &[(50, auth::change), (20, auth::login), (10, auth::toggle), (80, auth::access)]),
];

pub struct Generator {
    rng: StdRng,
    makers: &'static [(u32, Maker)],
    queue: VecDeque<Step>,
    /// The newest seen in a header.
    revision: i64,
    compacted: i64,
    compactions: BTreeSet<i64>,
    /// Revisions that Txns made.
    txns: BTreeSet<i64>,
    /// Keys and revisions of recent writes.
    written: VecDeque<(Bytes, i64)>,
    leases: BTreeSet<i64>,
    streams: BTreeMap<u32, watch::Stream>,
}

/// What this many writes ago was written is forgotten.
const WRITTEN_MAX: usize = 12;

impl Generator {
    pub fn new(theme: &str, seed: u64) -> Result<Self> {
        let (_, makers) = THEMES.iter().find(|(name, _)| *name == theme).context("no such theme")?;
        Ok(Self {
            rng: StdRng::seed_from_u64(seed),
            makers,
            queue: VecDeque::new(),
            revision: 1,
            compacted: 0,
            compactions: BTreeSet::new(),
            txns: BTreeSet::new(),
            written: VecDeque::new(),
            leases: BTreeSet::new(),
            streams: BTreeMap::new(),
        })
    }

    pub fn next_step(&mut self) -> Step {
        loop {
            if let Some(step) = self.queue.pop_front() {
                return step;
            }
            self.make();
        }
    }

    /// The last steps: every watch stream tells what it has.
    pub fn ending(&mut self) -> Vec<Step> {
        self.queue.clear();
        watch::drain_all(self);
        self.queue.drain(..).collect()
    }

    /// The newest revision that an answer has shown.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Learns from the answer to a step.
    pub fn observe(&mut self, step: &Step, outcome: &Outcome) -> Result<()> {
        self.revision = self.revision.max(outcome.revision());
        let is_ok = outcome.code == 0;
        match step.path.as_str() {
            kv::PUT if is_ok => {
                let key = pb::PutRequest::decode(step.body.clone())?.key;
                if self.written.len() == WRITTEN_MAX {
                    self.written.pop_front();
                }
                self.written.push_back((key, self.revision));
            }
            txn::TXN if is_ok => drop(self.txns.insert(outcome.revision())),
            kv::COMPACT if is_ok => {
                self.compacted = pb::CompactionRequest::decode(step.body.clone())?.revision;
                self.compactions.insert(self.compacted);
            }
            lease::GRANT if is_ok => drop(self.leases.insert(pb::LeaseGrantRequest::decode(step.body.clone())?.id)),
            lease::REVOKE if is_ok => drop(self.leases.remove(&pb::LeaseRevokeRequest::decode(step.body.clone())?.id)),
            _ => {}
        }
        self.observe_watch(step, outcome)
    }

    fn make(&mut self) {
        let total = self.makers.iter().map(|(weight, _)| weight).sum();
        let mut at = self.rng.random_range(0..total);
        for (weight, maker) in self.makers {
            if at < *weight {
                return maker(self);
            }
            at -= weight;
        }
    }

    fn unary(&mut self, path: &str, message: impl Message) {
        self.unary_as("", path, message);
    }

    fn unary_as(&mut self, user: &str, path: &str, message: impl Message) {
        let body = message.encode_to_vec().into();
        self.queue.push_back(Step { path: path.to_owned(), body, user: user.to_owned(), ..Step::default() });
    }

    fn first_as(&mut self, user: &str, path: &str, message: impl Message) {
        let (kind, body) = (Kind::First.into(), message.encode_to_vec().into());
        let (path, user) = (path.to_owned(), user.to_owned());
        self.queue.push_back(Step { kind, path, body, user, ..Step::default() });
    }

    /// One time in `n`.
    fn rarely(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.random_range(0..choices.len())]
    }

    /// No more than twelve, since from thirteen on Go's sort does not keep the order of equal elements.
    fn key(&mut self) -> Bytes {
        const KEYS: [&[u8]; 12] =
            [b"a", b"a\0", b"aa", b"ab", b"b", b"b/", b"b/1", b"b/2", b"c", b"\0", b"\xff", b"\xff\xff"];
        if self.rarely(80) { Bytes::new() } else { Bytes::from_static(self.of(&KEYS)) }
    }

    /// A key and its range_end.
    fn key_range(&mut self) -> (Bytes, Bytes) {
        const ZERO: Bytes = Bytes::from_static(b"\0");
        let key = self.key();
        match self.rng.random_range(0..10) {
            0..4 => (key, Bytes::new()),
            4..6 => (ZERO, ZERO),
            6 => (key, ZERO),
            7 => {
                let end = match key.last() {
                    Some(last) if *last < 255 => [&key[..key.len() - 1], &[last + 1]].concat(),
                    _ => vec![0],
                };
                (key, end.into())
            }
            8 => (Bytes::from_static(b"a"), Bytes::from_static(b"c")),
            _ => (key, self.key()),
        }
    }

    fn value(&mut self) -> Bytes {
        Bytes::from_static(self.of(&[b"".as_slice(), b"1", b"2", b"3", b"10", b"x", b"\0", b"\xff\xfe"]))
    }

    /// Mostly one that can be read.
    fn old_revision(&mut self) -> i64 {
        match self.rng.random_range(0..12) {
            0 => self.revision + self.of(&[1, 2, 1000]),
            1 => self.of(&[-1, i64::MIN, i64::MAX]),
            2 => self.compacted + self.of(&[-1, 0, 1]),
            3 => self.revision,
            _ => self.rng.random_range(self.compacted.min(self.revision)..=self.revision),
        }
    }

    /// A lease that there is, mostly; 0 where there is none.
    fn lease(&mut self) -> i64 {
        if self.rarely(8) {
            return self.of(&[-1, 404, i64::MAX]);
        }
        let alive: Vec<_> = self.leases.iter().copied().collect();
        if alive.is_empty() { 0 } else { self.of(&alive) }
    }
}
