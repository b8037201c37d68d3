//! The Lease service.

use std::pin::Pin;

use futures::Stream;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::lease_server::Lease;
use rand::RngExt;
use tonic::{Request, Response, Status, Streaming};

use super::errors::{self, Invalid};
use super::kv::unexpected;
use super::{Wire, quota};
use crate::model::{Error, LeaseId, Op, Refusal, Reply};
use crate::shim::Consistency;

/// A default etcd's: one and a half election timeouts, in whole seconds.
const TTL_MIN: i64 = 2;
const TTL_MAX: i64 = 9_000_000_000;

#[tonic::async_trait]
impl Lease for Wire {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let request = request.into_inner();
        self.check_quota(quota::LEASE_COST).await?;
        if request.ttl > TTL_MAX {
            return Err(Invalid::LeaseTtlTooLarge.into());
        }
        let ttl = request.ttl.max(TTL_MIN);
        loop {
            let is_drawn = request.id == 0;
            let id = if is_drawn { draw() } else { request.id };
            match self.shim.write(Op::LeaseGrant { id, ttl }).await {
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
        let (revision, _) = self.write(Op::LeaseRevoke { id: request.into_inner().id }).await?;
        Ok(Response::new(pb::LeaseRevokeResponse { header: Some(self.header(revision)) }))
    }

    type LeaseKeepAliveStream = Pin<Box<dyn Stream<Item = Result<pb::LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        self.require_leader(&request)?;
        let session = (self.clone(), request.into_inner());
        Ok(Response::new(Box::pin(futures::stream::try_unfold(session, |(wire, mut requests)| async move {
            let Some(request) = requests.message().await? else { return Ok(None) };
            let response = wire.keep_alive(request.id).await?;
            Ok(Some((response, (wire, requests))))
        }))))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let request = request.into_inner();
        let found = self.shim.lease_time_to_live(request.id, request.keys).await.map_err(errors::faulted)?;
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
        _: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let state = self.shim.read(Consistency::Linearizable).await.map_err(errors::faulted)?;
        let leases = state.leases().map(|lease| pb::LeaseStatus { id: lease.id }).collect();
        Ok(Response::new(pb::LeaseLeasesResponse { header: Some(self.header(state.revision())), leases }))
    }
}

impl Wire {
    /// The header is from before the renewal: a lease seen alive at a revision has not been revoked at or below it.
    async fn keep_alive(&self, id: LeaseId) -> Result<pb::LeaseKeepAliveResponse, Status> {
        let header = Some(self.current_header());
        let ttl = self.shim.lease_keep_alive(id).await.map_err(errors::faulted)?;
        Ok(pb::LeaseKeepAliveResponse { header, id, ttl })
    }
}

/// A positive id nobody is likely to have.
pub(super) fn draw() -> LeaseId {
    rand::rng().random_range(1..=LeaseId::MAX)
}
