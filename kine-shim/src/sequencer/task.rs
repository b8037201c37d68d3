//! What the sequencer's task owns, and the small things that all its parts do.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{future::BoxFuture, stream::FuturesOrdered};
use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    forwarding::{Forwarding, Incoming, LastWriter},
    group_commit::GroupCommit,
    hints::Hints,
    identity::identity_value,
    mailbox::Submission,
    peers::Peers,
    publication::Publication,
    snapshots::Snapshots,
    trim::{Author, Trims},
};
use crate::{
    counters::Counters,
    leases::Leases,
    log::{Appended, Identity, Log, LogFault, Page, ReadIndex},
    model::{Batch, Head, Refusal, Reply, Revision},
    settings::{BrokenRule, ShimConfig},
    state::{Applied, State},
    watch::Hub,
};

pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(10);
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long an operation is tried again after the database said that nothing was written.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What is remembered of others that write too (see `fairness`).
#[derive(Default)]
pub(super) struct Fairness {
    pub(super) asked: Option<Instant>,
    pub(super) room_until: Option<Instant>,
    pub(super) glance_at: Option<Instant>,
    pub(super) contended_until: Option<Instant>,
}

/// An operation with its verdict, which nobody may see yet.
pub(super) struct Evaluated {
    pub(super) submission: Submission,
    pub(super) header: Revision,
    pub(super) verdict: Result<Reply, Refusal>,
}

/// What holds once a batch is committed.
pub(super) struct Next {
    pub(super) state: State,
    pub(super) applied: Applied,
}

/// Something sent to the log whose answer is awaited, in order.
pub(super) enum InFlight {
    /// A batch, the state once it is committed, and what that brings about.
    Append { batch: Arc<Batch>, next: Box<Next>, evaluated: Vec<Evaluated> },
    /// Operations that write nothing: a read index shows whether the head they were evaluated on was still the head.
    Check { head: Head, evaluated: Vec<Evaluated> },
}

impl InFlight {
    /// Operations that wait for its answer.
    pub(super) fn evaluated(&self) -> usize {
        match self {
            Self::Append { evaluated, .. } | Self::Check { evaluated, .. } => evaluated.len(),
        }
    }
}

pub(super) enum Outcome {
    Append(Result<Appended, LogFault>),
    ReadIndex(Result<ReadIndex, LogFault>),
}

/// What an idle sequencer looks at.
pub(super) enum View {
    Page(Result<Page, LogFault>),
    /// And the head at which it was asked for.
    ReadIndex(Head, Result<ReadIndex, LogFault>),
}

pub(crate) struct Sequencer {
    pub(super) log: Arc<dyn Log>,
    pub(super) config: ShimConfig,
    pub(super) rng: StdRng,
    pub(super) writer: uuid::Uuid,
    pub(super) counters: Arc<Counters>,
    pub(super) started: Instant,
    pub(super) stop: CancellationToken,
    pub(super) mailbox: mpsc::Receiver<Submission>,
    /// Taken from the mailbox or to be evaluated again, in order of arrival.
    pub(super) backlog: VecDeque<Submission>,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) outcomes: FuturesOrdered<BoxFuture<'static, Outcome>>,
    /// By committed entries alone (invariant 1).
    pub(super) committed: State,
    /// What will hold once everything in flight is committed.
    pub(super) tip: State,
    pub(super) look: Option<BoxFuture<'static, View>>,
    pub(super) next_look: Instant,
    pub(super) backoff: Duration,
    pub(super) published: Publication,
    pub(super) hints: Arc<Hints>,
    pub(super) hub: Arc<Hub>,
    pub(super) snapshots: Arc<Mutex<Snapshots>>,
    pub(super) trims: Trims,
    /// Of the last compaction.
    pub(super) compacted_by: Author,
    pub(super) leases: Leases,
    pub(super) peers: Peers,
    pub(super) fairness: Fairness,
    pub(super) forwarding: Forwarding,
    pub(super) incoming: Incoming,
    /// Of the newest batch, if that is another's.
    pub(super) last_writer: Option<LastWriter>,
    pub(super) group_commit: GroupCommit,
    /// The database that appends may go to, by the value of its record.
    pub(super) trusted: Bytes,
}

impl Sequencer {
    pub(crate) fn published(&self) -> Publication {
        self.published.clone()
    }

    /// The name of this shim in the log.
    pub(crate) fn writer(&self) -> uuid::Uuid {
        self.writer
    }

    pub(crate) fn peers(&self) -> Peers {
        self.peers.clone()
    }

    pub(crate) fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }

    pub(crate) fn snapshots(&self) -> Arc<Mutex<Snapshots>> {
        self.snapshots.clone()
    }

    pub(crate) fn hints(&self) -> Arc<Hints> {
        self.hints.clone()
    }

    pub(crate) fn forwarding(&self) -> Forwarding {
        self.forwarding.clone()
    }

    pub(super) fn trust(&mut self, identity: &Identity) {
        self.trusted = identity_value(identity);
        self.peers.trust(identity.timeline);
        self.log.trust(identity);
    }

    pub(super) fn is_trusted(&self, read_index: &ReadIndex) -> bool {
        self.trusted == identity_value(&read_index.identity)
    }

    pub(super) fn draw_id(&mut self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    pub(super) fn breaks(&self, rule: BrokenRule) -> bool {
        self.config.breaks(rule)
    }

    /// The database answered.
    pub(super) fn note_contact(&mut self) {
        self.backoff = BACKOFF_MIN;
        self.counters.note_contact(self.started);
    }

    /// Waits a little longer after each fault in a row.
    pub(super) async fn back_off(&mut self) {
        tokio::time::sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }
}
