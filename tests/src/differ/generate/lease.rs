//! Leases. Those that live have TTLs far apart and far away, so that neither their order nor their end depends on how
//! fast this runs.

use proto::etcdserverpb as pb;

use super::{Generator, kv};
use crate::differ::recording::{Kind, Step};

pub(super) const GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
pub(super) const REVOKE: &str = "/etcdserverpb.Lease/LeaseRevoke";
const KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";
const TIME_TO_LIVE: &str = "/etcdserverpb.Lease/LeaseTimeToLive";
const LEASES: &str = "/etcdserverpb.Lease/LeaseLeases";

const IDS: [i64; 8] = [1, 2, 3, 7, 0x1234_5678_9abc, i64::MAX, -7, i64::MIN];

pub(super) fn grant(g: &mut Generator) {
    grant_as(g, "");
}

fn grant_as(g: &mut Generator, user: &str) {
    let id = g.of(&IDS);
    let ttl = match g.rarely(10) {
        true => g.of(&[9_000_000_000, 9_000_000_001, i64::MAX, 1 << 33]),
        false => g.of(&[100_000, 200_000, 300_000, 400_000]),
    };
    g.unary_as(user, GRANT, pb::LeaseGrantRequest { ttl, id });
}

/// Raised to the minimum, and gone before it can expire.
pub(super) fn grant_short(g: &mut Generator) {
    let id = 99;
    let ttl = g.of(&[i64::MIN, -1, 0, 1, 2, 3]);
    g.unary(GRANT, pb::LeaseGrantRequest { ttl, id });
    g.unary(REVOKE, pb::LeaseRevokeRequest { id });
}

pub(super) fn revoke(g: &mut Generator) {
    revoke_as(g, "");
}

fn revoke_as(g: &mut Generator, user: &str) {
    let id = id(g);
    g.unary_as(user, REVOKE, pb::LeaseRevokeRequest { id });
}

pub(super) fn keep_alive(g: &mut Generator) {
    keep_alive_as(g, "");
}

fn keep_alive_as(g: &mut Generator, user: &str) {
    let id = id(g);
    g.first_as(user, KEEP_ALIVE, pb::LeaseKeepAliveRequest { id });
}

pub(super) fn time_to_live(g: &mut Generator) {
    time_to_live_as(g, "");
}

fn time_to_live_as(g: &mut Generator, user: &str) {
    let id = id(g);
    let keys = g.rarely(2);
    g.unary_as(user, TIME_TO_LIVE, pb::LeaseTimeToLiveRequest { id, keys });
}

pub(super) fn list(g: &mut Generator) {
    list_as(g, "");
}

fn list_as(g: &mut Generator, user: &str) {
    g.unary_as(user, LEASES, pb::LeaseLeasesRequest {});
}

pub(super) fn any_as(g: &mut Generator, user: &str) {
    g.of::<fn(&mut Generator, &str)>(&[grant_as, grant_as, revoke_as, keep_alive_as, time_to_live_as, list_as])(
        g, user,
    );
}

/// A lease that ends by itself: its keys go in one revision.
pub(super) fn expire(g: &mut Generator) {
    let id = 98;
    g.unary(GRANT, pb::LeaseGrantRequest { ttl: 2, id });
    for _ in 0..g.of(&[0, 1, 2, 4]) {
        let put = pb::PutRequest { lease: id, ..kv::put_request(g) };
        g.unary(kv::PUT, put);
    }
    g.unary(TIME_TO_LIVE, pb::LeaseTimeToLiveRequest { id, keys: true });
    let body = prost::Message::encode_to_vec(&pb::LeaseTimeToLiveRequest { id, keys: true }).into();
    let gone = Step { kind: Kind::UntilLeaseGone.into(), path: TIME_TO_LIVE.to_owned(), body, ..Step::default() };
    g.queue.push_back(gone);
    g.first_as("", KEEP_ALIVE, pb::LeaseKeepAliveRequest { id });
    let all = pb::RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() };
    g.unary(kv::RANGE, all);
}

fn id(g: &mut Generator) -> i64 {
    if g.rarely(3) { g.of(&IDS) } else { g.lease() }
}
