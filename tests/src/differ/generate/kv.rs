//! Range, Put, DeleteRange, Compact: every option, contradicting ones included.

use proto::etcdserverpb as pb;
use rand::RngExt;

use super::Generator;

pub(super) const RANGE: &str = "/etcdserverpb.KV/Range";
pub(super) const PUT: &str = "/etcdserverpb.KV/Put";
pub(super) const DELETE_RANGE: &str = "/etcdserverpb.KV/DeleteRange";
pub(super) const COMPACT: &str = "/etcdserverpb.KV/Compact";

pub(super) fn range(g: &mut Generator) {
    let request = range_request(g);
    g.unary(RANGE, request);
}

pub(super) fn put(g: &mut Generator) {
    let request = put_request(g);
    g.unary(PUT, request);
}

pub(super) fn delete_range(g: &mut Generator) {
    let request = delete_request(g);
    g.unary(DELETE_RANGE, request);
}

pub(super) fn compact(g: &mut Generator) {
    let revision = match g.rng.random_range(0..4) {
        0 => g.old_revision(),
        1 => g.revision,
        _ => g.rng.random_range(g.compacted..=g.revision.max(g.compacted)),
    };
    let physical = g.rarely(2);
    g.unary(COMPACT, pb::CompactionRequest { revision, physical });
}

pub(super) fn range_request(g: &mut Generator) -> pb::RangeRequest {
    let (key, range_end) = g.key_range();
    let mut request = pb::RangeRequest { key, range_end, ..Default::default() };
    if g.rarely(3) {
        request.revision = g.old_revision();
    }
    if g.rarely(2) {
        request.limit = g.of(&[1, 1, 2, 3, 5, 100, -1, i64::MAX]);
    }
    if g.rarely(2) {
        request.sort_order = g.of(&[0, 1, 2, 2]);
        request.sort_target = g.of(&[0, 1, 2, 3, 4]);
    }
    if g.rarely(200) {
        request.sort_order = g.of(&[-1, 3, 99]);
    }
    if g.rarely(200) {
        request.sort_target = g.of(&[-1, 5, 99]);
    }
    for bound in [
        &mut request.min_mod_revision,
        &mut request.max_mod_revision,
        &mut request.min_create_revision,
        &mut request.max_create_revision,
    ] {
        if g.rarely(12) {
            *bound = g.old_revision();
        }
    }
    request.keys_only = g.rarely(6);
    request.count_only = g.rarely(8);
    request.serializable = g.rarely(4);
    request
}

pub(super) fn put_request(g: &mut Generator) -> pb::PutRequest {
    let lease = if g.rarely(5) { g.lease() } else { 0 };
    let mut request =
        pb::PutRequest { key: g.key(), value: g.value(), lease, prev_kv: g.rarely(3), ..Default::default() };
    if g.rarely(12) {
        request.ignore_value = true;
        if !g.rarely(4) {
            request.value.clear();
        }
    }
    if g.rarely(12) {
        request.ignore_lease = true;
        if !g.rarely(4) {
            request.lease = 0;
        }
    }
    request
}

pub(super) fn delete_request(g: &mut Generator) -> pb::DeleteRangeRequest {
    // Mostly one key, lest there is never anything to see.
    let (key, range_end) = if g.rarely(3) { g.key_range() } else { (g.key(), Default::default()) };
    pb::DeleteRangeRequest { key, range_end, prev_kv: g.rarely(2) }
}
