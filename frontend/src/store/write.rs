//! Writes, in exactly the three Txn shapes of kube-apiserver, and what to do when their reply is lost.
//!
//! In: a key, the revision it is expected at, the value. Out: an outcome, or a [`StoreError`] that says whether
//! anything was written. A write is sent again only if it provably never left, or if the key was found still at the
//! expected revision: as a compare-and-swap, at most one of the two can then take effect.

use std::time::Duration;

use bytes::Bytes;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse, compare,
    kv_client::KvClient, request_op, response_op,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Cache, CreateOutcome, DeleteOutcome, EndpointChannel, StoreError, Stored, UpdateOutcome,
    error::Attempt,
    lease::LeasePool,
    read::{Reader, bytes_of, retries},
    resolve::{Found, Resolver, Write},
};

/// How long a write may take with all that follows a lost reply.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// How long its reply is waited for before it counts as lost.
const REPLY_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Writer {
    kv: KvClient<EndpointChannel>,
    channel: EndpointChannel,
    leases: LeasePool,
    resolver: Resolver,
}

/// How a conditional write ended: it was carried out, or its condition did not hold.
enum Outcome {
    Done(i64),
    Refused(Option<Stored>),
}

impl Writer {
    pub(super) fn new(channel: EndpointChannel, leases: LeasePool, reader: Reader, cache: Cache) -> Writer {
        let kv = KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
        Writer { kv, channel, leases, resolver: Resolver::new(reader, cache) }
    }

    pub(super) async fn create(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<CreateOutcome, StoreError> {
        let write = Write { key, expected: 0, value: Some(value) };
        Ok(match self.put(write, ttl).await? {
            Outcome::Done(revision) => CreateOutcome::Created { revision },
            Outcome::Refused(_) => CreateOutcome::Exists,
        })
    }

    pub(super) async fn update(
        &self,
        key: &str,
        expected: i64,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<UpdateOutcome, StoreError> {
        let write = Write { key, expected, value: Some(value) };
        Ok(match self.put(write, ttl).await? {
            Outcome::Done(revision) => UpdateOutcome::Updated { revision },
            Outcome::Refused(current) => UpdateOutcome::Changed(current),
        })
    }

    pub(super) async fn delete(&self, key: &str, expected: i64) -> Result<DeleteOutcome, StoreError> {
        let write = Write { key, expected, value: None };
        Ok(match self.carry_out(&write, 0).await? {
            Outcome::Done(revision) => DeleteOutcome::Deleted { revision },
            Outcome::Refused(current) => DeleteOutcome::Changed(current),
        })
    }

    /// A put under a lease if it has a time to live. The store may have lost the shared lease: once, take a new one.
    async fn put(&self, write: Write<'_>, ttl: Option<Duration>) -> Result<Outcome, StoreError> {
        let Some(ttl) = ttl else { return self.carry_out(&write, 0).await };
        let lease = self.leases.lease_for(ttl).await?;
        match self.carry_out(&write, lease).await {
            Err(StoreError::LeaseNotFound) => {
                self.leases.forget(lease).await;
                let lease = self.leases.lease_for(ttl).await?;
                self.carry_out(&write, lease).await
            }
            outcome => outcome,
        }
    }

    async fn carry_out(&self, write: &Write<'_>, lease: i64) -> Result<Outcome, StoreError> {
        let request = txn(write, lease);
        let deadline = Instant::now() + WRITE_LIMIT;
        let since = self.resolver.before(write);
        let mut backoff = retries();
        let mut lost = None;
        loop {
            let attempt = match self.attempt(&request, lost.is_some(), deadline).await? {
                Ok(outcome) => return Ok(outcome),
                Err(attempt) => attempt,
            };
            match attempt {
                Attempt::Answered(error) if lost.is_none() => return Err(error),
                Attempt::NotSent(cause) if lost.is_none() => {
                    let pause = backoff.pause();
                    if Instant::now() + pause >= deadline {
                        return Err(StoreError::Unavailable(cause));
                    }
                    sleep(pause).await;
                    continue;
                }
                Attempt::Answered(error) => lost = Some(error.to_string()),
                Attempt::NotSent(cause) | Attempt::Lost(cause) => lost = Some(cause),
            }
            let cause = lost.clone().unwrap_or_default();
            tracing::warn!(key = write.key, cause, "the outcome of a write is unknown; looking it up");
            let unknown = || StoreError::OutcomeUnknown { key: write.key.to_owned(), cause: cause.clone() };
            match self.resolver.look(write, since).await {
                Ok(Found::Done(revision)) => return Ok(Outcome::Done(revision)),
                Ok(Found::Refused(current)) => return Ok(Outcome::Refused(current)),
                Ok(Found::Untouched) if Instant::now() < deadline => sleep(backoff.pause()).await,
                Ok(Found::Untouched | Found::CannotTell) | Err(_) => return Err(unknown()),
            }
        }
    }

    /// Sends the write once. After a lost reply a refusal proves nothing: what we sent before may be what changed the
    /// key.
    async fn attempt(
        &self,
        request: &TxnRequest,
        after_a_loss: bool,
        deadline: Instant,
    ) -> Result<Result<Outcome, Attempt>, StoreError> {
        let reply_by = deadline.min(Instant::now() + REPLY_LIMIT);
        match timeout_at(reply_by, self.kv.clone().txn(request.clone())).await {
            Ok(Ok(reply)) => match outcome(reply.into_inner())? {
                Outcome::Refused(_) if after_a_loss => Ok(Err(Attempt::Lost("refused after a lost reply".into()))),
                outcome => Ok(Ok(outcome)),
            },
            Ok(Err(status)) => Ok(Err(Attempt::from(status))),
            Err(_) => {
                self.channel.distrust_silent(REPLY_LIMIT);
                Ok(Err(Attempt::Lost("no reply in time".into())))
            }
        }
    }
}

/// If the key is at the expected revision, then write; else, unless it is a create, read what is there.
fn txn(write: &Write<'_>, lease: i64) -> TxnRequest {
    let key = bytes_of(write.key);
    let compare = Compare {
        result: compare::CompareResult::Equal.into(),
        target: compare::CompareTarget::Mod.into(),
        key: key.clone(),
        target_union: Some(compare::TargetUnion::ModRevision(write.expected)),
        ..Default::default()
    };
    let then = match &write.value {
        Some(value) => request_op::Request::RequestPut(PutRequest {
            key: key.clone(),
            value: value.clone(),
            lease,
            ..Default::default()
        }),
        None => request_op::Request::RequestDeleteRange(DeleteRangeRequest { key: key.clone(), ..Default::default() }),
    };
    let failure = if write.expected == 0 && write.value.is_some() {
        Vec::new()
    } else {
        let read = RangeRequest { key, ..Default::default() };
        vec![RequestOp { request: Some(request_op::Request::RequestRange(read)) }]
    };
    TxnRequest { compare: vec![compare], success: vec![RequestOp { request: Some(then) }], failure }
}

fn outcome(reply: TxnResponse) -> Result<Outcome, StoreError> {
    if reply.succeeded {
        let header = reply.header.ok_or_else(|| StoreError::Malformed("a reply without a header".into()))?;
        return Ok(Outcome::Done(header.revision));
    }
    match reply.responses.into_iter().next().and_then(|op| op.response) {
        None => Ok(Outcome::Refused(None)),
        Some(response_op::Response::ResponseRange(range)) => Ok(Outcome::Refused(Stored::single(range.kvs)?)),
        Some(_) => Err(StoreError::Malformed("a refused write was answered with a write".into())),
    }
}
