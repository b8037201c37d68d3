//! The Cluster service: shims are equal and no consensus is between them, so each answers for itself.

use proto::etcdserverpb as pb;
use proto::etcdserverpb::cluster_server::Cluster;
use tonic::{Request, Response, Status};

use super::Wire;

#[tonic::async_trait]
impl Cluster for Wire {
    /// clientv3's Sync dials what stands here: the URLs must be those that clients reach.
    async fn member_list(&self, _: Request<pb::MemberListRequest>) -> Result<Response<pb::MemberListResponse>, Status> {
        let member = pb::Member {
            id: self.options.member_id,
            name: self.options.name.clone(),
            peer_ur_ls: Vec::new(),
            client_ur_ls: self.options.advertise_client_urls.clone(),
            is_learner: false,
        };
        Ok(Response::new(pb::MemberListResponse { header: Some(self.current_header()), members: vec![member] }))
    }

    async fn member_add(&self, _: Request<pb::MemberAddRequest>) -> Result<Response<pb::MemberAddResponse>, Status> {
        Err(no_members())
    }

    async fn member_remove(
        &self,
        _: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        Err(no_members())
    }

    async fn member_update(
        &self,
        _: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        Err(no_members())
    }

    async fn member_promote(
        &self,
        _: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        Err(no_members())
    }
}

fn no_members() -> Status {
    Status::unimplemented("kine-shim: there is no membership to change; start or stop a shim on the same database")
}
