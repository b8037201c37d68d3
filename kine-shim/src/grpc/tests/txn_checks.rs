//! What a Txn is refused for before it is evaluated.

use proto::{etcdserverpb as pb, etcdserverpb::request_op::Request};

use super::{bytes, op, put};
use crate::grpc::{checks, errors::Invalid};

fn puts(key: &str) -> pb::RequestOp {
    op(Request::RequestPut(put(key, "1")))
}

fn deletes(key: &str, range_end: &str) -> pb::RequestOp {
    let (key, range_end) = (bytes(key), bytes(range_end));
    op(Request::RequestDeleteRange(pb::DeleteRangeRequest { key, range_end, prev_kv: false }))
}

fn nested(success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>) -> pb::RequestOp {
    op(Request::RequestTxn(pb::TxnRequest { compare: Vec::new(), success, failure }))
}

fn check(ops: Vec<pb::RequestOp>) -> Result<(), Invalid> {
    let success = checks::txn(&pb::TxnRequest { success: ops.clone(), ..Default::default() }, 128);
    let failure = checks::txn(&pb::TxnRequest { failure: ops, ..Default::default() }, 128);
    assert_eq!(success, failure, "both branches are checked alike");
    success
}

#[test]
fn a_key_is_written_once_on_every_path() {
    let duplicate = Err(Invalid::DuplicateKey);
    assert_eq!(check(vec![puts("a"), puts("b")]), Ok(()));
    assert_eq!(check(vec![puts("a"), puts("a")]), duplicate);
    assert_eq!(check(vec![puts("a"), deletes("a", "")]), duplicate);
    assert_eq!(check(vec![deletes("a", "c"), puts("b")]), duplicate);
    assert_eq!(check(vec![deletes("a", "c"), puts("c")]), Ok(()));
    assert_eq!(check(vec![deletes("a", "c"), deletes("b", "d")]), Ok(()));
    // The branches of one nested Txn exclude each other, two nested Txns do not.
    assert_eq!(check(vec![nested(vec![puts("a")], vec![puts("a")])]), Ok(()));
    assert_eq!(check(vec![nested(vec![puts("a")], vec![]), nested(vec![], vec![puts("a")])]), duplicate);
    assert_eq!(check(vec![nested(vec![puts("a")], vec![]), puts("a")]), duplicate);
    assert_eq!(check(vec![nested(vec![deletes("a", "c")], vec![]), puts("b")]), duplicate);
    assert_eq!(check(vec![deletes("a", "c"), nested(vec![], vec![puts("b")])]), duplicate);
    // What etcd does not see either.
    assert_eq!(check(vec![deletes("a", "\0"), puts("b")]), Ok(()));
    assert_eq!(check(vec![nested(vec![puts("b")], vec![]), nested(vec![deletes("a", "c")], vec![])]), Ok(()));
}

#[test]
fn operations_are_counted_through_the_depth() {
    let many = |count: usize| (0..count).map(|at| puts(&format!("k{at}"))).collect::<Vec<_>>();
    assert_eq!(check(many(128)), Ok(()));
    assert_eq!(check(many(129)), Err(Invalid::TooManyOps));
    let mut outer = many(27);
    outer.push(nested((0..100).map(|at| puts(&format!("n{at}"))).collect(), Vec::new()));
    assert_eq!(check(outer.clone()), Ok(()));
    outer.push(puts("one more"));
    assert_eq!(check(outer), Err(Invalid::TooManyOps));
}

#[test]
fn every_operation_is_looked_at() {
    assert_eq!(check(vec![puts("")]), Err(Invalid::EmptyKey));
    assert_eq!(check(vec![deletes("", "")]), Err(Invalid::EmptyKey));
    assert_eq!(check(vec![nested(vec![puts("")], vec![])]), Err(Invalid::EmptyKey));
    assert_eq!(check(vec![pb::RequestOp { request: None }]), Err(Invalid::EmptyOp));
    let compare = pb::TxnRequest { compare: vec![pb::Compare::default()], ..Default::default() };
    assert_eq!(checks::txn(&compare, 128), Err(Invalid::EmptyKey));
}
