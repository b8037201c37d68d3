//! Where two answers to one step differ. Messages are compared field by field, once masked: who answered (cluster,
//! member, term), sizes, tokens, and what the clock says of leases.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use prost::Message;
use proto::{
    etcdserverpb as pb,
    etcdserverpb::{range_request::SortTarget, request_op::Request, response_op::Response},
    health, v3electionpb, v3lockpb,
};
use tonic::Code;

use super::{
    recording::{Kind, Outcome, Step},
    stream::View,
};

/// Remembers what has to be compared later: the contents of watch streams up to their next drain.
#[derive(Default)]
pub struct Comparison {
    streams: BTreeMap<u32, [View; 2]>,
}

impl Comparison {
    /// `now` is the newest revision there is. The error says what differs.
    pub fn compare(&mut self, step: &Step, expected: &Outcome, actual: &Outcome, now: i64) -> Result<()> {
        ensure!(expected.code == actual.code, "expected {}, got {}", status(step, expected), status(step, actual));
        // What a library says of bytes that it cannot read is its own.
        let is_unreadable = expected.text.contains("unmarshal");
        ensure!(
            is_unreadable || expected.text == actual.text,
            "expected {}, got {}",
            status(step, expected),
            status(step, actual)
        );
        match step.kind() {
            Kind::Unary | Kind::First | Kind::UntilLeaseGone => {
                ensure!(expected.responses.len() == actual.responses.len(), "another number of responses");
                for (expected, actual) in expected.responses.iter().zip(&actual.responses) {
                    let [expected, actual] = [untied(step, expected)?, untied(step, actual)?];
                    same(&shown(&step.path, &expected)?, &shown(&step.path, &actual)?)?;
                }
            }
            Kind::WatchAnswered | Kind::WatchUnanswered => self.take(step, expected, actual, now)?,
            Kind::WatchDrain => {
                self.take(step, expected, actual, now)?;
                let [expected, actual] = self.streams.entry(step.stream).or_default();
                same(&expected.drain(), &actual.drain())?;
            }
            Kind::WatchClose => drop(self.streams.remove(&step.stream)),
        }
        Ok(())
    }

    fn take(&mut self, step: &Step, expected: &Outcome, actual: &Outcome, now: i64) -> Result<()> {
        let views = self.streams.entry(step.stream).or_default();
        views[0].take(&expected.responses, now).context("in what was expected")?;
        views[1].take(&actual.responses, now)
    }
}

/// An answer without what an etcd leaves to chance: the order of the equal in a sorted range.
fn untied(step: &Step, response: &Bytes) -> Result<Bytes> {
    Ok(match step.path.as_str() {
        RANGE => {
            let mut answer = pb::RangeResponse::decode(response.clone())?;
            untie_range(&pb::RangeRequest::decode(step.body.clone())?, &mut answer);
            answer.encode_to_vec().into()
        }
        TXN => {
            let mut answer = pb::TxnResponse::decode(response.clone())?;
            untie_txn(&pb::TxnRequest::decode(step.body.clone())?, &mut answer);
            answer.encode_to_vec().into()
        }
        _ => response.clone(),
    })
}

/// So few are sorted by insertion, which keeps their order (Go's `sort.Sort`).
const STABLE_MAX: i64 = 12;

fn untie_range(request: &pb::RangeRequest, answer: &mut pb::RangeResponse) {
    if request.sort_target == SortTarget::Key as i32 || answer.count <= STABLE_MAX {
        return;
    }
    match answer.more {
        // Which of the equal are beyond the limit is left to chance as well.
        true => answer.kvs.fill(Default::default()),
        false => answer.kvs.sort_by(|a, b| a.key.cmp(&b.key)),
    }
}

fn untie_txn(request: &pb::TxnRequest, answer: &mut pb::TxnResponse) {
    let asked = if answer.succeeded { &request.success } else { &request.failure };
    for (asked, answered) in asked.iter().zip(&mut answer.responses) {
        match (&asked.request, &mut answered.response) {
            (Some(Request::RequestRange(asked)), Some(Response::ResponseRange(answer))) => untie_range(asked, answer),
            (Some(Request::RequestTxn(asked)), Some(Response::ResponseTxn(answer))) => untie_txn(asked, answer),
            _ => {}
        }
    }
}

fn status(step: &Step, outcome: &Outcome) -> String {
    match outcome.responses.first() {
        Some(response) => shown(&step.path, response).unwrap_or_else(|error| format!("{error:#}")),
        None => format!("{:?} {:?}", Code::from(outcome.code), outcome.text),
    }
}

