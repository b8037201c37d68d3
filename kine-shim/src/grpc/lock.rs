//! v3lockpb.Lock: a lock is the oldest key below its name.

use proto::{v3lockpb as pb, v3lockpb::lock_server::Lock};
use tonic::{Request, Response, Status};

use super::{
    credentials::Credentials,
    errors::{self, Invalid},
    kv::unexpected,
    queue::Waiter,
    requests,
    wire::Wire,
};
use crate::model::{Op, Reply};

#[tonic::async_trait]
impl Lock for Wire {
    /// Dropped (the client gave up), the future leaves the queue.
    async fn lock(&self, request: Request<pb::LockRequest>) -> Result<Response<pb::LockResponse>, Status> {
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let (waiter, _) = Waiter::join(self, &credentials, &request.name, request.lease, bytes::Bytes::new()).await?;
        let revision = waiter.acquire().await?.ok_or_else(|| Status::unknown("mutex: session is expired"))?;
        let (key, _, _) = waiter.keep();
        Ok(Response::new(pb::LockResponse { header: Some(self.header(revision)), key }))
    }

    async fn unlock(&self, request: Request<pb::UnlockRequest>) -> Result<Response<pb::UnlockResponse>, Status> {
        let (credentials, key) = (Credentials::of(&request), request.into_inner().key);
        if key.is_empty() {
            return Err(errors::through_client(Invalid::EmptyKey.into()));
        }
        let delete = proto::etcdserverpb::DeleteRangeRequest { key, ..Default::default() };
        let deleted = self.write(&credentials, Op::DeleteRange(requests::delete_range(delete))).await;
        match deleted.map_err(errors::through_client)? {
            (_, Reply::DeleteRange(reply)) => {
                Ok(Response::new(pb::UnlockResponse { header: Some(self.header(reply.revision)) }))
            }
            _ => Err(unexpected()),
        }
    }
}
