//! Everything this server knows of its store, an etcd v3 service.
//!
//! In: keys and bytes. Out: [`Stored`] values, outcomes of conditional writes, and the watch [`Cache`]. One
//! [`EndpointChannel`] each carries the requests and the watch, so that events do not queue behind large replies. Not
//! here: what the bytes mean, resources, and Kubernetes' Statuses.

pub mod cache;
mod channel;
mod compact;
mod config;
pub mod continue_token;
mod endpoint;
mod error;
mod lease;
mod listing;
mod model;
mod read;
mod read_index;
mod resolve;
mod write;

use std::{sync::Arc, time::Duration};

use etcd_client::MaintenanceClient;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::util::BoxCloneSyncService;

pub use cache::{Cache, CacheEvent, CacheLimits, Entry, EventKind, Scope, Snapshot, Subscription, WatchEnd};
pub use channel::EndpointChannel;
pub use config::StoreConfig;
pub use error::{ChannelFault, StoreError};
pub use listing::{ListAt, ListRequest, Listing, Select};
pub use model::{CreateOutcome, DeleteOutcome, Key, Page, PageRequest, Stored, UpdateOutcome};

use compact::Compactor;
use lease::LeasePool;
use read::Reader;
use read_index::ReadIndex;
use write::Writer;

/// What is rare and small goes through etcd-client, over the same channel: leases and the status. Keys and watches use
/// the generated stubs: etcd-client refuses replies over 4 MiB and copies every value.
async fn etcd_client(channel: EndpointChannel) -> Result<etcd_client::Client, StoreError> {
    let channel = etcd_client::Channel::Custom(BoxCloneSyncService::new(channel));
    etcd_client::Client::from_channel(channel, None).await.map_err(|error| StoreError::Config(error.to_string()))
}

/// A cheap handle to the store; clones share everything. Keys are always whole: `/registry/pods/default/a`.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    prefix: String,
    reader: Reader,
    writer: Writer,
    read_index: ReadIndex,
    cache: Cache,
    maintenance: MaintenanceClient,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Store {
    /// Checks the configuration and starts filling the cache. It does not wait for the store: see [`Store::ready`].
    pub async fn connect(config: StoreConfig) -> Result<Store, StoreError> {
        let prefix = config.prefix.trim_end_matches('/').to_owned();
        if !prefix.starts_with('/') {
            return Err(StoreError::Config(format!("the prefix {:?} must start with a slash", config.prefix)));
        }
        // Several servers with one list of endpoints begin at different ones.
        let first = rand::random_range(0..config.servers.len().max(1));
        let requests = EndpointChannel::new(&config, first)?;
        let feed = EndpointChannel::new(&config, first)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let reader = Reader::new(requests.clone());
        let read_index = ReadIndex::start(reader.clone(), format!("{prefix}/"), &tasks, stop.clone());
        let cache = Cache::start(&prefix, config.cache, Reader::new(feed.clone()), feed, &tasks, stop.clone());
        let client = etcd_client(requests.clone()).await?;
        let leases = LeasePool::new(client.lease_client());
        let maintenance = client.maintenance_client();
        if let Some(every) = config.compact_every.filter(|every| !every.is_zero()) {
            let compactor = Compactor::new(requests.clone(), every);
            let ended = stop.clone();
            tasks.spawn(async move { ended.run_until_cancelled(compactor.run()).await });
        }
        let writer = Writer::new(requests, leases, reader.clone(), cache.clone());
        tasks.close();
        Ok(Store(Arc::new(Inner { prefix, reader, writer, read_index, cache, maintenance, tasks, stop })))
    }

    /// The prefix of all keys, without a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// The value now, linearizable.
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        self.0.reader.get(key, 0).await
    }

    /// The value as it was at a revision.
    pub async fn get_at(&self, key: &str, revision: i64) -> Result<Option<Stored>, StoreError> {
        self.0.reader.get(key, revision).await
    }

    pub async fn page(&self, request: &PageRequest) -> Result<Page, StoreError> {
        self.0.reader.page(request).await
    }

    /// Every key of a prefix (ending in a slash) at one revision, read in pages.
    pub async fn list(&self, prefix: &str, revision: i64) -> Result<Page, StoreError> {
        self.0.reader.list(prefix, revision).await
    }

    /// How many keys lie in a prefix (ending in a slash).
    pub async fn count(&self, prefix: &str) -> Result<i64, StoreError> {
        self.0.reader.count(prefix).await
    }

    /// Writes the key if it does not exist. With a time to live the store removes it afterwards.
    ///
    /// A dropped future leaves it open whether the write happens; so for update and delete.
    pub async fn create(
        &self,
        key: &str,
        value: impl Into<bytes::Bytes>,
        ttl: Option<Duration>,
    ) -> Result<CreateOutcome, StoreError> {
        self.0.writer.create(key, value.into(), ttl).await
    }

    /// Replaces the value if the key is still at `expected_mod_revision`. A key without a `ttl` loses the one it had.
    pub async fn update(
        &self,
        key: &str,
        expected_mod_revision: i64,
        value: impl Into<bytes::Bytes>,
        ttl: Option<Duration>,
    ) -> Result<UpdateOutcome, StoreError> {
        self.0.writer.update(key, expected_mod_revision, value.into(), ttl).await
    }

    /// Removes the key if it is still at `expected_mod_revision`.
    pub async fn delete(&self, key: &str, expected_mod_revision: i64) -> Result<DeleteOutcome, StoreError> {
        self.0.writer.delete(key, expected_mod_revision).await
    }

    /// A revision no older than this call: one tiny linearizable read for all who wait, never one sent before the call.
    pub async fn current_revision(&self) -> Result<i64, StoreError> {
        self.0.read_index.current_revision().await
    }

    /// Whether the store answers: the read that kube-apiserver's health check makes.
    pub async fn health(&self) -> Result<(), StoreError> {
        self.0.reader.probe(&format!("{}/health", self.0.prefix), Duration::from_secs(2)).await
    }

    /// How large the store's database is, in bytes.
    pub async fn size(&self) -> Result<i64, StoreError> {
        let mut maintenance = self.0.maintenance.clone();
        let answer = tokio::time::timeout(Duration::from_secs(5), maintenance.status()).await;
        let status =
            answer.map_err(|_| StoreError::Timeout)?.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(status.db_size())
    }

    /// Resolves when the cache holds the whole store.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.0.cache.ready().await
    }

    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// Ends the tasks behind this handle and waits for them.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.wait().await;
    }
}
