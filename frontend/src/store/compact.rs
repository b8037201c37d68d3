//! Compaction of the store's history, in turns with every other API server on it.
//!
//! Servers take turns by a counter, the version of one well-known key: who finds it where it last saw it moves it on
//! and compacts to the revision of its own last turn; who finds it moved only remembers. So the history of at least one
//! interval is kept, and of at most two when the server whose turn it was has died. kube-apiserver does the same with
//! the same key, so that both may run on one store.

use std::time::Duration;

use bytes::Bytes;
use proto::etcdserverpb::{
    CompactionRequest, Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, compare, kv_client::KvClient,
    request_op, response_op,
};
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::{EndpointChannel, StoreError, error::Attempt};

const KEY: &[u8] = b"compact_rev_key";
const TURN_LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Compactor {
    kv: KvClient<EndpointChannel>,
    every: Duration,
    /// The counter as last seen.
    seen: i64,
    /// The store's revision at our last turn; 0 before the first.
    revision: i64,
}

impl Compactor {
    pub(super) fn new(channel: EndpointChannel, every: Duration) -> Compactor {
        Compactor { kv: KvClient::new(channel), every, seen: 0, revision: 0 }
    }

    pub(super) async fn run(mut self) {
        let mut turns = interval_at(tokio::time::Instant::now() + self.every, self.every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            match timeout(TURN_LIMIT, self.turn()).await {
                Ok(Ok(Some(revision))) => tracing::info!(revision, "compacted the store's history"),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "compacting the store's history failed"),
                Err(_) => tracing::warn!("compacting the store's history took too long"),
            }
        }
    }

    /// One turn; the revision compacted to, if it was ours. A lost reply only means that the next turn finds the
    /// counter moved.
    async fn turn(&mut self) -> Result<Option<i64>, StoreError> {
        let fault = |status| Attempt::from(status).into_read_error();
        let reply = self.kv.txn(self.request()).await.map_err(fault)?.into_inner();
        let now = reply.header.as_ref().map_or(0, |header| header.revision);
        if !reply.succeeded {
            let Some(response_op::Response::ResponseRange(range)) =
                reply.responses.into_iter().next().and_then(|op| op.response)
            else {
                return Err(StoreError::Malformed("a refused compaction turn without its counter".into()));
            };
            self.seen = range.kvs.first().map_or(0, |kv| kv.version);
            self.revision = now;
            return Ok(None);
        }
        self.seen += 1;
        let due = std::mem::replace(&mut self.revision, now);
        if due == 0 {
            return Ok(None);
        }
        match self.kv.compact(CompactionRequest { revision: due, physical: false }).await.map_err(fault) {
            Ok(_) => Ok(Some(due)),
            // Somebody else was faster.
            Err(StoreError::Compacted) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn request(&self) -> TxnRequest {
        let key = Bytes::from_static(KEY);
        let compare = Compare {
            result: compare::CompareResult::Equal.into(),
            target: compare::CompareTarget::Version.into(),
            key: key.clone(),
            target_union: Some(compare::TargetUnion::Version(self.seen)),
            ..Default::default()
        };
        let put = PutRequest { key: key.clone(), value: self.revision.to_string().into(), ..Default::default() };
        let read = RangeRequest { key, ..Default::default() };
        TxnRequest {
            compare: vec![compare],
            success: vec![RequestOp { request: Some(request_op::Request::RequestPut(put)) }],
            failure: vec![RequestOp { request: Some(request_op::Request::RequestRange(read)) }],
        }
    }
}
