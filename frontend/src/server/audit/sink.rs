//! Where events go.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{LogFile, Policy, event::Event, policy::Recorded};
use crate::{
    access::authz::Attributes,
    cluster::{Clock, SystemClock},
};

/// Whether a request waits for its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A line that cannot be written is said in the log of the server.
    Blocking,
    /// And a request whose receipt cannot be recorded is refused.
    BlockingStrict,
    /// Lines are gathered, so many at most.
    Batch(usize),
}

/// The policy and what carries it out.
pub struct Audit {
    policy: Option<Policy>,
    lines: Lines,
    strict: bool,
    lost: AtomicU64,
    clock: Arc<dyn Clock>,
}

enum Lines {
    Nowhere,
    Direct(Mutex<LogFile>),
    Gathered(mpsc::Sender<Vec<u8>>),
}

impl Audit {
    /// Nothing is recorded.
    pub fn off() -> Audit {
        let clock = Arc::new(SystemClock);
        Audit { policy: None, lines: Lines::Nowhere, strict: false, lost: AtomicU64::new(0), clock }
    }

    /// With [`Mode::Batch`] a task of its own writes, until the last sender is gone.
    pub fn new(policy: Policy, file: LogFile, mode: Mode, clock: Arc<dyn Clock>) -> Audit {
        let lines = match mode {
            Mode::Blocking | Mode::BlockingStrict => Lines::Direct(Mutex::new(file)),
            Mode::Batch(lines_max) => {
                let (sender, receiver) = mpsc::channel(lines_max.max(1));
                tokio::spawn(write_gathered(receiver, file));
                Lines::Gathered(sender)
            }
        };
        Audit { policy: Some(policy), lines, strict: mode == Mode::BlockingStrict, lost: AtomicU64::new(0), clock }
    }

    pub fn is_on(&self) -> bool {
        self.policy.is_some()
    }

    pub(super) fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    pub(super) fn recorded(&self, asked: &Attributes) -> Recorded {
        self.policy.as_ref().map(|policy| policy.recorded(asked)).unwrap_or_default()
    }

    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }

    /// False: the event is lost.
    pub(super) fn write(&self, event: &Event) -> bool {
        let Ok(mut line) = serde_json::to_vec(event) else { return false };
        line.push(b'\n');
        let written = match &self.lines {
            Lines::Nowhere => return true,
            Lines::Direct(file) => file.lock().write(&line).map_err(|error| error.to_string()),
            Lines::Gathered(sender) => sender.try_send(line).map_err(|error| error.to_string()),
        };
        let Err(error) = written else { return true };
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        // The first, and then ever more seldom.
        if lost.is_power_of_two() {
            tracing::error!(error, lost, "audit events are lost");
        }
        false
    }
}

async fn write_gathered(mut lines: mpsc::Receiver<Vec<u8>>, mut file: LogFile) {
    while let Some(line) = lines.recv().await {
        if let Err(error) = file.write(&line) {
            tracing::error!(%error, "an audit event is lost");
        }
    }
}
