//! Random operations, the same for the state machine and its naive twin; every answer is compared.

use super::{Dice, batch_id, dump, key, naive::Naive, put};
use crate::{
    model::{
        Batch, Compare, CompareResult, CompareTarget, DeleteRange, Key, KeyRange, Op, Put, Range, RangeEnd, ReadAt,
        SortOrder, SortTarget, Txn, TxnOp,
    },
    state::{Applied, State},
};

pub(super) fn some_key(dice: &mut Dice) -> Key {
    let name = dice.pick(&["a", "a/", "a/b", "b", "b\0", "c", "d"]);
    if dice.chance(50) { key(name) } else { key(&format!("{name}{}", dice.roll(40))) }
}

fn some_range(dice: &mut Dice) -> KeyRange {
    let start = if dice.chance(20) { key("\0") } else { some_key(dice) };
    let end = match dice.roll(4) {
        0 => RangeEnd::Single,
        1 => RangeEnd::Unbounded,
        _ => RangeEnd::Before(some_key(dice)),
    };
    KeyRange { start, end }
}

fn some_revision(dice: &mut Dice, naive: &Naive) -> i64 {
    let near = naive.revision() - dice.roll(30) as i64;
    dice.pick(&[near, naive.compacted, naive.compacted + 1, naive.compacted - 1, naive.revision() + 1, 0, -1, -7])
}

fn some_read(dice: &mut Dice, naive: &Naive) -> Range {
    let bounds = |dice: &mut Dice| {
        let bound = |dice: &mut Dice| if dice.chance(70) { 0 } else { dice.roll(naive.revision() as u64 + 2) as i64 };
        if dice.chance(70) { (0, 0) } else { (bound(dice), bound(dice)) }
    };
    use SortTarget::*;
    Range {
        range: some_range(dice),
        at: if dice.chance(50) { ReadAt::Latest } else { ReadAt::Revision(some_revision(dice, naive)) },
        limit: if dice.chance(50) { 0 } else { dice.roll(12) as usize },
        sort_target: dice.pick(&[Key, Key, Version, Create, Mod, Value]),
        sort_order: dice.pick(&[SortOrder::None, SortOrder::Ascend, SortOrder::Descend]),
        keys_only: dice.chance(10),
        count_only: dice.chance(10),
        mod_revisions: bounds(dice),
        create_revisions: bounds(dice),
    }
}

fn some_put(dice: &mut Dice) -> Put {
    let value = format!("v{}", dice.roll(9));
    Put {
        key: some_key(dice),
        lease: if dice.chance(70) { 0 } else { dice.roll(5) as i64 },
        prev_kv: dice.chance(30),
        ignore_value: dice.chance(10),
        ignore_lease: dice.chance(10),
        ..put("", &value)
    }
}

fn some_delete(dice: &mut Dice) -> DeleteRange {
    let range = if dice.chance(70) { KeyRange::single(some_key(dice)) } else { some_range(dice) };
    DeleteRange { range, prev_kv: dice.chance(50) }
}

fn some_compare(dice: &mut Dice, naive: &Naive) -> Compare {
    use CompareResult::*;
    let target = match dice.roll(6) {
        0 => CompareTarget::Version(dice.roll(4) as i64),
        1 => CompareTarget::Create(dice.roll(naive.revision() as u64 + 1) as i64),
        2 => CompareTarget::Mod(dice.roll(naive.revision() as u64 + 1) as i64),
        3 => CompareTarget::Value(key(&format!("v{}", dice.roll(9)))),
        4 => CompareTarget::Nothing,
        _ => CompareTarget::Lease(dice.roll(4) as i64),
    };
    let range = if dice.chance(80) { KeyRange::single(some_key(dice)) } else { some_range(dice) };
    Compare { range, result: dice.pick(&[Equal, Greater, Less, NotEqual, Anything]), target }
}

fn some_branch(dice: &mut Dice, naive: &Naive, depth: u64, used: &mut Vec<Key>) -> Vec<TxnOp> {
    let mut ops = Vec::new();
    for _ in 0..dice.roll(5) {
        ops.push(match dice.roll(8) {
            0..3 => TxnOp::Range(some_read(dice, naive)),
            3..6 => {
                let put = some_put(dice);
                // What `grpc` refuses statically: a key touched twice on one path.
                if used.contains(&put.key) {
                    continue;
                }
                used.push(put.key.clone());
                TxnOp::Put(put)
            }
            6 => {
                let delete = some_delete(dice);
                if used.iter().any(|key| delete.range.contains(key)) || delete.range.end != RangeEnd::Single {
                    continue;
                }
                used.push(delete.range.start.clone());
                TxnOp::DeleteRange(delete)
            }
            _ if depth > 0 => TxnOp::Txn(some_txn(dice, naive, depth - 1, used)),
            _ => continue,
        });
    }
    ops
}

