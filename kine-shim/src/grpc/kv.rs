//! The KV service: validate, delegate, fill the header.

use proto::{etcdserverpb as pb, etcdserverpb::kv_server::Kv};
use tonic::{Request, Response, Status};

use super::{
    checks,
    credentials::Credentials,
    errors::{self, Invalid},
    quota,
    range_stream::{self, RangeStream},
    replies, requests,
    wire::Wire,
};
use crate::{
    model::{KeyRange, Op, Range, RangeEnd, RangeReply, ReadAt, Reply, Txn, TxnOp},
    shim::Consistency,
    state::State,
};

/// A list that may be longer, or that looks back, takes its time.
const INLINE_KEYS_MAX: usize = 1_000;

#[tonic::async_trait]
impl Kv for Wire {
    async fn range(&self, request: Request<pb::RangeRequest>) -> Result<Response<pb::RangeResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        checks::range(&request)?;
        let consistency = consistency(request.serializable);
        let range = requests::range(request);
        let state = self.readable(&credentials, consistency, &range.range).await?;
        let header = self.header(state.revision());
        let reply = self.answer(state, range).await?;
        Ok(Response::new(replies::range(header, reply)))
    }

    type RangeStreamStream = RangeStream;

    async fn range_stream(&self, request: Request<pb::RangeRequest>) -> Result<Response<RangeStream>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        checks::range(&request)?;
        let consistency = consistency(request.serializable);
        let range = requests::range(request);
        range_stream::check(&range)?;
        let state = self.readable(&credentials, consistency, &range.range).await?;
        let header = self.header(state.revision());
        let pinned = self.pinned(&state, range.at).unwrap_or(state);
        Ok(Response::new(range_stream::open(pinned, range, header)?))
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Result<Response<pb::PutResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), self.sized(request)?);
        self.check_quota(quota::cost_of_put(&request)).await?;
        checks::put(&request)?;
        match self.write(&credentials, Op::Put(requests::put(request))).await? {
            (_, Reply::Put(reply)) => Ok(Response::new(replies::put(self.header(reply.revision), reply))),
            _ => Err(unexpected()),
        }
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), self.sized(request)?);
        checks::delete_range(&request)?;
        match self.write(&credentials, Op::DeleteRange(requests::delete_range(request))).await? {
            (_, Reply::DeleteRange(reply)) => {
                Ok(Response::new(replies::delete_range(self.header(reply.revision), reply)))
            }
            _ => Err(unexpected()),
        }
    }

    async fn txn(&self, request: Request<pb::TxnRequest>) -> Result<Response<pb::TxnResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), self.sized(request)?);
        self.check_quota(quota::cost_of_txn(&request)).await?;
        checks::txn(&request, self.options.max_txn_ops)?;
        let is_serializable = is_serializable(&request);
        let txn = requests::txn(request)?;
        let reply = if txn.is_read_only() {
            let reading = self.read(&credentials, consistency(is_serializable));
            let (state, caller) = reading.await.map_err(errors::failed)?;
            let access = state.access(&caller);
            access.txn(&txn).and_then(|()| access.current())?;
            let is_short = is_short_txn(&state, &txn);
            let reply = aside_unless(is_short, move || state.txn_read(&txn)).await?;
            reply.map_err(errors::refused)?
        } else {
            match self.write(&credentials, Op::Txn(txn)).await? {
                (_, Reply::Txn(reply)) => reply,
                _ => return Err(unexpected()),
            }
        };
        Ok(Response::new(replies::txn(self.header(reply.revision), reply)))
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let (revision, _) = self.write(&credentials, Op::Compact { revision: request.revision }).await?;
        if request.physical {
            self.shim.compact_physical().await.map_err(errors::faulted)?;
        }
        Ok(Response::new(pb::CompactionResponse { header: Some(self.header(revision)) }))
    }
}

impl Wire {
    /// A state to read these keys from, for a sender who may.
    pub(super) async fn readable(
        &self,
        credentials: &Credentials,
        consistency: Consistency,
        keys: &KeyRange,
    ) -> Result<State, Status> {
        let (state, caller) = self.read(credentials, consistency).await.map_err(errors::failed)?;
        let access = state.access(&caller);
        access.read(keys).and_then(|()| access.current())?;
        Ok(state)
    }

    /// A write must fit the limit that etcd's log has for one.
    pub(super) fn sized<M: prost::Message>(&self, request: Request<M>) -> Result<M, Status> {
        let request = request.into_inner();
        if request.encoded_len() > self.options.max_request_bytes {
            return Err(Invalid::TooLarge.into());
        }
        Ok(request)
    }

    /// The state exactly at the older revision asked for, if it was kept: there, counts and pages cost no walk.
    fn pinned(&self, state: &State, at: ReadAt) -> Option<State> {
        match at {
            ReadAt::Revision(revision) if revision < state.revision() && revision >= state.compacted() => {
                self.shim.snapshot_at(revision)
            }
            _ => None,
        }
    }

    async fn answer(&self, state: State, range: Range) -> Result<RangeReply, Status> {
        let first_page = (range.limit > 0 && range.range.end != RangeEnd::Single && range.at == ReadAt::Latest)
            .then(|| state.clone());
        let source = self.pinned(&state, range.at).unwrap_or(state);
        let is_short = is_short(&source, &range);
        let reply = aside_unless(is_short, move || source.range(&range)).await?;
        let reply = reply.map_err(errors::refused)?;
        if let Some(state) = first_page.filter(|_| reply.more) {
            self.shim.keep_snapshot(&state);
        }
        Ok(reply)
    }
}

/// Whether a read is done before anybody notices.
fn is_short(state: &State, range: &Range) -> bool {
    let is_current = range.at == ReadAt::Latest || range.at == ReadAt::Revision(state.revision());
    let is_cut = range.count_only || (range.limit > 0 && range.limit <= INLINE_KEYS_MAX && !range.looks_at_all());
    range.range.end == RangeEnd::Single || state.len() <= INLINE_KEYS_MAX || (is_current && is_cut)
}

fn is_short_txn(state: &State, txn: &Txn) -> bool {
    let is_short_op = |op: &TxnOp| match op {
        TxnOp::Range(range) => is_short(state, range),
        TxnOp::Txn(txn) => is_short_txn(state, txn),
        TxnOp::Put(_) | TxnOp::DeleteRange(_) => true,
    };
    let compares = txn.compare.iter().map(|compare| &compare.range.end);
    state.len() <= INLINE_KEYS_MAX
        || compares.into_iter().all(|end| *end == RangeEnd::Single)
            && txn.success.iter().chain(&txn.failure).all(is_short_op)
}

/// Done here if it is short, else on a thread of its own, lest it keeps others of its worker waiting.
async fn aside_unless<T: Send + 'static>(
    is_short: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    if is_short {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| errors::stopped())
}

pub(super) fn consistency(is_serializable: bool) -> Consistency {
    if is_serializable { Consistency::Serializable } else { Consistency::Linearizable }
}

/// A Txn may be stale only if everything in it is a range that may.
fn is_serializable(request: &pb::TxnRequest) -> bool {
    request
        .success
        .iter()
        .chain(&request.failure)
        .all(|op| matches!(&op.request, Some(pb::request_op::Request::RequestRange(range)) if range.serializable))
}

/// The sequencer answers each operation by its own kind.
pub(super) fn unexpected() -> Status {
    Status::internal("the reply is not one to this request")
}
