//! What clients and watchers of one round saw: requests with their times and answers, events with theirs. Nothing is
//! checked here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::mvccpb::{KeyValue, event::EventType};

/// A key's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub value: String,
    pub created: i64,
    pub modified: i64,
    pub version: i64,
}

impl From<&KeyValue> for Record {
    fn from(kv: &KeyValue) -> Self {
        let value = text(&kv.value);
        Self { value, created: kv.create_revision, modified: kv.mod_revision, version: kv.version }
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Linearizable,
    Serializable,
    At(i64),
}

/// Values are unique: whatever is found tells who wrote it.
#[derive(Clone, Debug)]
pub enum Ask {
    Put {
        key: String,
        value: String,
    },
    Delete {
        key: String,
    },
    /// If the key is still at this revision, else read it.
    Swap {
        key: String,
        expected: i64,
        value: String,
    },
    /// Both keys in one Txn.
    Pair {
        keys: [String; 2],
        value: String,
    },
    Get {
        key: String,
        reading: Reading,
    },
    /// All keys.
    List {
        reading: Reading,
    },
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub revision: i64,
    /// Something was written.
    pub applied: bool,
    /// What was read, or what was there before a write.
    pub found: BTreeMap<String, Record>,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Answered(Answer),
    /// It did not happen.
    Refused,
    /// It may have happened, or happen yet.
    Unknown,
}

/// Times are since the round began.
#[derive(Clone, Debug)]
pub struct Operation {
    pub asked: Duration,
    pub answered: Duration,
    pub ask: Ask,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub key: String,
    pub revision: i64,
    /// `None`: deleted.
    pub record: Option<Record>,
    pub previous: Option<Record>,
}

impl Event {
    pub(super) fn read(event: &proto::mvccpb::Event) -> Self {
        let kv = event.kv.clone().unwrap_or_default();
        let is_put = event.r#type() == EventType::Put;
        let previous = event.prev_kv.as_ref().map(Record::from);
        Self { key: text(&kv.key), revision: kv.mod_revision, record: is_put.then(|| Record::from(&kv)), previous }
    }
}

#[derive(Clone, Debug)]
pub enum Heard {
    Created { revision: i64 },
    Events { revision: i64, events: Vec<Event> },
    Progress { revision: i64 },
    Canceled { compacted: i64 },
}

/// One watch, from its creation to its end.
#[derive(Clone, Debug)]
pub struct Session {
    pub name: String,
    pub prefix: String,
    /// The first revision asked for.
    pub from: i64,
    pub wants_previous: bool,
    pub heard: Vec<(Duration, Heard)>,
}

/// A whole round.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Of the store before the round.
    pub base: i64,
    /// Of the last write, which every watcher waits for.
    pub last: i64,
    /// The highest that was compacted at.
    pub compacted: i64,
    pub operations: Vec<Operation>,
    pub sessions: Vec<Session>,
}

/// Revision -> key -> event, from all watchers together.
pub(super) type Events = BTreeMap<i64, BTreeMap<String, Event>>;

/// The state at any revision.
pub(super) struct Replay {
    keys: BTreeMap<String, BTreeMap<i64, Option<Record>>>,
}

impl Replay {
    pub(super) fn of(events: &Events) -> Self {
        let mut keys: BTreeMap<String, BTreeMap<i64, Option<Record>>> = BTreeMap::new();
        for (revision, of_revision) in events {
            for (key, event) in of_revision {
                keys.entry(key.clone()).or_default().insert(*revision, event.record.clone());
            }
        }
        Self { keys }
    }

    pub(super) fn at(&self, key: &str, revision: i64) -> Option<&Record> {
        self.keys.get(key)?.range(..=revision).next_back()?.1.as_ref()
    }

    pub(super) fn all_at(&self, revision: i64) -> BTreeMap<String, Record> {
        self.keys.keys().filter_map(|key| Some((key.clone(), self.at(key, revision)?.clone()))).collect()
    }
}

/// What must not be told twice in a report.
pub type Violations = BTreeSet<String>;
