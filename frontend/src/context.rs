//! What every handler may use: the snapshot of resources and types, the store, the clock. Built once, by the wiring.

use std::sync::Arc;

/// A source of wall-clock time, so that tests can stop it.
pub trait Clock: Send + Sync {
    fn now(&self) -> jiff::Timestamp;
}

/// The operating system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

/// A clock that stands still, for tests.
#[derive(Debug)]
pub struct FixedClock(pub jiff::Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> jiff::Timestamp {
        self.0
    }
}

/// Shared by all requests of one server.
pub struct Context {
    pub clock: Arc<dyn Clock>,
}
