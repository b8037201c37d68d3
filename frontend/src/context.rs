//! What every handler may use: the snapshots of resources and types, the store, the clock. Built once, by the wiring.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Admission, authn::Authentication, authz::Authorization, flags::Cidr, registry::RegistryHandle,
    schema::Schema, store::Store, validation,
};

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

/// Figures that an operator chose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A watch ends by itself at a random moment between this and twice this.
    pub min_watch_timeout: Duration,
    pub event_ttl: Duration,
    pub service_cidrs: Vec<Cidr>,
    pub validation: validation::Options,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            min_watch_timeout: Duration::from_secs(1800),
            event_ttl: Duration::from_secs(3600),
            service_cidrs: Vec::new(),
            validation: validation::Options::default(),
        }
    }
}

/// Shared by all requests of one server.
pub struct Context {
    pub registry: RegistryHandle,
    pub schema: ArcSwap<Schema>,
    pub store: Store,
    pub authentication: Arc<Authentication>,
    pub authorization: Arc<Authorization>,
    pub admission: Admission,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    /// Cancelled when the server goes down: streams end then.
    pub shutdown: CancellationToken,
}

impl Context {
    /// The types as they are now; one request uses one snapshot.
    pub fn schema(&self) -> Arc<Schema> {
        self.schema.load_full()
    }
}