/// The lines that differ, with the number of equal ones before.
fn same(expected: &str, actual: &str) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    let (a, b): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let ahead = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let behind = a[ahead..].iter().rev().zip(b[ahead..].iter().rev()).take_while(|(a, b)| a == b).count();
    let part = |lines: &[&str]| lines[ahead..lines.len() - behind].join("\n");
    let context = a[ahead.saturating_sub(3)..ahead].join("\n");
    bail!("after {ahead} equal lines:\n{context}\nexpected:\n{}\ngot:\n{}", part(&a), part(&b))
}

/// A response as text, masked; a request where nothing else is known of the method.
pub fn shown(path: &str, response: &Bytes) -> Result<String> {
    let row = METHODS.iter().find(|(known, ..)| *known == path);
    let (.., show) = row.with_context(|| format!("{path} is not in the table of methods"))?;
    show(response.clone())
}

/// A request as text.
pub fn asked(step: &Step) -> String {
    let row = METHODS.iter().find(|(known, ..)| *known == step.path);
    let text =
        row.map(|(_, ask, _)| ask(step.body.clone()).unwrap_or_else(|error| format!("{:?}: {error:#}", step.body)));
    let user = if step.user.is_empty() { String::new() } else { format!(" as {}", step.user) };
    format!("{:?} {}{user} stream {} {}", step.kind(), step.path, step.stream, text.unwrap_or_default())
}

type Show = fn(Bytes) -> Result<String>;