fn some_txn(dice: &mut Dice, naive: &Naive, depth: u64, used: &mut Vec<Key>) -> Txn {
    Txn {
        compare: (0..dice.roll(3)).map(|_| some_compare(dice, naive)).collect(),
        success: some_branch(dice, naive, depth, used),
        failure: some_branch(dice, naive, depth, used),
    }
}

pub(super) fn some_op(dice: &mut Dice, naive: &Naive) -> Op {
    match dice.roll(100) {
        0..40 => Op::Put(some_put(dice)),
        40..50 => Op::DeleteRange(some_delete(dice)),
        50..80 => Op::Txn(some_txn(dice, naive, 2, &mut Vec::new())),
        80..85 => Op::Compact { revision: some_revision(dice, naive) },
        85..92 => Op::LeaseGrant { id: 1 + dice.roll(4) as i64, ttl: 2 + dice.roll(60) as i64 },
        92..96 => Op::LeaseRevoke { id: 1 + dice.roll(4) as i64 },
        _ => Op::Record { key: some_key(dice), value: key(dice.pick(&["", "on", "off"])) },
    }
}

fn check_reads(dice: &mut Dice, state: &State, naive: &Naive, seed: u64) {
    assert_eq!(state.revision(), naive.revision(), "seed {seed}");
    assert_eq!(state.compacted(), naive.compacted.max(0), "seed {seed}");
    assert_eq!(state.len(), naive.world(naive.revision()).len(), "seed {seed}");
    for _ in 0..6 {
        let read = some_read(dice, naive);
        assert_eq!(state.range(&read), naive.range(&read), "seed {seed}: {read:?}");
    }
    let (range, from) = (some_range(dice), some_revision(dice, naive));
    let limit = dice.pick(&[1, 2, 7, 1_000]);
    let history = state.history(&range, from, limit).map(|found| found.iter().map(|of| (**of).clone()).collect());
    let expected = naive.history(&range, from).map(|found| found.into_iter().take(limit).collect::<Vec<_>>());
    assert_eq!(history, expected, "seed {seed}: {range:?} from {from}");
    for id in 1..5 {
        assert_eq!(state.lease_keys(id), naive.lease_keys(id), "seed {seed}: lease {id}");
        assert_eq!(state.lease(id).map(|lease| lease.ttl), naive.leases.get(&id).copied(), "seed {seed}: lease {id}");
    }
}

/// Runs `batches` batches of random operations; gives back the states, the log and what each commit brought about.
pub(super) fn drive(seed: u64, batches: u64) -> (State, Vec<Batch>, Vec<Applied>) {
    let mut dice = Dice::new(seed);
    let (mut state, mut naive) = (State::new(), Naive::new());
    // Half of the runs have compactions that take several batches.
    state.sweep_max = if seed.is_multiple_of(2) { state.sweep_max } else { 3 };
    let (mut follower, mut log, mut outcomes) = (state.clone(), Vec::new(), Vec::new());
    let mut kept: Vec<(State, Naive)> = Vec::new();
    for number in 1..=batches {
        let mut draft = state.draft();
        let events_before = naive.events.len();
        for _ in 0..1 + dice.roll(8) {
            let op = some_op(&mut dice, &naive);
            let (before, entries) = (draft.state().clone(), draft.ops());
            let (reply, expected) = (draft.evaluate(&op), naive.clone().evaluate(&op));
            assert_eq!(reply, expected, "seed {seed}, batch {number}: {op:?}");
            if reply.is_err() {
                let (before, after) = (dump(&before), dump(draft.state()));
                assert_eq!((before, entries), (after, draft.ops()), "seed {seed}: a refusal left traces");
            } else {
                naive.evaluate(&op).unwrap();
            }
            check_reads(&mut dice, draft.state(), &naive, seed);
        }
        if draft.is_empty() {
            continue;
        }
        let (batch, next, applied) = draft.finish(batch_id(number), batch_id(0), 0);
        let events: Vec<_> = applied.events.iter().map(|events| (**events).clone()).collect();
        assert_eq!(events, naive.events[events_before..], "seed {seed}, batch {number}: events");
        assert_eq!(follower.apply(&batch).as_ref(), Ok(&applied), "seed {seed}, batch {number}");
        if dice.chance(20) {
            assert_eq!(dump(&follower), dump(&next), "seed {seed}, batch {number}: follower");
        }
        state = next;
        log.push(batch);
        outcomes.push(applied);
        if dice.chance(5) {
            kept.push((state.clone(), naive.clone()));
        }
    }
    for (state, naive) in &kept {
        check_reads(&mut dice, state, naive, seed);
    }
    (state, log, outcomes)
}

#[test]
fn invariant_1_every_answer_is_the_naive_one_and_every_follower_the_same() {
    for seed in 0..20 {
        drive(seed, 60);
    }
}
