//! The Maintenance service.

use proto::{
    etcdserverpb as pb,
    etcdserverpb::{alarm_request::AlarmAction, downgrade_request::DowngradeAction, maintenance_server::Maintenance},
};
use tonic::{Request, Response, Status};

use super::{credentials::Credentials, errors, hash, wire::Wire};
use crate::{
    log::LogFault,
    model::{Fault, Key, Op, ReadAt},
    shim::Consistency,
    state::{CORRUPT, NO_SPACE, alarm_key},
};

/// The etcd whose API this is; kube-apiserver decides by it which features it may use.
pub const ETCD_VERSION: &str = "3.6.16";
const STORAGE_VERSION: &str = "3.6.0";
const CLUSTER_VERSION: &str = "3.6";

#[tonic::async_trait]
impl Maintenance for Wire {
    async fn alarm(&self, request: Request<pb::AlarmRequest>) -> Result<Response<pb::AlarmResponse>, Status> {
        match request.get_ref().action == AlarmAction::Get as i32 {
            true => self.require_user(&request).await?,
            false => self.require_admin(&request).await?,
        }
        let (credentials, request) = (Credentials::of(&request), request.into_inner());
        let kind = pb::AlarmType::try_from(request.alarm).unwrap_or(pb::AlarmType::None);
        let alarms = match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Get) => {
                let state = self.shim.read(Consistency::Linearizable).await.map_err(errors::faulted)?;
                let of_kind = |alarm: &pb::AlarmMember| kind == pb::AlarmType::None || alarm.alarm == kind as i32;
                raised(&state).into_iter().filter(of_kind).collect()
            }
            Ok(AlarmAction::Activate) => self.set_alarm(&credentials, kind, request.member_id, b"raised").await?,
            Ok(AlarmAction::Deactivate) => self.set_alarm(&credentials, kind, request.member_id, b"").await?,
            Err(_) => Vec::new(),
        };
        Ok(Response::new(pb::AlarmResponse { header: Some(self.current_header()), alarms }))
    }

    async fn status(&self, request: Request<pb::StatusRequest>) -> Result<Response<pb::StatusResponse>, Status> {
        self.require_user(&request).await?;
        let size = self.shim.size().await.map_err(log_failed)?;
        self.hear_of_members().await;
        let state = self.shim.snapshot();
        let header = self.header(state.revision());
        let mut errors: Vec<_> = raised(&state).iter().map(alarm_text).collect();
        let is_serving = self.shim.health().is_serving;
        if !is_serving {
            errors.push("etcdserver: no leader".to_owned());
        }
        let position = state.head().position.0;
        Ok(Response::new(pb::StatusResponse {
            version: ETCD_VERSION.to_owned(),
            db_size: size.total_bytes,
            leader: if is_serving { self.options.members.leader(self.options.member_id) } else { 0 },
            raft_index: position,
            raft_term: header.raft_term,
            raft_applied_index: position,
            errors,
            db_size_in_use: size.in_use_bytes,
            is_learner: false,
            storage_version: STORAGE_VERSION.to_owned(),
            db_size_quota: self.options.quota.shown(),
            downgrade_info: Some(pb::DowngradeInfo::default()),
            header: Some(header),
        }))
    }

    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        self.require_admin(&request).await?;
        self.shim.reclaim().await.map_err(log_failed)?;
        Ok(Response::new(pb::DefragmentResponse { header: None }))
    }

    /// etcd hashes its file. Here it is whatever the log says: equal on all shims that have read equally far.
    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        self.require_admin(&request).await?;
        let state = self.shim.read(Consistency::Linearizable).await.map_err(errors::faulted)?;
        let header = self.header(state.revision());
        let hashing = tokio::task::spawn_blocking(move || hash::of_all(&state));
        let hash = hashing.await.map_err(|_| errors::stopped())?.map_err(errors::refused)?;
        Ok(Response::new(pb::HashResponse { header: Some(header), hash }))
    }

    async fn hash_kv(&self, request: Request<pb::HashKvRequest>) -> Result<Response<pb::HashKvResponse>, Status> {
        self.require_admin(&request).await?;
        let revision = request.into_inner().revision;
        let state = self.shim.read(Consistency::Linearizable).await.map_err(errors::faulted)?;
        let header = self.header(state.revision());
        let at = if revision == 0 { ReadAt::Latest } else { ReadAt::Revision(revision) };
        let scrubbing = tokio::task::spawn_blocking(move || state.scrub(at).map(|scrub| (hash::of(&scrub), scrub)));
        let (hash, scrub) = scrubbing.await.map_err(|_| errors::stopped())?.map_err(errors::refused)?;
        Ok(Response::new(pb::HashKvResponse {
            header: Some(header),
            hash,
            compact_revision: scrub.compacted,
            hash_revision: scrub.revision,
        }))
    }

    type SnapshotStream = super::snapshot::Pieces;

    async fn snapshot(&self, request: Request<pb::SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        self.require_admin(&request).await?;
        Ok(Response::new(self.stream_snapshot().await?))
    }

    /// The leader is one by its id alone: nobody else can take that.
    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        self.require_admin(&request).await?;
        self.hear_of_members().await;
        if self.options.members.leader(self.options.member_id) != self.options.member_id {
            return Err(Status::failed_precondition("etcdserver: not leader"));
        }
        if request.into_inner().target_id != self.options.member_id {
            return Err(Status::failed_precondition("etcdserver: bad leader transferee"));
        }
        Ok(Response::new(pb::MoveLeaderResponse { header: None }))
    }

    /// The store is no etcd's, so no etcd version is one to go back to, and no downgrade is ever under way.
    async fn downgrade(
        &self,
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        self.require_admin(&request).await?;
        let request = request.into_inner();
        match DowngradeAction::try_from(request.action) {
            Ok(DowngradeAction::Validate | DowngradeAction::Enable) if is_version(&request.version) => {
                Err(Status::invalid_argument("etcdserver: invalid downgrade target version"))
            }
            Ok(DowngradeAction::Validate | DowngradeAction::Enable) => {
                Err(Status::invalid_argument("etcdserver: wrong downgrade target version format"))
            }
            Ok(DowngradeAction::Cancel) => {
                let (header, version) = (Some(self.current_header()), CLUSTER_VERSION.to_owned());
                Ok(Response::new(pb::DowngradeResponse { header, version }))
            }
            Err(_) => Err(Status::unknown("etcdserver: unknown method")),
        }
    }
}

