//! Where events go: the lines of a file, and a service.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{
    AuditMetrics, Policy,
    backend::Backend,
    batch::{Batching, gather},
    event::Event,
    policy::Recorded,
};
use crate::{
    access::authz::Attributes,
    cluster::{Clock, SystemClock},
};

/// Whether a request waits for its events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// An event that cannot be written is said in the log of the server.
    Blocking,
    /// And a request whose receipt cannot be recorded is refused.
    BlockingStrict,
    /// Events are gathered.
    Batch(Batching),
}

/// Events that are larger are written without their objects; those that are still too large are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    pub event_bytes_max: usize,
}

/// One place that events go to, and how.
pub struct Sink {
    name: &'static str,
    way: Way,
    is_strict: bool,
    truncation: Option<Truncation>,
    lost: AtomicU64,
    metrics: AuditMetrics,
}

enum Way {
    Direct(Arc<Backend>),
    Gathered(mpsc::Sender<Bytes>),
}

/// The policy and what carries it out.
pub struct Audit {
    policy: Option<Policy>,
    sinks: Vec<Sink>,
    clock: Arc<dyn Clock>,
    metrics: AuditMetrics,
}

impl Sink {
    /// With [`Mode::Batch`] a task among `tasks` takes events on, until the last sender is gone.
    pub fn new(
        backend: Backend,
        mode: Mode,
        truncation: Option<Truncation>,
        tasks: &TaskTracker,
        metrics: &AuditMetrics,
    ) -> Sink {
        let name = backend.name();
        let backend = Arc::new(backend);
        let way = match mode {
            Mode::Blocking | Mode::BlockingStrict => Way::Direct(backend),
            Mode::Batch(batching) => {
                let (sender, receiver) = mpsc::channel(batching.waiting_max.max(1));
                tasks.spawn(gather(receiver, backend, batching, metrics.clone()));
                Way::Gathered(sender)
            }
        };
        let is_strict = mode == Mode::BlockingStrict;
        Sink { name, way, is_strict, truncation, lost: AtomicU64::new(0), metrics: metrics.clone() }
    }

    /// False: the event is lost.
    fn write(&self, event: &Event) -> bool {
        let written = match (&self.way, self.encoded(event)) {
            (_, None) => Err("event is too large even after truncating".to_owned()),
            (Way::Direct(backend), Some(event)) => backend.take_now(event.into()),
            (Way::Gathered(sender), Some(event)) => {
                sender.try_send(event.into()).map_err(|_| "audit buffer queue blocked".to_owned())
            }
        };
        let Err(error) = written else { return true };
        self.metrics.lost(self.name, 1);
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        // The first, and then ever more seldom.
        if lost.is_power_of_two() {
            tracing::error!(error, lost, sink = self.name, "audit events are lost");
        }
        false
    }

    fn encoded(&self, event: &Event) -> Option<Vec<u8>> {
        let encode = |event: &Event| match self.name {
            "log" => serde_json::to_vec(event).ok(),
            // Items of a list do not name their kind.
            _ => serde_json::to_vec(&event.as_item()).ok(),
        };
        let whole = encode(event)?;
        let Some(Truncation { event_bytes_max }) = self.truncation.filter(|max| whole.len() > max.event_bytes_max)
        else {
            return Some(whole);
        };
        let cut = encode(&event.without_objects()?)?;
        (cut.len() <= event_bytes_max).then_some(cut)
    }
}

impl Audit {
    /// Nothing is recorded.
    pub fn off() -> Audit {
        Audit { policy: None, sinks: Vec::new(), clock: Arc::new(SystemClock), metrics: AuditMetrics::default() }
    }

    pub fn new(policy: Policy, sinks: Vec<Sink>, clock: Arc<dyn Clock>, metrics: AuditMetrics) -> Audit {
        Audit { policy: Some(policy), sinks, clock, metrics }
    }

    pub fn is_on(&self) -> bool {
        self.policy.is_some()
    }

    pub(super) fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    pub(super) fn recorded(&self, asked: &Attributes) -> Recorded {
        let Some(policy) = &self.policy else { return Recorded::default() };
        let recorded = policy.recorded(asked);
        self.metrics.level(recorded.level);
        recorded
    }

    pub(super) fn rejected(&self) {
        self.metrics.rejected();
    }

    /// False: a sink that must have every event has lost this one.
    pub(super) fn write(&self, event: &Event) -> bool {
        self.metrics.event();
        let mut kept = true;
        for sink in &self.sinks {
            kept &= sink.write(event) || !sink.is_strict;
        }
        kept
    }
}
