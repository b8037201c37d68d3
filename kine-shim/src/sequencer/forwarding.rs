//! Ways to the other shims, and what comes over them: operations that another is to evaluate, their outcomes, and the
//! batches that it commits. How they travel is not known here (see `peer`), neither when an operation is forwarded (see
//! `forward`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{hints::Hints, mailbox::Submission, publication::Publication};
use crate::{
    auth::Caller,
    model::{Batch, Error, Fault, Op, Position, Reply, Revision},
    settings::{BrokenRule, ShimConfig},
};

/// Operations that wait for a way to take them; more stay here.
const WAITING_MAX: usize = 1024;
/// Batches that wait for a listener, and that were heard and wait for the sequencer. Whoever misses one reads it.
const UNHEARD_MAX: usize = 32;
/// An answer waits so long for the state here; then the caller is gone, or nothing comes from the database either.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(10);

/// A batch that a shim has committed, for the others.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) batch: Arc<Batch>,
    /// Which database has confirmed it, as its record names it.
    pub(crate) database: Bytes,
}

/// What came of an operation that another shim was to evaluate.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The state from there on shows it.
    Done {
        revision: Revision,
        reply: Reply,
        position: Position,
    },
    /// It is not written and will not be by them: refused, or not taken.
    Left,
    Unknown(String),
}

/// Ways to other shims, and listeners of this one. Clones are one.
#[derive(Clone)]
pub(crate) struct Forwarding(Arc<Inner>);

struct Inner {
    ways: Mutex<BTreeMap<Uuid, mpsc::Sender<Forwarded>>>,
    listeners: Mutex<Vec<mpsc::Sender<Told>>>,
    heard: mpsc::Sender<Told>,
    /// What was forwarded is bounded already.
    returned: mpsc::UnboundedSender<Submission>,
    hints: Arc<Hints>,
    config: ShimConfig,
}

/// What the sequencer is told by others.
pub(super) struct Incoming {
    pub(super) heard: mpsc::Receiver<Told>,
    pub(super) returned: mpsc::UnboundedReceiver<Submission>,
}

/// An operation on its way to another shim. Dropped unsettled, its outcome is unknown.
pub(crate) struct Forwarded {
    submission: Submission,
    published: Publication,
    by: Arc<Inner>,
}

impl Forwarded {
    pub(crate) fn op(&self) -> &Op {
        &self.submission.op
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.submission.caller
    }

    /// Answers whoever waits for it, once the state here is not older than the answer; or lets it be evaluated here.
    pub(crate) async fn settle(self, outcome: Outcome) {
        match outcome {
            Outcome::Done { revision, reply, position } => {
                let epoch = self.published.epoch();
                let caught_up = self
                    .published
                    .wait_for(|published| published.epoch != epoch || published.state.head().position >= position);
                if !self.by.config.breaks(BrokenRule::AnswerAhead) {
                    let _ = timeout(CATCH_UP_WITHIN, caught_up).await;
                }
                self.submission.answer(Ok((revision, reply)));
            }
            Outcome::Left => {
                let mut submission = self.submission;
                submission.stays = true;
                if let Err(mpsc::error::SendError(submission)) = self.by.returned.send(submission) {
                    submission.answer(Err(Fault::Stopping.into()));
                }
            }
            Outcome::Unknown(reason) => self.submission.answer(Err(Fault::OutcomeUnknown(reason).into())),
        }
    }
}

impl From<Result<(Revision, Reply, Position), Error>> for Outcome {
    fn from(answer: Result<(Revision, Reply, Position), Error>) -> Self {
        match answer {
            Ok((revision, reply, position)) => Self::Done { revision, reply, position },
            Err(Error::Fault(Fault::OutcomeUnknown(reason))) => Self::Unknown(reason),
            Err(Error::Refused(_) | Error::Fault(Fault::NotApplied(_) | Fault::Overloaded | Fault::Stopping)) => {
                Self::Left
            }
        }
    }
}

impl Forwarding {
    pub(super) fn new(hints: Arc<Hints>, config: ShimConfig) -> (Self, Incoming) {
        let (heard, hears) = mpsc::channel(UNHEARD_MAX);
        let (returned, returns) = mpsc::unbounded_channel();
        let inner = Inner { ways: Mutex::default(), listeners: Mutex::default(), heard, returned, hints, config };
        (Self(Arc::new(inner)), Incoming { heard: hears, returned: returns })
    }

    /// There is a way to this writer as long as the receiver is open.
    pub(crate) fn open_way(&self, writer: Uuid) -> mpsc::Receiver<Forwarded> {
        let (way, forwarded) = mpsc::channel(WAITING_MAX);
        self.0.ways.lock().insert(writer, way);
        forwarded
    }

    /// What this shim commits from now on, in order. Who does not keep up misses some.
    pub(crate) fn listen(&self) -> mpsc::Receiver<Told> {
        let (listener, told) = mpsc::channel(UNHEARD_MAX);
        self.0.listeners.lock().push(listener);
        told
    }

    /// Another shim has committed this.
    pub(crate) fn hear(&self, told: Told) {
        if self.0.heard.try_send(told).is_err() {
            self.0.hints.behind.notify_one();
        }
    }

    pub(super) fn tell(&self, told: &Told) {
        self.0
            .listeners
            .lock()
            .retain(|listener| !matches!(listener.try_send(told.clone()), Err(mpsc::error::TrySendError::Closed(_))));
    }

    pub(super) fn has_way(&self, writer: Uuid) -> bool {
        let mut ways = self.0.ways.lock();
        let is_open = ways.get(&writer).is_some_and(|way| !way.is_closed());
        if !is_open {
            ways.remove(&writer);
        }
        is_open
    }

    /// Gives it back if the way does not take it.
    pub(super) fn forward(&self, writer: Uuid, submission: Submission, published: &Publication) -> Option<Submission> {
        let ways = self.0.ways.lock();
        let Some(way) = ways.get(&writer) else { return Some(submission) };
        let forwarded = Forwarded { submission, published: published.clone(), by: self.0.clone() };
        way.try_send(forwarded).err().map(|refused| refused.into_inner().submission)
    }
}

/// Another shim that wrote just now.
#[derive(Clone, Copy)]
pub(super) struct LastWriter {
    pub(super) id: Uuid,
    pub(super) at: Instant,
}
