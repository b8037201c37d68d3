//! The cluster as this server sees it: the API's snapshot, the store, the clock, and the objects behind a request.
//! Built once, by the wiring. Not here: who may do what, and what a verb does.

mod aggregation;
mod conversion;
mod informer;
pub mod objects;
mod routing;
mod target;
mod turns;
mod webhook;

use std::{sync::Arc, time::Duration};

pub use aggregation::{Aggregation, Documents, Remote, Spec as RemoteSpec};
pub use conversion::Conversions;

pub use informer::{Derived, Informer, ResourceName};
pub use routing::{ENDPOINT_SLICES, SERVICE_NAME_LABEL, SERVICES};
pub use target::Target;
pub(crate) use target::known_kind;
pub use turns::Turns;
pub use webhook::{Endpoint, Webhook, Webhooks, refusal_of_reply};

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{ApiHandle, schema::Schema},
    client::Address,
    config::Routing,
    store::{Store, Stored},
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

/// A moment as metadata writes it: whole seconds in UTC.
pub fn time_text(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Figures that an operator chose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A watch ends by itself at a random moment between this and twice this.
    pub min_watch_timeout: Duration,
    pub event_ttl: Duration,
    /// Objects of a collection that are deleted at a time.
    pub delete_collection_workers: usize,
    pub service_cidrs: Vec<IpNet>,
    /// Whether containers may be privileged.
    pub allow_privileged: bool,
    /// How Services are reached that this server calls.
    pub routing: Routing,
    /// Where this server itself is reached on its own host, by whom it calls as the kubernetes Service.
    pub own_address: Option<Address>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            min_watch_timeout: Duration::from_secs(1800),
            event_ttl: Duration::from_secs(3600),
            delete_collection_workers: 1,
            service_cidrs: Vec::new(),
            allow_privileged: false,
            routing: Routing::default(),
            own_address: None,
        }
    }
}

/// What every handler may use. Shared by all requests of one server.
pub struct Cluster {
    pub api: ApiHandle,
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    pub conversions: Conversions,
    /// Who changes an object comes after those who asked before, by its key, and finds what the last one stored.
    pub writes: Turns<String, Option<Stored>>,
    pub aggregation: Aggregation,
    /// Cancelled when the server goes down: streams end then.
    pub shutdown: CancellationToken,
}

impl Cluster {
    /// The types as they are now; what needs rows as well takes the whole snapshot.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.api.load().schema)
    }

    /// The time now, as metadata writes it.
    pub fn now_text(&self) -> String {
        time_text(self.clock.now())
    }
}
