//! What happens, in the names that etcd's dashboards read, and a few of our own. In come counts from the wire and a
//! look at the shim at each scrape, out comes a page of text. Handed around as a value, never a global.

pub(crate) mod methods;
mod process;
mod text;

use std::{
    fmt::Write,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

pub use self::methods::MethodLabels;
use self::methods::{code_name, methods};
use crate::{
    counters::Counters,
    grpc::ETCD_VERSION,
    shim::{Health, Shim},
    state::State,
};

/// How long a scrape waits for the database to tell its size; the last known one is shown otherwise.
const SIZE_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HandledLabels {
    pub grpc_service: &'static str,
    pub grpc_method: &'static str,
    pub grpc_type: &'static str,
    pub grpc_code: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    pub r#type: &'static str,
    pub success: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClientLabels {
    pub r#type: &'static str,
    pub client_api_version: ApiVersion,
}

/// Of the API that a client was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiVersion {
    /// Major and minor.
    Named(u8, u8),
    Unknown,
}

impl EncodeLabelValue for ApiVersion {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        match self {
            Self::Named(major, minor) => write!(encoder, "{major}.{minor}"),
            Self::Unknown => encoder.write_str("unknown"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    r#type: &'static str,
    name: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckedLabels {
    r#type: &'static str,
    name: &'static str,
    status: &'static str,
}

/// A value that is a label of a gauge that is always 1.
type Named = Family<Vec<(&'static str, String)>, Gauge>;

/// How long the database takes, as the log sees it.
pub struct DatabaseTimes {
    pub append_seconds: Histogram,
    pub append_entries: Histogram,
    pub read_index_seconds: Histogram,
    /// Under way.
    pub reclaims: Gauge,
    pub reclaim_seconds: Histogram,
    pub appended_bytes: Gauge,
    pub slow_appends: Counter,
    /// The furthest position of the log that the database has told of.
    pub head_seen: Gauge,
}

/// Counted where it happens.
pub struct Metrics {
    registry: Registry,
    pub database: DatabaseTimes,
    pub rpc_started: Family<MethodLabels, Counter>,
    pub client_requests: Family<ClientLabels, Counter>,
    pub rpc_handled: Family<HandledLabels, Counter>,
    pub rpc_seconds: Family<MethodLabels, Histogram>,
    pub messages_received: Family<MethodLabels, Counter>,
    pub messages_sent: Family<MethodLabels, Counter>,
    pub request_seconds: Family<RequestLabels, Histogram>,
    server_id: Named,
    check: Family<CheckLabels, Gauge>,
    checks: Family<CheckedLabels, Counter>,
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
    gauges: Vec<(Gauge, Reading<i64>)>,
    counters: Vec<(Counter, Reading<u64>)>,
    since_contact: Gauge<f64, AtomicU64>,
    last_size: (AtomicI64, AtomicI64),
}

/// Whom one scrape asks.
pub struct Subject<'a> {
    pub shim: &'a Shim,
    pub quota_backend_bytes: i64,
    pub is_leader: bool,
}

/// What it sees.
struct Look<'a> {
    state: State,
    health: Health,
    counts: &'a Counters,
    size: (i64, i64),
    quota: i64,
    is_leader: bool,
    garbage_rows: i64,
    applied: i64,
    head_seen: i64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// etcd's buckets for what a disk does.
fn disk_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

/// Go's default ones.
fn rpc_seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

fn fine_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 20))
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            database: DatabaseTimes {
                append_seconds: disk_seconds(),
                append_entries: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
                read_index_seconds: fine_seconds(),
                reclaims: Gauge::default(),
                reclaim_seconds: Histogram::new(exponential_buckets(0.1, 2.0, 13)),
                appended_bytes: Gauge::default(),
                slow_appends: Counter::default(),
                head_seen: Gauge::default(),
            },
            rpc_started: Family::default(),
            client_requests: Family::default(),
            rpc_handled: Family::default(),
            rpc_seconds: Family::new_with_constructor(rpc_seconds),
            messages_received: Family::default(),
            messages_sent: Family::default(),
            request_seconds: Family::new_with_constructor(fine_seconds),
            server_id: Named::default(),
            check: Family::default(),
            checks: Family::default(),
            client_received_bytes: Counter::default(),
            client_sent_bytes: Counter::default(),
            health_success: Counter::default(),
            health_failures: Counter::default(),
            connections: Gauge::default(),
            scraped: Scraped::default(),
        };
        metrics.begin();
        metrics.registered()
    }

    /// Every method at 0.
    fn begin(&self) {
        for method in methods() {
            let MethodLabels { grpc_service, grpc_method, grpc_type } = method;
            drop(self.rpc_started.get_or_create(&method));
            drop(self.messages_received.get_or_create(&method));
            drop(self.messages_sent.get_or_create(&method));
            drop(self.rpc_seconds.get_or_create(&method));
            for code in 0..=16 {
                let grpc_code = code_name(tonic::Code::from_i32(code));
                drop(self.rpc_handled.get_or_create(&HandledLabels {
                    grpc_service,
                    grpc_method,
                    grpc_type,
                    grpc_code,
                }));
            }
        }
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("grpc_server_started", "RPCs started", self.rpc_started.clone());
        registry.register(
            "etcd_server_client_requests",
            "RPCs by what their client was made for",
            self.client_requests.clone(),
        );
        registry.register("grpc_server_handled", "RPCs completed", self.rpc_handled.clone());
        registry.register("grpc_server_handling_seconds", "Time of RPCs", self.rpc_seconds.clone());
        registry.register("grpc_server_msg_received", "Messages from clients", self.messages_received.clone());
        registry.register("grpc_server_msg_sent", "Messages to clients", self.messages_sent.clone());
        registry.register("etcd_server_request_duration_seconds", "Time of unary RPCs", self.request_seconds.clone());
        registry.register("etcd_server_id", "This server", self.server_id.clone());
        registry.register("etcd_server_healthcheck", "Last result of a health check", self.check.clone());
        registry.register("etcd_server_healthchecks", "Health checks done", self.checks.clone());
        let bytes = [
            ("etcd_network_client_grpc_received_bytes", "Bytes from clients", &self.client_received_bytes),
            ("etcd_network_client_grpc_sent_bytes", "Bytes to clients", &self.client_sent_bytes),
            ("etcd_server_slow_apply", "Appends that took longer than 100 ms", &self.database.slow_appends),
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
            ("etcd_disk_backend_defrag_duration_seconds", "Time of giving space back", &self.database.reclaim_seconds),
            ("kine_shim_append_entries", "Entries of an append", &self.database.append_entries),
            ("kine_shim_read_index_seconds", "Time of a read_index", &self.database.read_index_seconds),
        ];
        for (name, help, histogram) in histograms {
            registry.register(name, help, histogram.clone());
        }
        let gauges = [
            ("etcd_disk_defrag_inflight", "Whether space is being given back", &self.database.reclaims),
            ("etcd_disk_wal_write_bytes_total", "Bytes of keys and values appended", &self.database.appended_bytes),
            ("kine_shim_log_head", "Furthest position of the log known of", &self.database.head_seen),
            ("kine_shim_connections", "Open client connections", &self.connections),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, value) in GAUGES {
            let gauge = Gauge::default();
            registry.register(*name, *help, gauge.clone());
            self.scraped.gauges.push((gauge, *value));
        }
        for (name, help, value) in COUNTERS {
            let counter = Counter::default();
            registry.register(*name, *help, counter.clone());
            self.scraped.counters.push((counter, *value));
        }
        let contact = "Since the database answered last";
        registry.register("kine_shim_database_silence_seconds", contact, self.scraped.since_contact.clone());
        let cluster = ETCD_VERSION.rsplit_once('.').map_or(ETCD_VERSION, |(minor, _)| minor);
        let named = [
            ("etcd_server_version", "The etcd version whose behaviour this is", "server_version", ETCD_VERSION),
            ("etcd_cluster_version", "The same without its patch level", "cluster_version", cluster),
            ("kine_shim_version", "The version of this program", "version", env!("CARGO_PKG_VERSION")),
        ];
        for (name, help, label, value) in named {
            let family = Named::default();
            family.get_or_create(&vec![(label, value.to_owned())]).set(1);
            registry.register(name, help, family);
        }
        self
    }

    /// Of a health check by its path.
    pub fn checked(&self, kind: &'static str, name: &'static str, is_ok: bool) {
        self.check.get_or_create(&CheckLabels { r#type: kind, name }).set(i64::from(is_ok));
        let status = if is_ok { "success" } else { "error" };
        self.checks.get_or_create(&CheckedLabels { r#type: kind, name, status }).inc();
    }

    /// Shown from now on.
    pub fn name_server(&self, id: u64) {
        self.server_id.get_or_create(&vec![("server_id", format!("{id:x}"))]).set(1);
    }

    /// The page of one scrape; without a shim while the log is loaded. Histograms of RPCs are many lines.
    pub async fn page(&self, ready: Option<Subject<'_>>, with_rpc_histograms: bool) -> String {
        if let Some(subject) = ready {
            self.look(subject).await;
        }
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode_registry(&mut page, &self.registry);
        let without = if with_rpc_histograms { "" } else { "grpc_server_handling_seconds" };
        let mut page = text::classic(&page, without);
        process::append(&mut page);
        page
    }

    async fn look(&self, Subject { shim, quota_backend_bytes: quota, is_leader }: Subject<'_>) {
        let last = &self.scraped.last_size;
        if let Ok(Ok(size)) = tokio::time::timeout(SIZE_WITHIN, shim.size()).await {
            last.0.store(size.total_bytes, Ordering::Relaxed);
            last.1.store(size.in_use_bytes, Ordering::Relaxed);
        }
        let (state, health) = (shim.snapshot(), shim.health());
        self.scraped.since_contact.set(health.since_contact.as_secs_f64());
        let look = Look {
            applied: i64::try_from(state.head().position.0).unwrap_or(i64::MAX),
            state,
            health,
            counts: shim.counters(),
            size: (last.0.load(Ordering::Relaxed), last.1.load(Ordering::Relaxed)),
            quota,
            is_leader,
            garbage_rows: i64::try_from(shim.garbage_rows()).unwrap_or(i64::MAX),
            head_seen: self.database.head_seen.get(),
        };
        for (gauge, value) in &self.scraped.gauges {
            gauge.set(value(&look));
        }
        for (counter, value) in &self.scraped.counters {
            counter.inc_by(value(&look).saturating_sub(counter.get()));
        }
    }
}

fn as_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn count_as_i64(counter: &AtomicU64) -> i64 {
    i64::try_from(count(counter)).unwrap_or(i64::MAX)
}

type Reading<T> = fn(&Look<'_>) -> T;
type Row<T> = (&'static str, &'static str, Reading<T>);

/// etcd's types: some of its gauges are called totals.
const GAUGES: &[Row<i64>] = &[
    ("etcd_server_has_leader", "Whether the database answers", |look| i64::from(look.health.is_serving)),
    ("etcd_server_is_leader", "Whether this shim is the one that is called the leader", |look| {
        i64::from(look.health.is_serving && look.is_leader)
    }),
    ("etcd_server_is_learner", "Always 0", |_| 0),
    ("etcd_server_quota_backend_bytes", "As configured; -1 is none", |look| look.quota),
    ("etcd_server_proposals_committed_total", "Operations made durable here", |look| {
        count_as_i64(&look.counts.operations_committed)
    }),
    ("etcd_server_proposals_applied_total", "Position of the log applied here", |look| look.applied),
    ("etcd_server_proposals_pending", "Operations that wait to be evaluated", |look| as_i64(look.health.waiting)),
    ("etcd_mvcc_db_total_size_in_bytes", "Size of the store", |look| look.size.0),
    ("etcd_mvcc_db_total_size_in_use_in_bytes", "Size of the store in use", |look| look.size.1),
    ("etcd_debugging_mvcc_current_revision", "Newest revision known here", |look| look.state.revision()),
    ("etcd_debugging_mvcc_compact_revision", "Compacted revision; -1 is none", |look| match look.state.compacted() {
        0 => -1,
        revision => revision,
    }),
    ("etcd_debugging_mvcc_keys_total", "Living keys", |look| as_i64(look.state.len())),
    ("etcd_debugging_mvcc_watcher_total", "Watchers", |look| as_i64(look.health.watchers)),
    ("etcd_debugging_mvcc_watch_stream_total", "Watch streams", |look| as_i64(look.health.watch_streams)),
    ("etcd_debugging_mvcc_slow_watcher_total", "Watchers that read history to catch up", |look| {
        as_i64(look.health.slow_watchers)
    }),
    ("etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of keys and values put", |look| {
        count_as_i64(&look.counts.put_bytes)
    }),
    ("etcd_debugging_mvcc_db_compaction_last", "When a compaction was applied last, in seconds since 1970", |look| {
        count_as_i64(&look.counts.compacted_at)
    }),
    ("etcd_debugging_auth_revision", "Revision of users and roles", |look| {
        i64::try_from(look.state.auth().revision()).unwrap_or(i64::MAX)
    }),
    ("etcd_server_snapshot_apply_in_progress_total", "Always 0: shims get no snapshots from each other", |_| 0),
    ("kine_shim_log_rows", "Rows of the log, garbage included", |look| {
        as_i64(look.state.rows()).saturating_add(look.garbage_rows)
    }),
    ("kine_shim_leases", "Leases granted and not ended", |look| as_i64(look.state.lease_count())),
    ("kine_shim_garbage_rows", "Compacted rows that are not deleted yet", |look| look.garbage_rows),
    ("kine_shim_log_lag", "Positions of the log that are known of and not applied yet", |look| {
        (look.head_seen - look.applied).max(0)
    }),
];

const COUNTERS: &[Row<u64>] = &[
    ("etcd_server_proposals_failed", "Operations not applied or of unknown outcome", |look| {
        count(&look.counts.operations_failed)
    }),
    ("etcd_server_leader_changes_seen", "Incarnations declared", |look| look.state.incarnation()),
    ("etcd_server_read_indexes_failed", "Linearizable reads that failed", |look| count(&look.counts.reads_failed)),
    ("etcd_mvcc_put", "Puts applied", |look| count(&look.counts.puts)),
    ("etcd_mvcc_delete", "Deletes applied", |look| count(&look.counts.deletes)),
    ("etcd_debugging_mvcc_events", "Events", |look| count(&look.counts.puts) + count(&look.counts.deletes)),
    ("etcd_debugging_lease_granted", "Leases granted", |look| count(&look.counts.leases_granted)),
    ("etcd_debugging_lease_renewed", "Keep-alives answered here", |look| count(&look.counts.leases_renewed)),
    ("etcd_debugging_mvcc_db_compaction_keys", "Rows deleted after compactions", |look| {
        count(&look.counts.rows_trimmed)
    }),
    ("etcd_server_heartbeat_send_failures", "Always 0: shims send each other none", |_| 0),
    ("etcd_debugging_lease_revoked", "Leases ended", |look| count(&look.counts.leases_revoked)),
    ("etcd_debugging_server_lease_expired", "Leases expired", |look| count(&look.counts.leases_expired)),
    ("kine_shim_batches_committed", "Batches appended", |look| count(&look.counts.batches_committed)),
    ("kine_shim_batches_refused", "Batches evaluated anew because another shim wrote", |look| {
        count(&look.counts.batches_refused)
    }),
    ("kine_shim_batches_uncertain", "Appends whose outcome had to be resolved", |look| {
        count(&look.counts.batches_uncertain)
    }),
    ("kine_shim_operations_refused", "Operations answered with a refusal", |look| {
        count(&look.counts.operations_refused)
    }),
    ("kine_shim_operations_forwarded", "Operations handed to the shim that wrote last", |look| {
        count(&look.counts.operations_forwarded)
    }),
    ("kine_shim_overloaded", "Operations turned away by a full mailbox", |look| count(&look.counts.overloaded)),
    ("kine_shim_read_indexes", "ReadIndexQueue of linearizable reads", |look| count(&look.counts.read_indexes)),
    ("kine_shim_reloads", "Times the log was loaded anew", |look| count(&look.counts.reloads)),
    ("kine_shim_compactions", "Compactions applied", |look| count(&look.counts.compactions)),
    ("kine_shim_rows_trimmed", "Rows deleted after compactions", |look| count(&look.counts.rows_trimmed)),
    ("kine_shim_trims_failed", "Tries to delete compacted rows that failed", |look| count(&look.counts.trims_failed)),
];
