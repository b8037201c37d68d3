//! v3electionpb.Election: the leader is the oldest key below the election's name, its value what it proclaims.

use std::pin::Pin;

use futures::Stream;
use proto::{v3electionpb as pb, v3electionpb::election_server::Election};
use tonic::{Request, Response, Status};

use super::{
    credentials::Credentials,
    errors,
    queue::{self, Waiter},
    replies,
    wire::Wire,
};
use crate::{
    model::{Key, Revision, TxnReply},
    watch::{Filters, WatchMessage, WatchRequest, WatchStream},
};

#[tonic::async_trait]
impl Election for Wire {
    /// Dropped (the client gave up), the future leaves the queue.
    async fn campaign(&self, request: Request<pb::CampaignRequest>) -> Result<Response<pb::CampaignResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let (waiter, own) =
            Waiter::join(self, &credentials, &request.name, request.lease, request.value.clone()).await?;
        if own.value != request.value {
            let proclaim = queue::put(&waiter.key, request.value, waiter.lease);
            let reply =
                self.txn_of(&credentials, queue::if_created(&waiter.key, waiter.create_revision, proclaim)).await?;
            lead(&reply)?;
        }
        waiter.acquire().await?.ok_or_else(not_leader)?;
        let header = Some(self.header(waiter.revision));
        let (key, lease, rev) = waiter.keep();
        let leader = Some(pb::LeaderKey { name: request.name, key, rev, lease });
        Ok(Response::new(pb::CampaignResponse { header, leader }))
    }

    async fn proclaim(&self, request: Request<pb::ProclaimRequest>) -> Result<Response<pb::ProclaimResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let leader = request.leader.ok_or_else(no_key)?;
        let put = queue::put(&leader.key, request.value, leader.lease);
        let reply = self.txn_of(&credentials, queue::if_created(&leader.key, leader.rev, put)).await?;
        lead(&reply)?;
        Ok(Response::new(pb::ProclaimResponse { header: Some(self.header(reply.revision)) }))
    }

    async fn leader(&self, request: Request<pb::LeaderRequest>) -> Result<Response<pb::LeaderResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let prefix = queue::prefix_of(&request.name);
        let state = self.queue(&credentials, &prefix).await?;
        let leader = queue::holder(&state, &prefix)?.ok_or_else(|| Status::unknown("election: no leader"))?;
        let header = Some(self.header(state.revision()));
        Ok(Response::new(pb::LeaderResponse { header, kv: Some(replies::key_value(leader)) }))
    }

    type ObserveStream = Pin<Box<dyn Stream<Item = Result<pb::LeaderResponse, Status>> + Send>>;

    async fn observe(&self, request: Request<pb::LeaderRequest>) -> Result<Response<Self::ObserveStream>, Status> {
        let requires_leader = self.requires_leader(&request)?;
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let prefix = queue::prefix_of(&request.name);
        self.queue(&credentials, &prefix).await?;
        let messages = self.shim.watch_stream();
        let request = WatchRequest {
            id: None,
            range: queue::below(&prefix),
            start: None,
            filters: Filters::default(),
            progress_notify: false,
        };
        messages.control().create(request).await;
        let observer = Observer { wire: self.clone(), credentials, prefix, messages, told: None };
        let leaders = futures::stream::try_unfold(observer, |mut observer| async move {
            Ok(observer.next().await?.map(|leader| (leader, observer)))
        });
        Ok(Response::new(Box::pin(self.while_led(requires_leader, leaders))))
    }

    async fn resign(&self, request: Request<pb::ResignRequest>) -> Result<Response<pb::ResignResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let leader = request.leader.ok_or_else(no_key)?;
        let resign = queue::if_created(&leader.key, leader.rev, queue::delete(&leader.key));
        let reply = self.txn_of(&credentials, resign).await?;
        Ok(Response::new(pb::ResignResponse { header: Some(self.header(reply.revision)) }))
    }
}

struct Observer {
    wire: Wire,
    credentials: Credentials,
    prefix: Key,
    messages: WatchStream,
    /// Who led when last told, and since which proclamation.
    told: Option<(Key, Revision)>,
}

impl Observer {
    /// The newest leader not told yet; older ones may be skipped.
    async fn next(&mut self) -> Result<Option<pb::LeaderResponse>, Status> {
        loop {
            match self.messages.next().await {
                Some(WatchMessage::Created { .. } | WatchMessage::Events { .. }) => {}
                Some(WatchMessage::Progress { .. }) => continue,
                Some(WatchMessage::Refused { .. } | WatchMessage::Canceled { .. }) => return Ok(None),
                None => return Err(errors::stopped()),
            }
            // Not older than the events: both come from one watermark.
            let (state, caller) = self.wire.known(&self.credentials).await.map_err(errors::failed)?;
            state.access(&caller).read(&queue::below(&self.prefix))?;
            let Some(leader) = queue::holder(&state, &self.prefix)? else { continue };
            let now = Some((leader.key.clone(), leader.mod_revision));
            if now != self.told {
                self.told = now;
                let header = Some(self.wire.header(state.revision()));
                return Ok(Some(pb::LeaderResponse { header, kv: Some(replies::key_value(leader)) }));
            }
        }
    }
}

fn lead(reply: &TxnReply) -> Result<(), Status> {
    if reply.succeeded { Ok(()) } else { Err(not_leader()) }
}

fn not_leader() -> Status {
    Status::unknown("election: not leader")
}

fn no_key() -> Status {
    Status::unknown("\"leader\" field must be provided")
}
