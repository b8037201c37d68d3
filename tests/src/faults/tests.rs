//! The checker finds each kind of lie in a history that is otherwise right.

use std::{collections::BTreeMap, time::Duration};

use super::{history::*, *};

const A: &str = "/faults/a";
const B: &str = "/faults/b";

fn record(value: &str, created: i64, modified: i64, version: i64) -> Record {
    Record { value: value.into(), created, modified, version }
}

fn event(key: &str, revision: i64, record: Option<Record>, previous: Option<Record>) -> Event {
    Event { key: key.into(), revision, record, previous }
}

fn found(records: &[(&str, &Record)]) -> BTreeMap<String, Record> {
    records.iter().map(|(key, record)| ((*key).to_owned(), (*record).clone())).collect()
}

/// Asked and answered at these milliseconds.
fn operation(from: u64, to: u64, ask: Ask, outcome: Outcome) -> Operation {
    Operation { asked: Duration::from_millis(from), answered: Duration::from_millis(to), ask, outcome }
}

fn answered(revision: i64, applied: bool, found: BTreeMap<String, Record>) -> Outcome {
    Outcome::Answered(Answer { revision, applied, found })
}

/// Two puts of a, one of both keys, a delete of a that nobody knows the outcome of, and a last put.
fn right() -> History {
    let (one, two) = (record("1", 2, 2, 1), record("2", 2, 3, 2));
    let (pair_a, pair_b) = (record("3", 2, 4, 3), record("3", 4, 4, 1));
    let last = record("4", 6, 6, 1);
    let put = |key: &str, value: &str| Ask::Put { key: key.into(), value: value.into() };
    let get = |reading| Ask::Get { key: A.into(), reading };
    let operations = vec![
        operation(0, 10, put(A, "1"), answered(2, true, found(&[]))),
        operation(20, 30, put(A, "2"), answered(3, true, found(&[(A, &one)]))),
        operation(31, 32, get(Reading::Linearizable), answered(3, false, found(&[(A, &two)]))),
        operation(33, 34, get(Reading::At(2)), answered(3, false, found(&[(A, &one)]))),
        operation(
            35,
            36,
            Ask::Swap { key: A.into(), expected: 2, value: "x".into() },
            answered(3, false, found(&[(A, &two)])),
        ),
        operation(40, 50, Ask::Pair { keys: [A.into(), B.into()], value: "3".into() }, answered(4, true, found(&[]))),
        operation(
            51,
            52,
            Ask::List { reading: Reading::Linearizable },
            answered(4, false, found(&[(A, &pair_a), (B, &pair_b)])),
        ),
        operation(60, 70, Ask::Delete { key: A.into() }, Outcome::Unknown),
        operation(71, 72, put(B, "y"), Outcome::Refused),
        operation(80, 90, put(A, "4"), answered(6, true, found(&[]))),
    ];
    let events = |revision: i64, events: Vec<Event>| (Duration::from_millis(100), Heard::Events { revision, events });
    let heard = vec![
        (Duration::from_millis(1), Heard::Created { revision: 1 }),
        events(3, vec![event(A, 2, Some(one.clone()), None), event(A, 3, Some(two.clone()), Some(one))]),
        events(4, vec![event(A, 4, Some(pair_a.clone()), Some(two)), event(B, 4, Some(pair_b), None)]),
        (Duration::from_millis(101), Heard::Progress { revision: 4 }),
        events(6, vec![event(A, 5, None, Some(pair_a)), event(A, 6, Some(last), None)]),
    ];
    let session = Session { name: "w".into(), prefix: PREFIX.into(), from: 2, wants_previous: true, heard };
    History { base: 1, last: 6, compacted: 0, operations, sessions: vec![session] }
}

fn batch(history: &mut History, at: usize) -> &mut Vec<Event> {
    match &mut history.sessions[0].heard[at].1 {
        Heard::Events { events, .. } => events,
        other => panic!("{other:?}"),
    }
}

