//! The Lease service.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use proto::{etcdserverpb as pb, etcdserverpb::lease_server::Lease};
use rand::RngExt;
use tonic::{Request, Response, Status, Streaming};

use super::{
    credentials::Credentials,
    errors::{self, Invalid},
    kv::unexpected,
    quota,
    wire::Wire,
};
use crate::{
    model::{Error, LeaseId, Op, Refusal, Reply},
    shim::Consistency,
};

/// A default etcd's: one and a half election timeouts, in whole seconds.
const TTL_MIN: i64 = 2;
const TTL_MAX: i64 = 9_000_000_000;
/// Keep-alives of one stream that are under way; their answers keep the order of the requests.
const KEEP_ALIVES_AT_ONCE: usize = 256;

#[tonic::async_trait]
impl Lease for Wire {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        self.check_quota(quota::LEASE_COST).await?;
        self.require_user(&request).await?;
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        if request.ttl > TTL_MAX {
            return Err(Invalid::LeaseTtlTooLarge.into());
        }
        let ttl = request.ttl.max(TTL_MIN);
        loop {
            let is_drawn = request.id == 0;
            let id = if is_drawn { draw() } else { request.id };
            match self.evaluated(&credentials, Op::LeaseGrant { id, ttl }).await {
                Ok((revision, Reply::LeaseGrant)) => {
                    let header = Some(self.header(revision));
                    return Ok(Response::new(pb::LeaseGrantResponse { header, id, ttl, error: String::new() }));
                }
                Ok(_) => return Err(unexpected()),
                Err(Error::Refused(Refusal::LeaseExists)) if is_drawn => {}
                Err(error) => return Err(errors::failed(error)),
            }
        }
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let (credentials, id) = (Credentials::of(&request), request.into_inner().id);
        let (revision, _) = self.write(&credentials, Op::LeaseRevoke { id }).await?;
        Ok(Response::new(pb::LeaseRevokeResponse { header: Some(self.header(revision)) }))
    }

    type LeaseKeepAliveStream = Pin<Box<dyn Stream<Item = Result<pb::LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let requires_leader = self.requires_leader(&request)?;
        let (wire, credentials) = (self.clone(), Credentials::of(&request));
        let answers = request.into_inner().map(move |request| {
            let (wire, credentials) = (wire.clone(), credentials.clone());
            async move { wire.keep_alive(&credentials, request?.id).await }
        });
        let answers = answers.buffered(KEEP_ALIVES_AT_ONCE);
        Ok(Response::new(Box::pin(self.while_led(requires_leader, answers))))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let found = self.shim.lease_time_to_live(request.id, request.keys).await.map_err(errors::faulted)?;
        // On a state no older than the one that was read.
        let (state, caller) = self.known(&credentials).await.map_err(errors::failed)?;
        state.access(&caller).known()?;
        if let Some(lease) = found.as_ref().filter(|_| request.keys) {
            state.access(&caller).lease_reads(&lease.keys)?;
        }
        let header = Some(self.current_header());
        Ok(Response::new(match found {
            Some(lease) => pb::LeaseTimeToLiveResponse {
                header,
                id: request.id,
                ttl: lease.remaining,
                granted_ttl: lease.granted,
                keys: lease.keys,
            },
            None => pb::LeaseTimeToLiveResponse { header, id: request.id, ttl: -1, ..Default::default() },
        }))
    }

    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let reading = Credentials::of(&request);
        let (state, caller) = self.read(&reading, Consistency::Linearizable).await.map_err(errors::failed)?;
        let access = state.access(&caller);
        access.known()?;
        if access.admin().is_err() {
            state.leases().try_for_each(|lease| access.lease_reads(&state.lease_keys(lease.id)))?;
        }
        let leases = self.shim.leases_by_expiry(&state).into_iter().map(|id| pb::LeaseStatus { id }).collect();
        Ok(Response::new(pb::LeaseLeasesResponse { header: Some(self.header(state.revision())), leases }))
    }
}

impl Wire {
    /// The header is from before the renewal: a lease seen alive at a revision has not been revoked at or below it.
    async fn keep_alive(&self, credentials: &Credentials, id: LeaseId) -> Result<pb::LeaseKeepAliveResponse, Status> {
        if self.shim.snapshot().auth().is_enabled() {
            let (state, caller) = self.read(credentials, Consistency::Linearizable).await.map_err(errors::failed)?;
            let access = state.access(&caller);
            access.known().and_then(|()| access.lease_writes(id))?;
        }
        let header = Some(self.current_header());
        let ttl = self.shim.lease_keep_alive(id).await.map_err(errors::faulted)?;
        Ok(pb::LeaseKeepAliveResponse { header, id, ttl })
    }
}

/// A positive id nobody is likely to have.
pub(super) fn draw() -> LeaseId {
    rand::rng().random_range(1..=LeaseId::MAX)
}