impl Wire {
    /// Answers what changed, as etcd does.
    async fn set_alarm(
        &self,
        credentials: &Credentials,
        kind: pb::AlarmType,
        member: u64,
        value: &[u8],
    ) -> Result<Vec<pb::AlarmMember>, Status> {
        let kinds: Vec<_> = KINDS.iter().filter(|(of, _)| *of == kind).collect();
        let mut changed = Vec::new();
        for (kind, name) in kinds {
            let key = alarm_key(name, member);
            let before = self.shim.snapshot().record(&key).unwrap_or_default();
            self.write(credentials, Op::Record { key, value: Key::copy_from_slice(value) }).await?;
            if before != value {
                changed.push(pb::AlarmMember { member_id: member, alarm: *kind as i32 });
            }
        }
        Ok(changed)
    }
}

/// MAJOR.MINOR, perhaps with a patch level.
fn is_version(text: &str) -> bool {
    let parts: Vec<_> = text.trim_start_matches('v').split('.').collect();
    matches!(parts.len(), 2 | 3) && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

const KINDS: [(pb::AlarmType, &str); 2] = [(pb::AlarmType::Nospace, NO_SPACE), (pb::AlarmType::Corrupt, CORRUPT)];

fn raised(state: &crate::state::State) -> Vec<pb::AlarmMember> {
    let alarms = state.alarms().into_iter();
    let known = alarms.filter_map(|(name, member_id)| {
        let (kind, _) = KINDS.iter().find(|(_, of)| *of == name)?;
        Some(pb::AlarmMember { member_id, alarm: *kind as i32 })
    });
    known.collect()
}

fn alarm_text(alarm: &pb::AlarmMember) -> String {
    let kind = pb::AlarmType::try_from(alarm.alarm).unwrap_or(pb::AlarmType::None);
    format!("memberID:{} alarm:{} ", alarm.member_id, kind.as_str_name())
}

fn log_failed(fault: LogFault) -> Status {
    errors::faulted(Fault::NotApplied(fault.to_string()))
}