fn answer(history: &mut History, at: usize) -> &mut Answer {
    match &mut history.operations[at].outcome {
        Outcome::Answered(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_right_history_is_not_blamed() {
    assert_eq!(check(&right()), Violations::new());
}

type Lie = (&'static str, fn(&mut History), &'static str);

const LIES: &[Lie] = &[
    ("an acknowledged write is lost", |h| drop(batch(h, 1).pop()), "no watcher heard of revisions [3]"),
    (
        "an event comes twice",
        |h| {
            let twice = h.sessions[0].heard[1].clone();
            h.sessions[0].heard.insert(2, twice)
        },
        "revision 2 after 3",
    ),
    ("events come out of order", |h| h.sessions[0].heard.swap(1, 2), "is missing before 4"),
    (
        "one of two events of a revision",
        |h| {
            let mut other = h.sessions[0].clone();
            other.name = "other".into();
            h.sessions.push(other);
            drop(batch(h, 2).pop())
        },
        "revision 4 came with",
    ),
    (
        "a watcher misses what another heard",
        |h| {
            h.sessions.push(h.sessions[0].clone());
            drop(h.sessions[0].heard.remove(2))
        },
        "overtook the events of 4",
    ),
    ("progress overtakes an event", |h| h.sessions[0].heard.swap(2, 3), "overtook the events of"),
    (
        "progress before what comes",
        |h| h.sessions[0].heard[3].1 = Heard::Progress { revision: 5 },
        "progress 5 overtook",
    ),
    ("a wrong previous value", |h| batch(h, 1)[1].previous = None, "but before it was"),
    ("a version counted wrongly", |h| batch(h, 1)[1].record.as_mut().unwrap().version = 3, "does not follow"),
    (
        "two watchers hear different values",
        |h| {
            h.sessions.push(h.sessions[0].clone());
            batch(h, 1)[0].record = Some(record("9", 2, 2, 1))
        },
        "another watcher heard",
    ),
    (
        "a header above its events",
        |h| {
            if let Heard::Events { revision, .. } = &mut h.sessions[0].heard[4].1 {
                *revision = 5
            }
        },
        "a header of 5",
    ),
    (
        "a watch is canceled for nothing",
        |h| h.sessions[0].heard.push((Duration::ZERO, Heard::Canceled { compacted: 3 })),
        "canceled, compacted at 3",
    ),
    (
        "a stale read",
        |h| {
            let old = record("1", 2, 2, 1);
            *answer(h, 2) = Answer { revision: 2, applied: false, found: found(&[(A, &old)]) }
        },
        "was answered at 2, after 3",
    ),
    (
        "a read of what never was",
        |h| answer(h, 2).found = found(&[(A, &record("9", 2, 3, 2))]),
        "which the events do not explain",
    ),
    (
        "a deleted key comes back",
        |h| answer(h, 9).found = found(&[(A, &record("3", 2, 4, 3))]),
        "which the events do not explain",
    ),
    ("a list without a key", |h| drop(answer(h, 6).found.remove(B)), "which the events do not explain"),
    ("a swap that had to fail succeeds", |h| answer(h, 4).applied = true, "which the events do not explain"),
    ("an acknowledged revision is another's", |h| answer(h, 1).revision = 4, "which the events do not explain"),
    ("a refused write happens", |h| h.operations[9].outcome = Outcome::Refused, "was not asked for"),
    (
        "a write happens before it is asked for",
        |h| h.operations[7].asked = Duration::from_millis(101),
        "was not asked for, not then",
    ),
    ("a write that nobody asked for", |h| drop(h.operations.remove(7)), "was not asked for"),
    ("a write happens twice", |h| batch(h, 4)[1].record = Some(record("1", 6, 6, 1)), "or twice"),
];

#[test]
fn every_lie_is_found() {
    for (what, lie, expected) in LIES {
        let mut history = right();
        lie(&mut history);
        let violations = check(&history);
        assert!(violations.iter().any(|violation| violation.contains(expected)), "{what}: {violations:#?}");
    }
}
