//! What clients observe, one case each.

use super::{commit, delete, everything, key, put, read, single, span};
use crate::{
    model::{
        Compare, CompareResult, CompareTarget, Event, Op, Put, Range, ReadAt, Refusal, Reply, SortOrder, SortTarget,
        Txn, TxnOp, TxnOpReply,
    },
    state::{NO_SPACE, State, alarm_key},
};

fn with(ops: Vec<Op>) -> State {
    let mut state = State::new();
    for op in ops {
        commit(&mut state, op).unwrap();
    }
    state
}

fn puts(pairs: &[(&str, &str)]) -> State {
    with(pairs.iter().map(|(key, value)| Op::Put(put(key, value))).collect())
}

fn names(state: &State, range: &Range) -> Vec<String> {
    let reply = state.range(range).unwrap();
    reply.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect()
}

fn txn(state: &mut State, txn: Txn) -> Result<crate::model::TxnReply, Refusal> {
    match commit(state, Op::Txn(txn))? {
        (Reply::Txn(reply), _) => Ok(reply),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_store_is_at_one_and_the_first_write_is_two() {
    let mut state = State::new();
    assert_eq!((state.revision(), state.compacted()), (1, 0));
    let (_, batch) = commit(&mut state, Op::Put(put("a", "1"))).unwrap();
    let batch = batch.unwrap();
    assert_eq!((batch.first_revision, batch.last_revision, state.revision()), (2, 2, 2));
}

#[test]
fn what_changes_nothing_takes_no_revision_and_no_entry() {
    let mut state = puts(&[("a", "1")]);
    assert!(commit(&mut state, delete(single("b"))).unwrap().1.is_none());
    assert!(commit(&mut state, Op::Txn(Txn::default())).unwrap().1.is_none());
    assert!(commit(&mut state, Op::Record { key: key("alarm"), value: key("") }).unwrap().1.is_none());
    commit(&mut state, Op::Put(put("a", "1"))).unwrap();
    assert_eq!(state.revision(), 3, "an identical value does take one");
}

#[test]
fn a_target_without_an_order_limits_first_then_sorts() {
    let state = puts(&[("a", "3"), ("b", "2"), ("c", "1"), ("d", "0")]);
    let quirk = Range { limit: 2, sort_target: SortTarget::Value, ..read(everything()) };
    // Three are looked at, to know whether there is more; all three are sorted, two are told.
    assert_eq!(names(&state, &quirk), ["c", "b"]);
    let sorted = Range { sort_order: SortOrder::Ascend, ..quirk };
    assert_eq!(names(&state, &sorted), ["d", "c"]);
    assert_eq!(state.range(&sorted).map(|reply| (reply.more, reply.count)), Ok((true, 4)));
}

#[test]
fn the_last_keys_come_first_when_descending_with_a_limit() {
    let state = puts(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
    let last = Range { limit: 2, sort_order: SortOrder::Descend, ..read(span("a", "d")) };
    assert_eq!(names(&state, &last), ["c", "b"]);
    assert_eq!(state.range(&last).map(|reply| (reply.more, reply.count)), Ok((true, 3)));
}

#[test]
fn count_ignores_limit_and_filters_more_does_not() {
    let state = puts(&[("a", "1"), ("b", "1"), ("c", "1")]);
    let filtered = Range { limit: 1, mod_revisions: (4, 0), ..read(everything()) };
    let reply = state.range(&filtered).unwrap();
    assert_eq!((reply.kvs.len(), reply.more, reply.count), (1, false, 3));
    let counted = state.range(&Range { count_only: true, limit: 1, ..read(everything()) }).unwrap();
    assert_eq!((counted.kvs.len(), counted.more, counted.count), (0, false, 3));
}

#[test]
fn the_compacted_revision_is_readable_and_the_one_before_is_not() {
    let mut state = puts(&[("a", "1"), ("a", "2"), ("a", "3")]);
    commit(&mut state, Op::Compact { revision: 3 }).unwrap();
    let at = |revision| Range { at: ReadAt::Revision(revision), ..read(single("a")) };
    assert_eq!(state.range(&at(3)).map(|reply| reply.kvs[0].value.clone()), Ok(key("2")));
    assert_eq!(state.range(&at(2)), Err(Refusal::Compacted));
    assert_eq!(state.range(&at(5)), Err(Refusal::FutureRevision));
    assert_eq!(commit(&mut state, Op::Compact { revision: 3 }), Err(Refusal::Compacted));
    assert_eq!(commit(&mut state, Op::Compact { revision: 5 }), Err(Refusal::FutureRevision));
}

/// As in etcd: a watch from there is told the change, and nobody knows what was before.
#[test]
fn at_the_compacted_revision_the_change_is_kept_and_what_it_superseded_is_not() {
    let mut state = puts(&[("a", "1"), ("a", "2")]);
    commit(&mut state, delete(single("a"))).unwrap();
    commit(&mut state, Op::Compact { revision: 4 }).unwrap();
    let history = state.history(&everything(), 4, 10).unwrap();
    let [Event { is_delete: true, prev: None, .. }] = history[0].events.as_slice() else { panic!("{history:?}") };
    assert_eq!((state.superseded.live(), state.newest.iter().count()), (0, 1), "the tombstone is left");
    commit(&mut state, Op::Put(put("b", "1"))).unwrap();
    commit(&mut state, Op::Compact { revision: 5 }).unwrap();
    assert_eq!(state.newest.iter().count(), 1, "the tombstone is gone");
}

/// The way out of a full store: delete, compact to now. What was deleted is garbage at once, without a further write.
#[test]
fn what_was_deleted_at_the_compacted_revision_frees_its_rows() {
    let pairs: Vec<String> = (0..2_000).map(|n| format!("k{n:04}")).collect();
    let mut state = with(pairs.iter().map(|name| Op::Put(put(name, "value"))).collect());
    commit(&mut state, delete(everything())).unwrap();
    let now = state.revision();
    let (mut draft, mut freed) = (state.draft(), Vec::new());
    draft.evaluate(&Op::Compact { revision: now }).unwrap();
    let (_, mut state, applied) = draft.finish(super::batch_id(9_999), super::batch_id(0), 0);
    freed.extend(applied.garbage);
    while state.is_sweeping() {
        let applied = state.sweep_on();
        assert!(applied.garbage.len() <= 1_000, "a little at a time: {}", applied.garbage.len());
        freed.extend(applied.garbage);
    }
    assert_eq!((freed.len(), state.superseded.live()), (2_000, 0));
}

#[test]
fn put_without_a_lease_detaches_and_revoke_deletes_in_one_revision() {
    let mut state = with(vec![Op::LeaseGrant { id: 7, ttl: 60 }]);
    for name in ["c", "a", "b"] {
        commit(&mut state, Op::Put(Put { lease: 7, ..put(name, "1") })).unwrap();
    }
    commit(&mut state, Op::Put(put("b", "2"))).unwrap();
    assert_eq!(state.lease_keys(7), ["a", "c"].map(key));
    let before = state.revision();
    let (_, batch) = commit(&mut state, Op::LeaseRevoke { id: 7 }).unwrap();
    assert_eq!(state.revision(), before + 1);
    let deleted: Vec<_> =
        batch.unwrap().entries.iter().map(|(_, entry)| (entry.key.clone(), entry.sub_revision)).collect();
    assert_eq!(deleted, [(key("a"), 0), (key("c"), 1), (key(""), 0)]);
    assert_eq!((state.lease(7), state.len()), (None, 1));
    assert_eq!(commit(&mut state, Op::Put(Put { lease: 7, ..put("a", "1") })), Err(Refusal::LeaseNotFound));
}

#[test]
fn an_expiry_ends_the_grant_that_it_is_of_and_no_later_one() {
    let mut state = with(vec![Op::LeaseGrant { id: 7, ttl: 60 }]);
    let older = state.lease(7).unwrap().grant();
    commit(&mut state, Op::LeaseRevoke { id: 7 }).unwrap();
    commit(&mut state, Op::LeaseGrant { id: 7, ttl: 60 }).unwrap();
    let newer = state.lease(7).unwrap().grant();
    assert_eq!(commit(&mut state, Op::LeaseExpire(older)), Err(Refusal::LeaseNotFound));
    assert!(state.lease(7).is_some());
    commit(&mut state, Op::LeaseExpire(newer)).unwrap();
    assert_eq!(state.lease(7), None);
}

#[test]
fn ignoring_keeps_and_needs_what_was_there() {
    let mut state = with(vec![Op::LeaseGrant { id: 7, ttl: 60 }, Op::Put(Put { lease: 7, ..put("a", "1") })]);
    commit(&mut state, Op::Put(Put { ignore_lease: true, ..put("a", "2") })).unwrap();
    commit(&mut state, Op::Put(Put { ignore_value: true, lease: 7, ..put("a", "") })).unwrap();
    let kv = state.range(&read(single("a"))).unwrap().kvs.remove(0);
    assert_eq!((kv.value, kv.lease, kv.version), (key("2"), 7, 3));
    let missing = Op::Put(Put { ignore_value: true, ..put("b", "") });
    assert_eq!(commit(&mut state, missing), Err(Refusal::KeyNotFound));
}

#[test]
fn compares_see_the_state_before_and_operations_the_writes_before_them() {
    let mut state = puts(&[("a", "1")]);
    let is = |value: &str| Compare {
        range: single("a"),
        result: CompareResult::Equal,
        target: CompareTarget::Value(key(value)),
    };
    let inner = Txn {
        compare: vec![is("1")],
        success: vec![TxnOp::Range(read(single("a"))), TxnOp::Put(put("b", "1"))],
        failure: Vec::new(),
    };
    let outer = Txn {
        compare: vec![is("1")],
        success: vec![TxnOp::Range(read(single("a"))), TxnOp::Put(put("a", "2")), TxnOp::Txn(inner)],
        failure: Vec::new(),
    };
    let reply = txn(&mut state, outer).unwrap();
    assert_eq!((reply.succeeded, reply.revision, state.revision()), (true, 3, 3));
    let [TxnOpReply::Range(first), TxnOpReply::Put(second), TxnOpReply::Txn(nested)] = reply.replies.as_slice() else {
        panic!("{reply:?}")
    };
    assert_eq!((first.revision, second.revision, nested.revision), (2, 3, 0));
    let [TxnOpReply::Range(seen), TxnOpReply::Put(_)] = nested.replies.as_slice() else { panic!("{nested:?}") };
    assert_eq!((seen.kvs[0].value.clone(), seen.revision), (key("2"), 3));
}

#[test]
fn a_missing_key_compares_as_zero_and_has_no_value() {
    let mut state = State::new();
    let mut holds = |target, result| {
        let compare = Compare { range: single("a"), result, target };
        txn(&mut state, Txn { compare: vec![compare], ..Txn::default() }).unwrap().succeeded
    };
    assert!(holds(CompareTarget::Mod(0), CompareResult::Equal));
    assert!(holds(CompareTarget::Version(1), CompareResult::Less));
    assert!(holds(CompareTarget::Lease(0), CompareResult::Equal));
    assert!(!holds(CompareTarget::Value(key("")), CompareResult::Equal));
    assert!(!holds(CompareTarget::Value(key("x")), CompareResult::NotEqual));
}

#[test]
fn one_failing_check_on_the_path_fails_the_whole() {
    let mut state = puts(&[("a", "1"), ("a", "2")]);
    commit(&mut state, Op::Compact { revision: 3 }).unwrap();
    let both = |op| Txn { success: vec![TxnOp::Put(put("x", "1")), op], ..Txn::default() };
    let at = |revision| TxnOp::Range(Range { at: ReadAt::Revision(revision), ..read(single("a")) });
    assert_eq!(txn(&mut state, both(at(2))), Err(Refusal::Compacted));
    assert_eq!(txn(&mut state, both(at(-1))), Err(Refusal::Compacted));
    assert_eq!(txn(&mut state, both(at(4))), Err(Refusal::FutureRevision));
    assert_eq!(txn(&mut state, both(TxnOp::Put(Put { lease: 9, ..put("y", "1") }))), Err(Refusal::LeaseNotFound));
    assert_eq!((state.revision(), state.len()), (3, 1));
    // Not on the path: not checked.
    let other = Txn { failure: vec![at(2)], ..both(at(0)) };
    assert!(txn(&mut state, other).unwrap().succeeded);
}

#[test]
fn without_space_nothing_grows_until_the_alarm_is_disarmed() {
    let mut state = puts(&[("a", "1")]);
    let alarm = |value: &str| Op::Record { key: alarm_key(NO_SPACE, 0xab), value: key(value) };
    commit(&mut state, alarm("raised")).unwrap();
    assert_eq!(state.alarms(), [(NO_SPACE.to_owned(), 0xab)]);
    assert_eq!(commit(&mut state, Op::Put(put("b", "1"))), Err(Refusal::NoSpace));
    assert_eq!(commit(&mut state, Op::LeaseGrant { id: 1, ttl: 9 }), Err(Refusal::NoSpace));
    let nested = Txn { success: vec![TxnOp::Put(put("b", "1"))], ..Txn::default() };
    let outer = Txn { failure: vec![TxnOp::Txn(nested)], ..Txn::default() };
    assert_eq!(txn(&mut state, outer), Err(Refusal::NoSpace));
    commit(&mut state, delete(single("a"))).unwrap();
    commit(&mut state, Op::Compact { revision: 3 }).unwrap();
    commit(&mut state, alarm("")).unwrap();
    commit(&mut state, Op::Put(put("b", "1"))).unwrap();
}

#[test]
fn a_key_may_change_twice_in_one_revision() {
    // etcd does not see that a delete of everything from a key on overlaps a put.
    let mut state = puts(&[("a", "1")]);
    let from = crate::model::KeyRange { start: key("a"), end: crate::model::RangeEnd::Unbounded };
    let delete = TxnOp::DeleteRange(crate::model::DeleteRange { range: from, prev_kv: false });
    txn(&mut state, Txn { success: vec![delete, TxnOp::Put(put("a", "2"))], ..Txn::default() }).unwrap();
    let kv = state.range(&read(single("a"))).unwrap().kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (3, 3, 1));
    let history = state.history(&everything(), 3, 10).unwrap();
    assert_eq!(history[0].events.iter().map(|event| event.is_delete).collect::<Vec<_>>(), [true, false]);
    assert_eq!(history[0].events.iter().map(|event| event.prev.is_some()).collect::<Vec<_>>(), [true, false]);
    commit(&mut state, Op::Put(put("a", "3"))).unwrap();
    let at = Range { at: ReadAt::Revision(3), ..read(single("a")) };
    assert_eq!(state.range(&at).unwrap().kvs[0].value, key("2"));
}
