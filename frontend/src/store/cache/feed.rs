//! Keeps the cache current: reads the whole store at one revision, then follows one watch from there.
//!
//! A broken watch is resumed behind the watermark. When that is not possible (compacted, the store went back, an event
//! is missing) everything is read again and all watchers are told to begin anew. Without `prev_kv`: the cache itself
//! holds the previous value, so that a change crosses the wire once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use proto::{
    etcdserverpb::{
        WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse, watch_client::WatchClient,
        watch_request::RequestUnion,
    },
    mvccpb::Event,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming, metadata::MetadataValue};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Cache, Entry, Ordering,
    group::{CacheLimits, Group},
    layout::resource_of,
    tree::Tree,
};
use crate::store::{
    EndpointChannel, PageRequest, StoreError,
    model::prefix_end,
    read::{Reader, advance, retries},
};

const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// Progress requests are answered at once; a stream that leaves one unanswered this long is dead.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const PROGRESS_GAP: Duration = Duration::from_millis(50);
const LOG_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Feed {
    cache: Cache,
    reader: Reader,
    channel: EndpointChannel,
}

/// How following the watch ended.
enum End {
    /// The stream broke: resume behind the watermark.
    Broken(String),
    /// The cache cannot be continued: read everything again.
    Lost(String),
}

impl Feed {
    pub(super) fn new(cache: Cache, reader: Reader, channel: EndpointChannel) -> Feed {
        Feed { cache, reader, channel }
    }

    pub(super) async fn run(self) {
        loop {
            self.load().await;
            let cause = self.follow().await;
            tracing::warn!(cause, "reading the whole store again");
        }
    }

