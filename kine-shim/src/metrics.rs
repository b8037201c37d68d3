//! What happens, in the names that etcd's dashboards read, and a few of our own. In come counts from the wire and a look at the
//! shim at each scrape, out comes a page of text. Handed around as a value, never a global.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::grpc::ETCD_VERSION;
use crate::shim::Shim;

/// How long a scrape waits for the database to tell its size; the last known one is shown otherwise.
const SIZE_WITHIN: Duration = Duration::from_secs(2);

/// A gRPC method. Values come from a closed list (see `http::observe`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MethodLabels {
    pub grpc_service: &'static str,
    pub grpc_method: &'static str,
    pub grpc_type: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HandledLabels {
    pub grpc_service: &'static str,
    pub grpc_method: &'static str,
    pub grpc_type: &'static str,
    pub grpc_code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    server_version: &'static str,
}

/// How long the database takes, as the log sees it.
pub struct DatabaseTimes {
    pub append_seconds: Histogram,
    pub append_entries: Histogram,
    pub fence_seconds: Histogram,
    /// Under way.
    pub reclaims: Gauge,
}

/// Counted where it happens.
pub struct Metrics {
    registry: Registry,
    pub database: DatabaseTimes,
    pub rpc_started: Family<MethodLabels, Counter>,
    pub rpc_handled: Family<HandledLabels, Counter>,
    pub rpc_seconds: Family<MethodLabels, Histogram>,
    pub client_received_bytes: Counter,
    pub client_sent_bytes: Counter,
    pub health_success: Counter,
    pub health_failures: Counter,
    pub connections: Gauge,
    scraped: Scraped,
}

/// Copied from the shim at each scrape.
#[derive(Default)]
struct Scraped {
    has_leader: Gauge,
    is_leader: Gauge,
    quota: Gauge,
    db_total: Gauge,
    db_in_use: Gauge,
    revision: Gauge,
    compact_revision: Gauge,
    keys: Gauge,
    watchers: Gauge,
    watch_streams: Gauge,
    leases: Gauge,
    garbage_rows: Gauge,
    resident_memory: Gauge,
    since_contact: Gauge<f64, AtomicU64>,
    last_size: (AtomicI64, AtomicI64),
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.0001, 2.0, 17));
        let metrics = Self {
            registry: Registry::default(),
            database: DatabaseTimes {
                append_seconds: seconds(),
                append_entries: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
                fence_seconds: seconds(),
                reclaims: Gauge::default(),
            },
            rpc_started: Family::default(),
            rpc_handled: Family::default(),
            rpc_seconds: Family::new_with_constructor(seconds),
            client_received_bytes: Counter::default(),
            client_sent_bytes: Counter::default(),
            health_success: Counter::default(),
            health_failures: Counter::default(),
            connections: Gauge::default(),
            scraped: Scraped::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("grpc_server_started", "RPCs started", self.rpc_started.clone());
        registry.register("grpc_server_handled", "RPCs completed", self.rpc_handled.clone());
        registry.register("grpc_server_handling_seconds", "Time of RPCs", self.rpc_seconds.clone());
        let bytes = [
            ("etcd_network_client_grpc_received_bytes", "Bytes from clients", &self.client_received_bytes),
            ("etcd_network_client_grpc_sent_bytes", "Bytes to clients", &self.client_sent_bytes),
            ("etcd_server_health_success", "Health checks that succeeded", &self.health_success),
            ("etcd_server_health_failures", "Health checks that failed", &self.health_failures),
        ];
        for (name, help, counter) in bytes {
            registry.register(name, help, counter.clone());
        }
        // An append is at once what the two are in etcd: its log's fsync and its backend's commit.
        let histograms = [
            ("etcd_disk_wal_fsync_duration_seconds", "Time of an append", &self.database.append_seconds),
            ("etcd_disk_backend_commit_duration_seconds", "Time of an append", &self.database.append_seconds),
            ("kine_shim_append_entries", "Entries of an append", &self.database.append_entries),
            ("kine_shim_fence_seconds", "Time of a fence", &self.database.fence_seconds),
        ];
        for (name, help, histogram) in histograms {
            registry.register(name, help, histogram.clone());
        }
        let gauges = [
            ("etcd_disk_defrag_inflight", "Whether space is being given back", &self.database.reclaims),
            ("etcd_server_has_leader", "Whether the database answers", &self.scraped.has_leader),
            ("etcd_server_is_leader", "Whether this shim may write", &self.scraped.is_leader),
            ("etcd_server_quota_backend_bytes", "As configured", &self.scraped.quota),
            ("etcd_mvcc_db_total_size_in_bytes", "Size of the store", &self.scraped.db_total),
            ("etcd_mvcc_db_total_size_in_use_in_bytes", "Size of the store in use", &self.scraped.db_in_use),
            ("etcd_debugging_mvcc_current_revision", "Newest revision known here", &self.scraped.revision),
            ("etcd_debugging_mvcc_compact_revision", "Compacted revision", &self.scraped.compact_revision),
            ("etcd_debugging_mvcc_keys", "Living keys", &self.scraped.keys),
            ("etcd_debugging_mvcc_watcher", "Watchers", &self.scraped.watchers),
            ("etcd_debugging_mvcc_watch_stream", "Watch streams", &self.scraped.watch_streams),
            ("kine_shim_leases", "Leases granted and not ended", &self.scraped.leases),
            ("kine_shim_garbage_rows", "Compacted rows that are not deleted yet", &self.scraped.garbage_rows),
            ("kine_shim_connections", "Open client connections", &self.connections),
            ("process_resident_memory_bytes", "Resident memory", &self.scraped.resident_memory),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let contact = "Since the database answered last";
        registry.register("kine_shim_database_silence_seconds", contact, self.scraped.since_contact.clone());
        let version = Family::<VersionLabels, Gauge>::default();
        version.get_or_create(&VersionLabels { server_version: ETCD_VERSION }).set(1);
        registry.register("etcd_server_version", "The etcd version whose behaviour this is", version);
        self
    }

    /// The page of one scrape.
    pub async fn page(&self, shim: &Shim, quota_backend_bytes: i64) -> String {
        self.look(shim, quota_backend_bytes).await;
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode_registry(&mut page, &self.registry);
        append_counters(&mut page, shim);
        page.push_str("# EOF\n");
        page
    }

    async fn look(&self, shim: &Shim, quota_backend_bytes: i64) {
        let (now, state, health) = (&self.scraped, shim.snapshot(), shim.health());
        let as_i64 = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        if let Ok(Ok(size)) = tokio::time::timeout(SIZE_WITHIN, shim.size()).await {
            now.last_size.0.store(size.total_bytes, Ordering::Relaxed);
            now.last_size.1.store(size.in_use_bytes, Ordering::Relaxed);
        }
        now.db_total.set(now.last_size.0.load(Ordering::Relaxed));
        now.db_in_use.set(now.last_size.1.load(Ordering::Relaxed));
        now.has_leader.set(i64::from(health.is_serving));
        now.is_leader.set(i64::from(health.is_serving));
        now.quota.set(quota_backend_bytes);
        now.revision.set(state.revision());
        now.compact_revision.set(state.compacted());
        now.keys.set(as_i64(state.len()));
        now.watchers.set(as_i64(health.watchers));
        now.watch_streams.set(as_i64(health.watch_streams));
        now.leases.set(as_i64(state.lease_count()));
        now.garbage_rows.set(i64::try_from(shim.garbage_rows()).unwrap_or(i64::MAX));
        now.resident_memory.set(resident_memory());
        now.since_contact.set(health.since_contact.as_secs_f64());
    }
}

