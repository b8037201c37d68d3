//! Reads: one key, pages of a prefix, counts. Each is retried over the endpoints until its deadline.

use std::time::Duration;

use proto::etcdserverpb::{RangeRequest, RangeResponse, kv_client::KvClient};
use tokio::time::{Instant, sleep, timeout_at};

use super::{EndpointChannel, Page, PageRequest, StoreError, Stored, error::Attempt, model::prefix_end};
use crate::client::Backoff;

/// How long a read may take with all its retries, and one attempt of it: beyond, another endpoint is tried.
const READ_LIMIT: Limit = Limit { whole: Duration::from_secs(10), attempt: Duration::from_secs(3) };
/// A page may be large and the store far away.
const PAGE_LIMIT: Limit = Limit { whole: Duration::from_secs(60), attempt: Duration::from_secs(30) };
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Keys of one page when a whole prefix is read: as many as kube-apiserver's consistency check asks for.
pub(super) const LIST_PAGE_MAX: i64 = 10_000;
const LIST_PAGE_FIRST: i64 = 500;
/// etcd bounds a page by keys alone; the next page's keys are chosen so that it comes out at about this many bytes.
const LIST_PAGE_BYTES: usize = 8 << 20;

#[derive(Clone, Copy)]
struct Limit {
    whole: Duration,
    attempt: Duration,
}

/// Between attempts of reads and writes.
pub(super) fn retries() -> Backoff {
    Backoff::doubling(RETRY_MIN, RETRY_MAX)
}

#[derive(Clone)]
pub(super) struct Reader {
    kv: KvClient<EndpointChannel>,
    channel: EndpointChannel,
}

impl Reader {
    pub(super) fn new(channel: EndpointChannel) -> Reader {
        let kv = KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
        Reader { kv, channel }
    }

    pub(super) async fn get(&self, key: &str, revision: i64) -> Result<Option<Stored>, StoreError> {
        let request = RangeRequest { key: bytes_of(key), limit: 1, revision, ..Default::default() };
        Stored::single(self.range(request, READ_LIMIT).await?.kvs)
    }

    /// The header's revision of a linearizable read that is as small as can be.
    pub(super) async fn revision(&self, key: &str) -> Result<i64, StoreError> {
        let request = RangeRequest { key: bytes_of(key), limit: 1, count_only: true, ..Default::default() };
        header_revision(&self.range(request, READ_LIMIT).await?)
    }

    /// One read without retries.
    pub(super) async fn probe(&self, key: &str, limit: Duration) -> Result<(), StoreError> {
        let request = RangeRequest { key: bytes_of(key), limit: 1, ..Default::default() };
        let answer = tokio::time::timeout(limit, self.kv.clone().range(request)).await;
        match answer.map_err(|_| StoreError::Timeout)? {
            Ok(_) => Ok(()),
            Err(status) => Err(Attempt::from(status).into_read_error()),
        }
    }

    pub(super) async fn count(&self, prefix: &str) -> Result<i64, StoreError> {
        let (key, range_end) = (bytes_of(prefix), prefix_end(prefix.as_bytes()));
        let request = RangeRequest { key, range_end, count_only: true, ..Default::default() };
        Ok(self.range(request, READ_LIMIT).await?.count)
    }

    pub(super) async fn page(&self, page: &PageRequest) -> Result<Page, StoreError> {
        let request = RangeRequest {
            key: bytes_of(page.start.as_deref().unwrap_or(&page.prefix)),
            range_end: prefix_end(page.prefix.as_bytes()),
            limit: page.limit,
            revision: page.revision,
            keys_only: page.keys_only,
            ..Default::default()
        };
        let reply = self.range(request, PAGE_LIMIT).await?;
        let revision = if page.revision > 0 { page.revision } else { header_revision(&reply)? };
        let items = reply.kvs.into_iter().filter_map(Stored::from_wire).collect();
        Ok(Page { items, revision, more: reply.more, count: reply.count })
    }

    /// All of a prefix at one revision (0: now).
    pub(super) async fn list(&self, prefix: &str, revision: i64) -> Result<Page, StoreError> {
        let mut request =
            PageRequest { prefix: prefix.to_owned(), limit: LIST_PAGE_FIRST, revision, ..PageRequest::default() };
        let mut whole = Page::default();
        loop {
            let page = self.page(&request).await?;
            advance(&mut request, &page);
            whole.revision = page.revision;
            whole.count = whole.count.max(page.count);
            let more = page.more && !page.items.is_empty();
            whole.items.extend(page.items);
            if !more {
                return Ok(whole);
            }
        }
    }

    async fn range(&self, request: RangeRequest, limit: Limit) -> Result<RangeResponse, StoreError> {
        let deadline = Instant::now() + limit.whole;
        let revision = request.revision;
        let mut backoff = retries();
        loop {
            let attempt_by = deadline.min(Instant::now() + limit.attempt);
            let fault = match timeout_at(attempt_by, self.kv.clone().range(request.clone())).await {
                Ok(Ok(reply)) => return Ok(reply.into_inner()),
                Ok(Err(status)) => match Attempt::from(status) {
                    Attempt::Answered(StoreError::FutureRevision { .. }) => {
                        return Err(StoreError::FutureRevision { requested: revision, current: 0 });
                    }
                    Attempt::Answered(error) => return Err(error),
                    attempt => attempt.into_read_error(),
                },
                Err(_) => {
                    self.channel.distrust_silent(limit.attempt);
                    StoreError::Timeout
                }
            };
            let pause = backoff.pause();
            if Instant::now() + pause >= deadline {
                return Err(fault);
            }
            sleep(pause).await;
        }
    }
}

/// Moves a request behind the page just read, stays at its revision, and adapts the size of the next page.
pub(super) fn advance(request: &mut PageRequest, page: &Page) {
    request.revision = page.revision;
    let Some(last) = page.items.last() else { return };
    request.start = Some(format!("{}\0", last.key));
    let bytes: usize = page.items.iter().map(|item| item.key.as_bytes().len() + item.value.len() + 32).sum();
    let average = (bytes / page.items.len()).max(1);
    let fitting = i64::try_from(LIST_PAGE_BYTES / average).unwrap_or(LIST_PAGE_MAX);
    request.limit = fitting.clamp(16, LIST_PAGE_MAX);
}

fn header_revision(reply: &RangeResponse) -> Result<i64, StoreError> {
    let header = reply.header.as_ref().ok_or_else(|| StoreError::Malformed("a reply without a header".into()))?;
    Ok(header.revision)
}

pub(super) fn bytes_of(key: &str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(key.as_bytes())
}