    /// Reads everything, however long it takes to succeed.
    async fn load(&self) {
        let mut backoff = retries();
        loop {
            let started = Instant::now();
            match self.read_all().await {
                Ok((entries, revision)) => {
                    let keys = entries.values().map(Vec::len).sum::<usize>();
                    self.install(entries, revision);
                    tracing::info!(keys, revision, took = ?started.elapsed(), "the watch cache holds the whole store");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "reading the whole store failed");
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn read_all(&self) -> Result<(HashMap<String, Vec<Arc<Entry>>>, i64), StoreError> {
        let root = &self.cache.0.root;
        let mut request = PageRequest { prefix: root.clone(), limit: 500, ..PageRequest::default() };
        let mut entries: HashMap<String, Vec<Arc<Entry>>> = HashMap::new();
        let (mut read, mut logged) = (0usize, Instant::now());
        loop {
            let page = self.reader.page(&request).await?;
            for stored in &page.items {
                let Some(resource) = resource_of(root, stored.key.as_str()) else { continue };
                // What has not changed keeps its encodings.
                let known = self.cache.known(resource, stored.key.as_bytes(), stored.mod_revision);
                let Some(entry) = known.or_else(|| Entry::from_stored(stored)) else { continue };
                match entries.get_mut(resource) {
                    Some(list) => list.push(entry),
                    None => drop(entries.insert(resource.to_owned(), vec![entry])),
                }
            }
            read += page.items.len();
            advance(&mut request, &page);
            if !page.more || page.items.is_empty() {
                return Ok((entries, page.revision));
            }
            if logged.elapsed() >= LOG_EVERY {
                tracing::info!(read, left = page.count - page.items.len() as i64, "reading the store");
                logged = Instant::now();
            }
        }
    }

    /// Replaces all groups at once.
    fn install(&self, entries: HashMap<String, Vec<Arc<Entry>>>, revision: i64) {
        let shared = &self.cache.0;
        let mut trees: HashMap<Box<str>, Tree> =
            entries.into_iter().map(|(resource, list)| (resource.into(), Tree::from_sorted(list))).collect();
        let mut groups = shared.groups.write();
        groups.loaded_at = revision;
        // It may go back here, if the store did; all watchers are ended.
        shared.watermark.store(revision, Ordering::Release);
        for (resource, group) in &groups.by_resource {
            group.reset(trees.remove(resource).unwrap_or_else(Tree::new), revision);
        }
        for (resource, tree) in trees {
            let group = Arc::new(Group::new(&resource, tree, revision, shared.limits));
            groups.by_resource.insert(resource, group);
        }
        shared.ready.store(true, Ordering::Release);
        drop(groups);
        shared.advanced.send_replace(revision);
    }

    /// Follows the watch over broken streams, until the cache cannot be continued; returns why.
    async fn follow(&self) -> String {
        let mut backoff = retries();
        loop {
            let before = self.cache.revision();
            let cause = match self.stream().await {
                End::Lost(cause) => return cause,
                End::Broken(cause) => cause,
            };
            let revision = self.cache.revision();
            tracing::warn!(cause, revision, endpoint = self.channel.endpoint_in_use(), "the watch broke; resuming");
            if revision > before {
                backoff = retries();
            }
            sleep(backoff.pause()).await;
            match self.reader.revision(&self.cache.0.root).await {
                Ok(now) if now < revision => return format!("the store went back from revision {revision} to {now}"),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the store cannot be reached"),
            }
        }
    }

    async fn stream(&self) -> End {
        let (requests, mut responses) = match timeout(OPEN_LIMIT, self.open()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(status)) => return End::Broken(status.message().to_owned()),
            Err(_) => {
                self.channel.distrust_silent(OPEN_LIMIT);
                return End::Broken("opening the watch took too long".into());
            }
        };
        let mut fragments = Vec::new();
        let mut asked: Option<Instant> = None;
        let mut last_asked = Instant::now() - PROGRESS_GAP;
        loop {
            let answer_by = asked.unwrap_or_else(Instant::now) + ANSWER_LIMIT;
            tokio::select! {
                biased;
                message = responses.message() => match message {
                    Ok(Some(response)) => {
                        asked = None;
                        if let Err(end) = self.receive(response, &mut fragments) {
                            return end;
                        }
                    }
                    Ok(None) => return End::Broken("the store closed the watch".into()),
                    Err(status) => return End::Broken(status.message().to_owned()),
                },
                () = tokio::time::sleep_until(answer_by), if asked.is_some() => {
                    return End::Broken("a progress request was not answered".into());
                }
                () = self.cache.0.progress_wanted.notified() => {
                    if last_asked.elapsed() >= PROGRESS_GAP {
                        last_asked = Instant::now();
                        asked = asked.or(Some(last_asked));
                        let progress = RequestUnion::ProgressRequest(WatchProgressRequest {});
                        // A full queue holds one already.
                        let _ = requests.try_send(WatchRequest { request_union: Some(progress) });
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<(mpsc::Sender<WatchRequest>, Streaming<WatchResponse>), tonic::Status> {
        let root = Bytes::copy_from_slice(self.cache.0.root.as_bytes());
        let create = WatchCreateRequest {
            range_end: prefix_end(&root),
            key: root,
            start_revision: self.cache.revision() + 1,
            progress_notify: true,
            ..Default::default()
        };
        let (sender, receiver) = mpsc::channel(4);
        // The queue is empty and open.
        let _ = sender.try_send(WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) });
        let mut request = Request::new(ReceiverStream::new(receiver));
        // A member cut off from its leader must end the watch rather than fall silent.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        let mut client = WatchClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        Ok((sender, client.watch(request).await?.into_inner()))
    }

    fn receive(&self, response: WatchResponse, fragments: &mut Vec<Event>) -> Result<(), End> {
        if response.canceled {
            if response.compact_revision > 0 {
                return Err(End::Lost(format!("compacted up to revision {}", response.compact_revision)));
            }
            return Err(End::Broken(format!("the store cancelled the watch: {}", response.cancel_reason)));
        }
        if response.created {
            return Ok(());
        }
        if response.events.is_empty() && fragments.is_empty() {
            // Progress: everything up to here has been sent.
            if let Some(header) = response.header {
                self.cache.advance(header.revision);
            }
            return Ok(());
        }
        fragments.extend(response.events);
        if response.fragment {
            return Ok(());
        }
        let events = std::mem::take(fragments);
        self.cache.apply(&events).map_err(|gap| End::Lost(gap.to_string()))
    }
}

impl Cache {
    /// Applies whole revisions, in order, and then moves the watermark.
    fn apply(&self, events: &[Event]) -> Result<(), super::group::Gap> {
        let root = &self.0.root;
        let mut by_resource: Vec<(&str, Vec<&Event>)> = Vec::new();
        let mut last = 0;
        for event in events {
            let Some(kv) = &event.kv else { continue };
            last = last.max(kv.mod_revision);
            let resource = std::str::from_utf8(&kv.key).ok().and_then(|key| resource_of(root, key));
            let Some(resource) = resource else { continue };
            match by_resource.iter_mut().find(|(name, _)| *name == resource) {
                Some((_, list)) => list.push(event),
                None => by_resource.push((resource, vec![event])),
            }
        }
        for (resource, list) in by_resource {
            self.group_named(resource).apply(&list)?;
        }
        self.advance(last);
        Ok(())
    }
}

impl Cache {
    /// A cache that is kept current until `stop`, by a task of `tasks`.
    pub(in crate::store) fn start(
        prefix: &str,
        limits: CacheLimits,
        reader: Reader,
        channel: EndpointChannel,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Cache {
        let cache = Cache::new(prefix, limits);
        let feed = Feed::new(cache.clone(), reader, channel);
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = feed.run() => {}
            }
        });
        cache
    }
}