/// The shim counts by itself; here its counts get their names.
fn append_counters(page: &mut String, shim: &Shim) {
    let counts = shim.counters();
    let counters = [
        ("etcd_server_proposals_committed", "Operations made durable", &counts.operations_committed),
        ("etcd_server_proposals_applied", "Operations applied", &counts.operations_committed),
        ("etcd_server_proposals_failed", "Operations not applied or of unknown outcome", &counts.operations_failed),
        ("etcd_server_leader_changes_seen", "Incarnations declared here", &counts.incarnations_declared),
        ("etcd_debugging_lease_granted", "Leases granted", &counts.leases_granted),
        ("etcd_debugging_server_lease_expired", "Leases expired", &counts.leases_expired),
        ("kine_shim_batches_committed", "Batches appended", &counts.batches_committed),
        ("kine_shim_batches_refused", "Batches judged anew because another shim wrote", &counts.batches_refused),
        ("kine_shim_batches_uncertain", "Appends whose outcome had to be resolved", &counts.batches_uncertain),
        ("kine_shim_operations_refused", "Operations answered with a refusal", &counts.operations_refused),
        ("kine_shim_overloaded", "Operations turned away by a full mailbox", &counts.overloaded),
        ("kine_shim_fences", "Fences of linearizable reads", &counts.fences),
        ("kine_shim_reloads", "Times the log was loaded anew", &counts.reloads),
        ("kine_shim_compactions", "Compactions applied", &counts.compactions),
        ("kine_shim_rows_trimmed", "Rows deleted after compactions", &counts.rows_trimmed),
        ("kine_shim_trims_failed", "Tries to delete compacted rows that failed", &counts.trims_failed),
    ];
    if page.ends_with("# EOF\n") {
        page.truncate(page.len() - "# EOF\n".len());
    }
    for (name, help, counter) in counters {
        let value = counter.load(Ordering::Relaxed);
        let _ = write!(page, "# HELP {name} {help}.\n# TYPE {name} counter\n{name}_total {value}\n");
    }
}

/// Linux tells it in pages of 4 KiB; 0 elsewhere.
fn resident_memory() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<i64>().ok()).map_or(0, |pages| pages * 4096)
}
