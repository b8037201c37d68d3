//! Txn: compares of every kind, nested branches, the same key twice, and more than is allowed.

use proto::{
    etcdserverpb as pb,
    etcdserverpb::{compare::TargetUnion, request_op::Request},
};
use rand::RngExt;

use super::{Generator, kv};

pub(super) const TXN: &str = "/etcdserverpb.KV/Txn";

pub(super) fn txn(g: &mut Generator) {
    let request = whole(g);
    g.unary(TXN, request);
}

/// At and around the limit of 128 operations, nested ones included; and requests of more bytes than are taken.
pub(super) fn too_large(g: &mut Generator) {
    let put =
        |at: usize| op(Request::RequestPut(pb::PutRequest { key: format!("b/{at}").into(), ..Default::default() }));
    let count = g.of(&[127usize, 128, 129]);
    let mut request = pb::TxnRequest::default();
    match g.rng.random_range(0..6) {
        0 => request.success = (0..count).map(|_| read()).collect(),
        1 => request.failure = (0..count).map(|_| read()).collect(),
        2 => request.compare = (0..count).map(|_| compare(g)).collect(),
        3 => {
            let left = g.of(&[126usize, 127, 128]);
            let nested = pb::TxnRequest { success: (0..left).map(|_| read()).collect(), ..Default::default() };
            request.success = vec![op(Request::RequestTxn(nested))];
        }
        4 => {
            // Ends as it began.
            let all = pb::DeleteRangeRequest { key: "b/".into(), range_end: "b0".into(), ..Default::default() };
            let puts = pb::TxnRequest { success: (0..count - 1).map(put).collect(), ..Default::default() };
            g.unary(TXN, puts);
            return g.unary(kv::DELETE_RANGE, all);
        }
        _ => {
            let bytes = g.of(&[1 << 19, 3 << 19, (3 << 19) - 64, (3 << 19) + 1, 2 << 20]);
            let put = pb::PutRequest { key: "a".into(), value: vec![b'x'; bytes].into(), ..Default::default() };
            g.unary(kv::PUT, put);
            return g.unary(kv::PUT, pb::PutRequest { key: "a".into(), ..Default::default() });
        }
    }
    g.unary(TXN, request);
}

pub(super) fn whole(g: &mut Generator) -> pb::TxnRequest {
    let mut request = txn_request(g, 0);
    if deletes(&request) {
        keep_nothing(&mut request);
    }
    request
}

/// An etcd ends itself over a Txn that deletes a key and then puts it with its old value or lease.
fn deletes(request: &pb::TxnRequest) -> bool {
    request.success.iter().chain(&request.failure).any(|op| match &op.request {
        Some(Request::RequestDeleteRange(_)) => true,
        Some(Request::RequestTxn(nested)) => deletes(nested),
        _ => false,
    })
}

fn keep_nothing(request: &mut pb::TxnRequest) {
    for op in request.success.iter_mut().chain(&mut request.failure) {
        match &mut op.request {
            Some(Request::RequestPut(put)) => (put.ignore_value, put.ignore_lease) = (false, false),
            Some(Request::RequestTxn(nested)) => keep_nothing(nested),
            _ => {}
        }
    }
}

fn txn_request(g: &mut Generator, depth: usize) -> pb::TxnRequest {
    let count = |g: &mut Generator| g.of(&[0usize, 1, 1, 2, 3]);
    let (compares, successes, failures) = (g.of(&[0usize, 0, 1, 1, 2]), count(g), count(g));
    pb::TxnRequest {
        compare: (0..compares).map(|_| compare(g)).collect(),
        success: (0..successes).map(|_| request_op(g, depth)).collect(),
        failure: (0..failures).map(|_| request_op(g, depth)).collect(),
    }
}

fn request_op(g: &mut Generator, depth: usize) -> pb::RequestOp {
    if g.rarely(200) {
        return pb::RequestOp { request: None };
    }
    op(match g.rng.random_range(0..10) {
        0..3 => Request::RequestRange(kv::range_request(g)),
        3..7 => Request::RequestPut(kv::put_request(g)),
        7..9 => Request::RequestDeleteRange(kv::delete_request(g)),
        _ if depth < 3 => Request::RequestTxn(txn_request(g, depth + 1)),
        _ => Request::RequestPut(kv::put_request(g)),
    })
}

fn compare(g: &mut Generator) -> pb::Compare {
    let (key, range_end) = if g.rarely(3) { g.key_range() } else { (g.key(), Default::default()) };
    let mut compare = pb::Compare { key, range_end, ..Default::default() };
    // Often one that holds.
    if g.rarely(2)
        && let Some(at) = g.written.len().checked_sub(1)
    {
        let (key, revision) = g.written[g.rng.random_range(0..=at)].clone();
        compare.target = g.of(&[1, 2]);
        compare.key = key;
        compare.range_end.clear();
        compare.target_union = Some(match compare.target {
            1 => TargetUnion::CreateRevision(revision),
            _ => TargetUnion::ModRevision(revision),
        });
        return compare;
    }
    compare.result = g.of(&[0, 0, 0, 1, 2, 3]);
    compare.target = g.of(&[0, 1, 2, 3, 4]);
    let kind = if g.rarely(40) { g.of(&[0, 1, 2, 3, 4, 5]) } else { compare.target };
    compare.target_union = match kind {
        0 => Some(TargetUnion::Version(g.of(&[0, 0, 1, 2, 3, -1]))),
        1 => Some(TargetUnion::CreateRevision(g.old_revision())),
        2 => Some(TargetUnion::ModRevision(g.old_revision())),
        3 => Some(TargetUnion::Value(g.value())),
        4 => Some(TargetUnion::Lease(g.lease())),
        _ => None,
    };
    if g.rarely(60) {
        compare.result = g.of(&[-1, 4, 77]);
    }
    if g.rarely(60) {
        compare.target = g.of(&[-1, 5, 77]);
    }
    compare
}

fn read() -> pb::RequestOp {
    op(Request::RequestRange(pb::RangeRequest { key: "a".into(), ..Default::default() }))
}

fn op(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}
