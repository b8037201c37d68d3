//! What every service has at hand: the shim, the options, and the answers that they share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{Stream, StreamExt};
use proto::etcdserverpb as pb;
use tonic::{Request, Status};

use super::{errors, quota::Quota};
use crate::{
    auth::{
        password::{COST_DEFAULT, Passwords},
        token::Tokens,
    },
    log::{Member, Peer},
    members::Members,
    model::{Key, Op, Refusal, Revision},
    shim::Shim,
    state::{NO_SPACE, alarm_key},
};

#[derive(Clone, Debug)]
pub struct GrpcOptions {
    /// The same for all shims of one store.
    pub cluster_id: u64,
    pub member_id: u64,
    pub name: String,
    /// Where clients reach this shim; MemberList tells them.
    pub advertise_client_urls: Vec<String>,
    /// Operations of one Txn.
    pub max_txn_ops: usize,
    pub max_request_bytes: usize,
    pub quota: Quota,
    /// The other shims of this store.
    pub members: Members,
    /// How they reach this one.
    pub peer: Option<Peer>,
    pub tokens: Arc<Tokens>,
    pub bcrypt_cost: u32,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            cluster_id: 0x6b69_6e65_7368_696d,
            member_id: 1,
            name: "default".to_owned(),
            advertise_client_urls: Vec::new(),
            max_txn_ops: 128,
            max_request_bytes: 3 << 19,
            quota: Quota::default(),
            members: Members::default(),
            peer: None,
            tokens: Arc::default(),
            bcrypt_cost: COST_DEFAULT,
        }
    }
}

impl GrpcOptions {
    /// This shim, as the others know it.
    pub fn own_member(&self) -> Member {
        Member {
            id: self.member_id,
            name: self.name.clone(),
            client_urls: self.advertise_client_urls.clone(),
            peer: self.peer.clone(),
        }
    }
}

/// One value is every service.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) shim: Shim,
    pub(super) options: Arc<GrpcOptions>,
    pub(super) passwords: Passwords,
}

impl Wire {
    pub(super) fn header(&self, revision: Revision) -> pb::ResponseHeader {
        pb::ResponseHeader {
            cluster_id: self.options.cluster_id,
            member_id: self.options.member_id,
            revision,
            // What a term is to etcd an incarnation is here: it rises when the store changed hands.
            raft_term: self.shim.incarnation() + 1,
        }
    }

    pub(super) fn current_header(&self) -> pb::ResponseHeader {
        self.header(self.shim.snapshot().revision())
    }

    /// Whether the client says `hasleader`: it wants to be turned away where nothing can be written or confirmed.
    pub(super) fn requires_leader<M>(&self, request: &Request<M>) -> Result<bool, Status> {
        let requires = request.metadata().get("hasleader").is_some_and(|value| value == "true");
        if requires && !self.shim.is_serving() { Err(errors::no_leader()) } else { Ok(requires) }
    }

    /// The stream of such a client also ends when that comes to be so: it is to go on elsewhere.
    pub(super) fn while_led<T, S>(
        &self,
        requires_leader: bool,
        stream: S,
    ) -> impl Stream<Item = Result<T, Status>> + Send + use<T, S>
    where
        T: Send,
        S: Stream<Item = Result<T, Status>> + Send,
    {
        let (shim, is_lost) = (self.shim.clone(), Arc::new(AtomicBool::new(false)));
        let lost = is_lost.clone();
        let loss = async move {
            if !requires_leader {
                std::future::pending::<()>().await;
            }
            shim.stops_serving().await;
            lost.store(true, Ordering::Relaxed);
        };
        let end = async move { is_lost.load(Ordering::Relaxed).then(|| Err(errors::no_leader())) };
        stream.take_until(Box::pin(loss)).chain(futures::stream::once(end).filter_map(std::future::ready))
    }

    /// Before anything else about the request is looked at, as in etcd.
    pub(super) async fn check_quota(&self, cost: usize) -> Result<(), Status> {
        if self.options.quota.takes(cost) {
            return Ok(());
        }
        let key = alarm_key(NO_SPACE, self.options.member_id);
        if self.shim.snapshot().record(&key).is_none() {
            tracing::warn!(quota_bytes = self.options.quota.shown(), "the quota is reached: raising the alarm NOSPACE");
            // Not raised now, it will be by the next request that finds no room: this one is refused in any case.
            let _ = self.shim.write(Op::Record { key, value: Key::from_static(b"raised") }).await;
        }
        Err(errors::refused(Refusal::NoSpace))
    }
}
