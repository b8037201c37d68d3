//! The Cluster service. Members are the shims that are alive; they come and go by being started and stopped, so there
//! is nothing to reconfigure. The refusals are etcd's where etcd would refuse the same.

use std::time::Duration;

use proto::{etcdserverpb as pb, etcdserverpb::cluster_server::Cluster};
use tonic::{Code, Request, Response, Status};

use super::{errors, wire::Wire};
use crate::{log::Member, shim::Consistency};

const HEARD_WITHIN: Duration = Duration::from_secs(1);

#[tonic::async_trait]
impl Cluster for Wire {
    /// clientv3's Sync dials what stands here: the URLs must be those that clients reach.
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        let is_linearizable = request.get_ref().linearizable;
        if is_linearizable {
            self.shim.read(Consistency::Linearizable).await.map_err(errors::faulted)?;
        }
        self.hear_of_members().await;
        self.require_user(&request).await?;
        let wire = |member: Member| pb::Member {
            id: member.id,
            name: member.name,
            // Nothing runs between shims.
            peer_ur_ls: Vec::new(),
            client_ur_ls: member.client_urls,
            is_learner: false,
        };
        let members = self.members().into_iter().map(wire).collect();
        // etcd's membership has no revision.
        Ok(Response::new(pb::MemberListResponse { header: Some(self.header(0)), members }))
    }

    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        check_peer_urls(&request.get_ref().peer_ur_ls)?;
        self.require_admin(&request).await?;
        Err(by_starting())
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        self.require_admin(&request).await?;
        self.check_member(request.into_inner().id)?;
        // What etcd says when asked to remove the member it needs: every shim serves until it is stopped.
        Err(Status::new(Code::Unknown, "etcdserver: re-configuration failed due to not enough started members"))
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        self.require_admin(&request).await?;
        let request = request.into_inner();
        check_peer_urls(&request.peer_ur_ls)?;
        self.check_member(request.id)?;
        Err(by_starting())
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        self.require_admin(&request).await?;
        self.check_member(request.into_inner().id)?;
        Err(Status::failed_precondition("etcdserver: can only promote a learner member"))
    }
}

impl Wire {
    /// Between two beats too: whoever asks sees the shims that are there now, or, when the database is silent, were
    /// there last.
    pub(super) async fn hear_of_members(&self) {
        let own = self.options.own_member();
        let _ = tokio::time::timeout(HEARD_WITHIN, self.options.members.hear(&self.shim, &own)).await;
    }

    /// This one always, the others as they are known.
    fn members(&self) -> Vec<Member> {
        let mut members: Vec<Member> = self.options.members.known().to_vec();
        if !members.iter().any(|member| member.id == self.options.member_id) {
            members.push(self.options.own_member());
        }
        members
    }

    fn check_member(&self, id: u64) -> Result<(), Status> {
        let is_known = self.members().iter().any(|member| member.id == id);
        if is_known { Ok(()) } else { Err(Status::not_found("etcdserver: member not found")) }
    }
}

fn check_peer_urls(urls: &[String]) -> Result<(), Status> {
    let is_good = |url: &String| {
        let uri = url.parse::<http::Uri>().ok();
        uri.is_some_and(|uri| {
            let has_scheme = matches!(uri.scheme_str(), Some("http" | "https" | "unix" | "unixs"));
            has_scheme && uri.port().is_some() && matches!(uri.path(), "" | "/")
        })
    };
    if !urls.is_empty() && urls.iter().all(is_good) {
        return Ok(());
    }
    Err(Status::invalid_argument("etcdserver: given member URLs are invalid"))
}

fn by_starting() -> Status {
    Status::unimplemented("kine-shim: there is no membership to change; start or stop a shim on the same database")
}
