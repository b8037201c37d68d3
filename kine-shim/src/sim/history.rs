//! What clients did and saw: the only thing, beside the truth of the database, that the checker looks at.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::database::POISON;
use crate::{
    model::{Error, Fault, Key, KeyValue, LeaseId, Refusal, Revision},
    watch::{Filters, WatchMessage},
};

/// A moment: virtual time for people, a counter for order.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) order: u64,
    pub(super) at: Instant,
    since_start: Duration,
}

/// Without the instant, which differs between two runs.
impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} at {:?}", self.order, self.since_start)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Call {
    Put {
        key: Key,
        value: String,
        lease: LeaseId,
    },
    Delete {
        key: Key,
    },
    /// If the key's mod revision is `expected` put, else read it.
    Swap {
        key: Key,
        expected: Revision,
        value: String,
    },
    /// The same with a delete.
    Remove {
        key: Key,
        expected: Revision,
    },
    Get {
        key: Key,
        is_linearizable: bool,
    },
    List {
        is_linearizable: bool,
    },
    ListAt {
        revision: Revision,
    },
    Compact {
        revision: Revision,
    },
    Grant {
        id: LeaseId,
        ttl: i64,
    },
    KeepAlive {
        id: LeaseId,
    },
    Revoke {
        id: LeaseId,
    },
}

impl Call {
    /// Whether the database fails over it.
    pub(super) fn is_poisoned(&self) -> bool {
        matches!(self, Self::Put { value, .. } | Self::Swap { value, .. } if value.starts_with(POISON))
    }
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// A write, or a compare that failed and what was read instead.
    Written {
        header: Revision,
    },
    CompareFailed {
        header: Revision,
        kvs: Vec<KeyValue>,
    },
    NothingDeleted {
        header: Revision,
    },
    Read {
        header: Revision,
        kvs: Vec<KeyValue>,
    },
    Refused(Refusal),
    KeptAlive {
        ttl: i64,
    },
    /// Certainly without effect.
    NotApplied,
    Unknown,
    /// Not applied, for the sake of another's operation.
    Blamed,
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Outcome::Refused(refusal),
            Error::Fault(Fault::OutcomeUnknown(_)) => Outcome::Unknown,
            Error::Fault(Fault::NotApplied(_) | Fault::Overloaded | Fault::Stopping) => Outcome::NotApplied,
        }
    }
}

#[derive(Clone, Debug)]
#[allow(dead_code, reason = "who it was stands in the report of a failure")]
pub(super) struct Done {
    pub(super) client: usize,
    pub(super) shim: usize,
    pub(super) start: Moment,
    pub(super) end: Moment,
    pub(super) call: Call,
    pub(super) outcome: Outcome,
}

/// One watcher on one stream, from its creation to its end.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "who it was stands in the report of a failure")]
pub(super) struct WatchSession {
    pub(super) shim: usize,
    /// `None`: every key.
    pub(super) key: Option<Key>,
    pub(super) start: Option<Revision>,
    pub(super) filters: Filters,
    pub(super) messages: Vec<WatchMessage>,
}

impl WatchSession {
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.messages.last(), Some(WatchMessage::Canceled { .. } | WatchMessage::Refused { .. }))
    }
}

pub(super) struct History {
    started: Instant,
    order: AtomicU64,
    done: Mutex<Vec<Done>>,
    sessions: Mutex<Vec<WatchSession>>,
}

impl History {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), order: AtomicU64::new(0), done: Mutex::default(), sessions: Mutex::default() }
    }

    pub(super) fn now(&self) -> Moment {
        Moment {
            order: self.order.fetch_add(1, Ordering::Relaxed),
            at: Instant::now(),
            since_start: self.started.elapsed(),
        }
    }

    pub(super) fn record(&self, done: Done) {
        self.done.lock().push(done);
    }

    pub(super) fn record_session(&self, session: WatchSession) {
        self.sessions.lock().push(session);
    }

    pub(super) fn take(&self) -> (Vec<Done>, Vec<WatchSession>) {
        (std::mem::take(&mut self.done.lock()), std::mem::take(&mut self.sessions.lock()))
    }
}
