//! What operators and dashboards ask, locks and elections where nobody else waits, and bytes that are no request.

use proto::{etcdserverpb as pb, health, v3electionpb, v3lockpb};
use rand::RngExt;

use super::Generator;
use crate::differ::{compare::METHODS, recording::Step};

pub(super) fn hash_kv(g: &mut Generator) {
    hash_kv_as(g, "");
}

fn hash_kv_as(g: &mut Generator, user: &str) {
    let revision = if g.rarely(2) { 0 } else { g.old_revision() };
    // Where it compacted, an etcd answers, for a while, what it found then, counted from the compaction before.
    let is_known = |revision: &i64| !g.compactions.contains(revision);
    let Some(revision) = [revision, 0, g.revision].into_iter().find(is_known) else { return };
    g.unary_as(user, "/etcdserverpb.Maintenance/HashKV", pb::HashKvRequest { revision });
}

pub(super) fn any(g: &mut Generator) {
    any_as(g, "");
}

pub(super) fn any_as(g: &mut Generator, user: &str) {
    match g.rng.random_range(0..10) {
        0..3 => hash_kv_as(g, user),
        3 => g.unary_as(user, "/etcdserverpb.Maintenance/Status", pb::StatusRequest {}),
        4 => {
            let linearizable = g.rarely(2);
            g.unary_as(user, "/etcdserverpb.Cluster/MemberList", pb::MemberListRequest { linearizable });
        }
        5 => {
            let alarm = g.of(&[0, 1, 2, 9]);
            g.unary_as(user, "/etcdserverpb.Maintenance/Alarm", pb::AlarmRequest { action: 0, member_id: 0, alarm });
        }
        6 => {
            let service = g.of(&["", "etcdserverpb.Health", "nobody"]).to_owned();
            g.unary_as(user, "/grpc.health.v1.Health/Check", health::HealthCheckRequest { service });
        }
        7 => g.unary_as(user, "/etcdserverpb.Maintenance/Defragment", pb::DefragmentRequest {}),
        8 => g.unary_as(user, "/etcdserverpb.Maintenance/Hash", pb::HashRequest {}),
        _ => g.unary_as(user, "/etcdserverpb.Auth/AuthStatus", pb::AuthStatusRequest {}),
    }
}

/// With leases of the client, since the server's own are drawn.
pub(super) fn turns(g: &mut Generator) {
    let lease = 55;
    g.unary(super::lease::GRANT, pb::LeaseGrantRequest { ttl: 500_000, id: lease });
    let name = g.of(&["l", "m", "m/n", "a\0"]).as_bytes();
    let key: bytes::Bytes = [name, b"/37"].concat().into();
    if g.rarely(2) {
        g.unary("/v3lockpb.Lock/Lock", v3lockpb::LockRequest { name: name.into(), lease });
        if g.rarely(4) {
            g.unary("/v3lockpb.Lock/Lock", v3lockpb::LockRequest { name: name.into(), lease });
        }
        g.unary("/v3lockpb.Lock/Unlock", v3lockpb::UnlockRequest { key: key.clone() });
        g.unary("/v3lockpb.Lock/Unlock", v3lockpb::UnlockRequest { key });
    } else {
        let rev = if g.rarely(2) { g.revision + 1 } else { g.old_revision() };
        let leader = Some(v3electionpb::LeaderKey { name: name.into(), key, rev, lease });
        let leader = if g.rarely(8) { None } else { leader };
        let value = g.value();
        g.unary("/v3electionpb.Election/Campaign", v3electionpb::CampaignRequest { name: name.into(), lease, value });
        g.unary("/v3electionpb.Election/Leader", v3electionpb::LeaderRequest { name: name.into() });
        let value = g.value();
        g.unary("/v3electionpb.Election/Proclaim", v3electionpb::ProclaimRequest { leader: leader.clone(), value });
        g.unary("/v3electionpb.Election/Leader", v3electionpb::LeaderRequest { name: name.into() });
        g.unary("/v3electionpb.Election/Resign", v3electionpb::ResignRequest { leader });
        g.unary("/v3electionpb.Election/Leader", v3electionpb::LeaderRequest { name: name.into() });
    }
    g.unary(super::lease::REVOKE, pb::LeaseRevokeRequest { id: lease });
}

/// Bytes that no message begins with.
pub(super) fn unreadable(g: &mut Generator) {
    let unary: Vec<_> = METHODS.iter().map(|(path, ..)| *path).filter(|path| !is_streaming(path)).collect();
    let path = g.of(&unary).to_owned();
    let body = g.of(&[b"\x0a\xff".as_slice(), b"\xff\xff\xff", b"\x0b"]);
    g.queue.push_back(Step { path, body: body.into(), ..Step::default() });
}

fn is_streaming(path: &str) -> bool {
    path.ends_with("/Watch") || path.ends_with("/LeaseKeepAlive") || path.ends_with("/Observe")
}