/// A method, how its requests are shown, and how its masked responses are.
type Method = (&'static str, Show, Show);

macro_rules! methods {
    ($($path:tt: $request:ty => $response:ty $(, $mask:expr)?;)*) => {
        &[$(($path, text::<$request>, |bytes| {
            let mut message = <$response>::decode(bytes)?;
            message.header.iter_mut().for_each(mask_header);
            $(let mask: fn(&mut $response) = $mask; mask(&mut message);)?
            Ok(format!("{message:#?}"))
        }),)*
        (HEALTH, text::<health::HealthCheckRequest>, text::<health::HealthCheckResponse>)]
    };
}

const RANGE: &str = "/etcdserverpb.KV/Range";
const TXN: &str = "/etcdserverpb.KV/Txn";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// All that can be compared.
pub const METHODS: &[Method] = methods! {
    RANGE: pb::RangeRequest => pb::RangeResponse;
    "/etcdserverpb.KV/Put": pb::PutRequest => pb::PutResponse;
    "/etcdserverpb.KV/DeleteRange": pb::DeleteRangeRequest => pb::DeleteRangeResponse;
    TXN: pb::TxnRequest => pb::TxnResponse;
    "/etcdserverpb.KV/Compact": pb::CompactionRequest => pb::CompactionResponse;
    "/etcdserverpb.Watch/Watch": pb::WatchRequest => pb::WatchResponse;
    "/etcdserverpb.Lease/LeaseGrant": pb::LeaseGrantRequest => pb::LeaseGrantResponse;
    "/etcdserverpb.Lease/LeaseRevoke": pb::LeaseRevokeRequest => pb::LeaseRevokeResponse;
    "/etcdserverpb.Lease/LeaseKeepAlive": pb::LeaseKeepAliveRequest => pb::LeaseKeepAliveResponse;
    "/etcdserverpb.Lease/LeaseTimeToLive": pb::LeaseTimeToLiveRequest => pb::LeaseTimeToLiveResponse, mask_time_to_live;
    "/etcdserverpb.Lease/LeaseLeases": pb::LeaseLeasesRequest => pb::LeaseLeasesResponse;
    "/etcdserverpb.Cluster/MemberList": pb::MemberListRequest => pb::MemberListResponse, mask_members;
    "/etcdserverpb.Maintenance/Alarm": pb::AlarmRequest => pb::AlarmResponse, mask_alarms;
    "/etcdserverpb.Maintenance/Status": pb::StatusRequest => pb::StatusResponse, mask_status;
    "/etcdserverpb.Maintenance/Defragment": pb::DefragmentRequest => pb::DefragmentResponse;
    "/etcdserverpb.Maintenance/Hash": pb::HashRequest => pb::HashResponse, |hash| hash.hash = 0;
    "/etcdserverpb.Maintenance/HashKV": pb::HashKvRequest => pb::HashKvResponse;
    "/etcdserverpb.Maintenance/MoveLeader": pb::MoveLeaderRequest => pb::MoveLeaderResponse;
    "/etcdserverpb.Maintenance/Downgrade": pb::DowngradeRequest => pb::DowngradeResponse;
    "/etcdserverpb.Auth/AuthEnable": pb::AuthEnableRequest => pb::AuthEnableResponse;
    "/etcdserverpb.Auth/AuthDisable": pb::AuthDisableRequest => pb::AuthDisableResponse;
    "/etcdserverpb.Auth/AuthStatus": pb::AuthStatusRequest => pb::AuthStatusResponse;
    "/etcdserverpb.Auth/Authenticate": pb::AuthenticateRequest => pb::AuthenticateResponse, mask_token;
    "/etcdserverpb.Auth/UserAdd": pb::AuthUserAddRequest => pb::AuthUserAddResponse;
    "/etcdserverpb.Auth/UserGet": pb::AuthUserGetRequest => pb::AuthUserGetResponse;
    "/etcdserverpb.Auth/UserList": pb::AuthUserListRequest => pb::AuthUserListResponse;
    "/etcdserverpb.Auth/UserDelete": pb::AuthUserDeleteRequest => pb::AuthUserDeleteResponse;
    "/etcdserverpb.Auth/UserChangePassword": pb::AuthUserChangePasswordRequest => pb::AuthUserChangePasswordResponse;
    "/etcdserverpb.Auth/UserGrantRole": pb::AuthUserGrantRoleRequest => pb::AuthUserGrantRoleResponse;
    "/etcdserverpb.Auth/UserRevokeRole": pb::AuthUserRevokeRoleRequest => pb::AuthUserRevokeRoleResponse;
    "/etcdserverpb.Auth/RoleAdd": pb::AuthRoleAddRequest => pb::AuthRoleAddResponse;
    "/etcdserverpb.Auth/RoleGet": pb::AuthRoleGetRequest => pb::AuthRoleGetResponse;
    "/etcdserverpb.Auth/RoleList": pb::AuthRoleListRequest => pb::AuthRoleListResponse;
    "/etcdserverpb.Auth/RoleDelete": pb::AuthRoleDeleteRequest => pb::AuthRoleDeleteResponse;
    "/etcdserverpb.Auth/RoleGrantPermission": pb::AuthRoleGrantPermissionRequest => pb::AuthRoleGrantPermissionResponse;
    "/etcdserverpb.Auth/RoleRevokePermission": pb::AuthRoleRevokePermissionRequest => pb::AuthRoleRevokePermissionResponse;
    "/v3lockpb.Lock/Lock": v3lockpb::LockRequest => v3lockpb::LockResponse;
    "/v3lockpb.Lock/Unlock": v3lockpb::UnlockRequest => v3lockpb::UnlockResponse;
    "/v3electionpb.Election/Campaign": v3electionpb::CampaignRequest => v3electionpb::CampaignResponse;
    "/v3electionpb.Election/Proclaim": v3electionpb::ProclaimRequest => v3electionpb::ProclaimResponse;
    "/v3electionpb.Election/Leader": v3electionpb::LeaderRequest => v3electionpb::LeaderResponse;
    "/v3electionpb.Election/Observe": v3electionpb::LeaderRequest => v3electionpb::LeaderResponse;
    "/v3electionpb.Election/Resign": v3electionpb::ResignRequest => v3electionpb::ResignResponse;
};

fn text<M: Message + Default + std::fmt::Debug>(bytes: Bytes) -> Result<String> {
    Ok(format!("{:?}", M::decode(bytes)?))
}

/// Whether there is one stays visible: headers inside a Txn have none of these.
fn mask_header(header: &mut pb::ResponseHeader) {
    header.cluster_id = header.cluster_id.min(1);
    header.member_id = header.member_id.min(1);
    header.raft_term = header.raft_term.min(1);
}

fn mask_time_to_live(lease: &mut pb::LeaseTimeToLiveResponse) {
    // How long a sequence takes says nothing. TTLs in it are long, but for one of two seconds.
    let elapsed = lease.granted_ttl - lease.ttl;
    if lease.ttl > 0 && (0..=lease.granted_ttl / 2).contains(&elapsed) {
        lease.ttl = lease.granted_ttl;
    }
    // An etcd keeps them in a hash map.
    lease.keys.sort();
}

fn mask_members(list: &mut pb::MemberListResponse) {
    for member in &mut list.members {
        member.id = member.id.min(1);
        member.peer_ur_ls.clear();
        member.client_ur_ls.truncate(1);
        member.client_ur_ls.iter_mut().for_each(|url| *url = "URL".to_owned());
    }
}

fn mask_alarms(response: &mut pb::AlarmResponse) {
    response.alarms.iter_mut().for_each(|alarm| alarm.member_id = alarm.member_id.min(1));
}

fn mask_status(status: &mut pb::StatusResponse) {
    status.leader = status.leader.min(1);
    status.raft_term = status.raft_term.min(1);
    // An etcd without the flag has a quota.
    status.db_size_quota = 0;
    for size in [&mut status.db_size, &mut status.db_size_in_use] {
        *size = (*size).clamp(0, 1);
    }
    for index in [&mut status.raft_index, &mut status.raft_applied_index] {
        *index = (*index).min(1);
    }
}

fn mask_token(response: &mut pb::AuthenticateResponse) {
    response.token = if response.token.is_empty() { "" } else { "token" }.to_owned();
}
