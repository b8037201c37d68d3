//! Following, refusing to follow, and loading logs from which garbage was deleted.

use super::{Dice, driver::drive, dump, swept};
use crate::{
    model::{Batch, BatchId, RowId},
    state::{Applied, Loading, State},
};

fn load(log: &[Batch]) -> (State, Vec<Applied>) {
    let mut loading = Loading::default();
    let outcomes = log.iter().map(|batch| loading.load(batch).unwrap()).collect();
    (loading.finish(), outcomes)
}

/// Deletes rows; batches without rows go too, but for the last one.
fn trim(log: &[Batch], garbage: &[RowId]) -> Vec<Batch> {
    let mut log = log.to_vec();
    for batch in &mut log {
        batch.entries.retain(|(sub, _)| !garbage.contains(&(batch.position, *sub)));
    }
    let last = log.last().map(Batch::head);
    log.retain(|batch| !batch.entries.is_empty() || Some(batch.head()) == last);
    log
}

#[test]
fn a_log_loads_to_the_same_state_however_much_of_its_garbage_is_gone() {
    for seed in 100..112 {
        let (state, log, outcomes) = drive(seed, 60);
        let (state, left) = swept(&state);
        assert_eq!(dump(&load(&log).0), dump(&state), "seed {seed}: whole");
        let mut garbage: Vec<_> = outcomes.iter().flat_map(|applied| applied.garbage.clone()).collect();
        garbage.extend(left);
        let trimmed = trim(&log, &garbage);
        assert_eq!(dump(&load(&trimmed).0), dump(&state), "seed {seed}: trimmed");
        let rows: usize = trimmed.iter().map(|batch| batch.entries.len()).sum();
        assert_eq!((state.rows(), load(&trimmed).0.rows()), (rows, rows), "seed {seed}: rows");
        // A crash midway: some compactions trimmed, the next one begun.
        let part = Dice::new(seed).roll(garbage.len() as u64 + 1) as usize;
        let (again, outcomes) = load(&trim(&log, &garbage[..part]));
        assert_eq!(dump(&again), dump(&state), "seed {seed}: {part} of {} trimmed", garbage.len());
        let named: Vec<_> = outcomes.iter().flat_map(|applied| applied.garbage.clone()).collect();
        // A row that died while the compaction was under way is for the next one.
        for left in garbage[part..].iter().filter(|left| again.dead.get(left).is_none()) {
            assert!(named.contains(left), "seed {seed}: {left:?} is not named again");
        }
        assert_eq!(dump(&load(&trim(&trim(&log, &garbage[..part]), &named)).0), dump(&state), "seed {seed}: twice");
    }
}

#[test]
fn garbage_is_named_in_log_order_and_the_floor_is_its_end() {
    let (_, _, outcomes) = drive(8, 240);
    let compactions: Vec<_> = outcomes.iter().filter(|applied| !applied.garbage.is_empty()).collect();
    assert!(compactions.len() > 3);
    for applied in compactions {
        assert!(applied.garbage.is_sorted());
        assert_eq!(Some(applied.trim_floor), applied.garbage.last().map(|row| row.0));
    }
}

#[test]
fn a_batch_that_does_not_follow_is_refused() {
    let (_, log, _) = drive(3, 30);
    let (last, before) = log.split_last().unwrap();
    let mut state = State::new();
    before.iter().for_each(|batch| drop(state.apply(batch).unwrap()));
    let wrong = |change: &dyn Fn(&mut Batch)| {
        let mut batch = last.clone();
        change(&mut batch);
        let outcome = state.clone().apply(&batch);
        assert!(outcome.is_err(), "{batch:?}");
    };
    wrong(&|batch| batch.position = batch.position.next());
    wrong(&|batch| batch.prev_id = BatchId::nil());
    wrong(&|batch| batch.last_revision += 1);
    wrong(&|batch| batch.entries[0].0 += 1);
    wrong(&|batch| batch.entries.push((batch.entries.len() as u32, batch.entries[0].1.clone())));
    let mut again = Loading::default();
    before.iter().for_each(|batch| drop(again.load(batch).unwrap()));
    assert!(again.load(before.last().unwrap()).is_err());
    state.apply(last).unwrap();
    assert_eq!(state.head(), last.head());
}

#[test]
fn invariant_6_an_incarnation_jumps_and_compacts_everything_before() {
    let (mut state, mut log, _) = drive(5, 40);
    let live = state.len();
    let jump = state.revision() + 1_000_000_000;
    let mut draft = state.draft();
    draft.declare_incarnation(jump);
    let (batch, next, applied) = draft.finish(super::batch_id(999), super::batch_id(0), 0);
    assert_eq!((batch.first_revision, batch.last_revision), (jump + 1, jump));
    assert_eq!(applied.compacted, Some(jump));
    assert_eq!(state.apply(&batch).unwrap(), applied);
    assert_eq!(dump(&state), dump(&next));
    log.push(batch);
    assert_eq!((state.revision(), state.compacted(), state.incarnation(), state.len()), (jump, jump, 1, live));
    assert!(state.history(&super::everything(), jump - 1, 10).is_err());
    assert_eq!(state.history(&super::everything(), jump, 10), Ok(Vec::new()));
    let (_, written) = super::commit(&mut state, crate::model::Op::Put(super::put("new", "life"))).unwrap();
    assert_eq!(written.as_ref().map(|batch| batch.first_revision), Some(jump + 1));
    log.extend(written);
    assert_eq!(dump(&load(&log).0), dump(&swept(&state).0));
}
