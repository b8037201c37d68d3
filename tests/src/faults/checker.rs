//! Whether a history is one that etcd could have produced. In goes what clients and watchers saw, out come violations.
//!
//! Linearizability needs no search here: every answer names the revision it was made at, so the order of revisions is
//! the only order that can explain the history. It does if (1) it agrees with time: what is asked after something was
//! answered, or an event was heard, does not have a lower revision, and a write has a higher one; (2) each answer is
//! what replaying the events up to its revision gives; (3) each event was asked for by somebody, once. Reads of equal
//! revision commute. The order of writes is taken from the watchers, whose guarantees are those that etcd's robustness
//! suite names (ordered, unique, atomic, reliable, resumable, bookmarkable, previous values): they are checked first.

use std::{collections::BTreeMap, time::Duration};

use super::history::{
    Answer, Ask, Event, Events, Heard, History, Operation, Outcome, Reading, Replay, Session, Violations,
};

pub fn check(history: &History) -> Violations {
    let mut wrong = Violations::new();
    let events = merged(history, &mut wrong);
    let replay = Replay::of(&events);
    records(history, &events, &replay, &mut wrong);
    for session in &history.sessions {
        watch(history, session, &events, &replay, &mut wrong);
    }
    for operation in &history.operations {
        if let Outcome::Answered(answer) = &operation.outcome {
            answered(operation, answer, &events, &replay, &mut wrong);
        }
    }
    origins(history, &events, &mut wrong);
    times(history, &mut wrong);
    wrong
}

/// Whether a failover that lost writes was told to everybody, given the revisions that the store skips then. What was
/// lost was heard of by some and is gone: so neither completeness nor origins can be checked. But no revision means two
/// things, nobody is answered from the past, and each watch that lived before the loss ends there instead of going on.
pub(super) fn check_loss(history: &History) -> Violations {
    let mut wrong = Violations::new();
    merged(history, &mut wrong);
    times(history, &mut wrong);
    let after_loss = history.base + JUMP / 2;
    if history.last < after_loss {
        wrong.insert(format!("writes were lost, and the revision is only {}", history.last));
    }
    let mut ends = 0;
    for session in &history.sessions {
        let revisions = || session.heard.iter().flat_map(|(_, heard)| heard.events()).map(|event| event.revision);
        if revisions().any(|revision| revision < after_loss) && revisions().any(|revision| revision > after_loss) {
            wrong.insert(format!("{} from {} went on over the loss", session.name, session.from));
        }
        ends += usize::from(
            session
                .heard
                .iter()
                .any(|(_, heard)| matches!(heard, Heard::Canceled { compacted } if *compacted > after_loss)),
        );
    }
    if ends == 0 {
        wrong.insert("no watcher was told of the loss".to_owned());
    }
    wrong
}

/// By so much the revision jumps over what may have been lost, at least.
const JUMP: i64 = 1_000_000_000;

/// All watchers together: none contradicts another.
fn merged(history: &History, wrong: &mut Violations) -> Events {
    let mut events = Events::new();
    for session in &history.sessions {
        for event in session.heard.iter().flat_map(|(_, heard)| heard.events()) {
            let known = events.entry(event.revision).or_default().entry(event.key.clone());
            let known = known.or_insert_with(|| event.clone());
            if known.record != event.record {
                wrong.insert(format!("{}: {event:?}, another watcher heard {known:?}", session.name));
            }
        }
    }
    events
}

/// Revisions have no gaps; versions and creations are counted as etcd counts them.
fn records(history: &History, events: &Events, replay: &Replay, wrong: &mut Violations) {
    let missing: Vec<i64> =
        (history.base + 1..=history.last).filter(|revision| !events.contains_key(revision)).collect();
    if !missing.is_empty() {
        wrong.insert(format!("no watcher heard of revisions {missing:?}"));
    }
    for event in events.values().flat_map(BTreeMap::values) {
        let before = replay.at(&event.key, event.revision - 1);
        let counted = match &event.record {
            Some(record) => {
                let (created, version) = before.map_or((event.revision, 1), |old| (old.created, old.version + 1));
                (record.created, record.version, record.modified) == (created, version, event.revision)
            }
            None => before.is_some(),
        };
        if !counted {
            wrong.insert(format!("{event:?} does not follow {before:?}"));
        }
    }
}

impl Heard {
    fn events(&self) -> &[Event] {
        match self {
            Self::Events { events, .. } => events,
            _ => &[],
        }
    }
}

fn watch(history: &History, session: &Session, events: &Events, replay: &Replay, wrong: &mut Violations) {
    let mut say = |what: String| {
        wrong.insert(format!("{} from {}: {what}", session.name, session.from));
    };
    let of_session = |revision: i64| -> Vec<&Event> {
        let all = events.get(&revision).into_iter().flat_map(BTreeMap::values);
        all.filter(|event| event.key.starts_with(&session.prefix)).collect()
    };
    // Everything up to here was heard, or promised not to exist.
    let mut done = session.from - 1;
    for (_, heard) in &session.heard {
        match heard {
            Heard::Created { revision } if session.from == 0 => done = *revision,
            Heard::Created { .. } => {}
            Heard::Canceled { compacted } if *compacted >= session.from && *compacted <= history.compacted => {}
            Heard::Canceled { compacted } => say(format!("canceled, compacted at {compacted}")),
            Heard::Progress { revision } => {
                if let Some(missed) = (done + 1..=*revision).find(|revision| !of_session(*revision).is_empty()) {
                    say(format!("progress {revision} overtook the events of {missed}"));
                }
                done = done.max(*revision);
            }
            Heard::Events { revision, events: batch } => {
                let mut at = 0;
                while at < batch.len() {
                    let of = batch[at].revision;
                    let together: Vec<&Event> = batch[at..].iter().take_while(|event| event.revision == of).collect();
                    at += together.len();
                    if of <= done {
                        say(format!("revision {of} after {done}"));
                    }
                    if let Some(missed) = (done + 1..of).find(|revision| !of_session(*revision).is_empty()) {
                        say(format!("revision {missed} is missing before {of}"));
                    }
                    let mut keys: Vec<&str> = together.iter().map(|event| event.key.as_str()).collect();
                    keys.sort_unstable();
                    if keys != of_session(of).iter().map(|event| event.key.as_str()).collect::<Vec<_>>() {
                        say(format!("revision {of} came with {keys:?} alone"));
                    }
                    for event in together.iter().filter(|_| session.wants_previous) {
                        let before = replay.at(&event.key, of - 1);
                        let is_compacted = event.previous.is_none() && of <= history.compacted;
                        if event.previous.as_ref() != before && !is_compacted {
                            say(format!("{event:?}, but before it was {before:?}"));
                        }
                    }
                    done = done.max(of);
                }
                if *revision < done {
                    say(format!("a header of {revision} above events of {done}"));
                }
            }
        }
    }
}

fn answered(operation: &Operation, answer: &Answer, events: &Events, replay: &Replay, wrong: &mut Violations) {
    let revision = answer.revision;
    let wrote = |key: &str, value: Option<&str>| {
        let event = events.get(&revision).and_then(|of_revision| of_revision.get(key));
        event.is_some_and(|event| event.record.as_ref().map(|record| record.value.as_str()) == value)
    };
    let found_is = |key: &str, revision: i64| answer.found.get(key) == replay.at(key, revision);
    let fits = match &operation.ask {
        Ask::Put { key, value } => wrote(key, Some(value)) && found_is(key, revision - 1),
        Ask::Delete { key } if answer.applied => wrote(key, None) && found_is(key, revision - 1),
        Ask::Delete { key } => replay.at(key, revision).is_none(),
        Ask::Swap { key, expected, value } => {
            let at = if answer.applied { revision - 1 } else { revision };
            let is_expected = replay.at(key, at).map_or(0, |record| record.modified) == *expected;
            is_expected == answer.applied
                && if answer.applied { wrote(key, Some(value)) } else { found_is(key, revision) }
        }
        Ask::Pair { keys, value } => keys.iter().all(|key| wrote(key, Some(value))),
        Ask::Get { key, reading } => found_is(key, reading.at(revision)),
        Ask::List { reading } => answer.found == replay.all_at(reading.at(revision)),
    };
    if !fits {
        wrong.insert(format!("{:?} was answered {answer:?}, which the events do not explain", operation.ask));
    }
}

impl Reading {
    fn at(self, revision: i64) -> i64 {
        match self {
            Self::At(revision) => revision,
            Self::Linearizable | Self::Serializable => revision,
        }
    }
}

/// Every event was asked for, and nothing that was refused happened, or happened twice.
fn origins(history: &History, events: &Events, wrong: &mut Violations) {
    let floors = Floors::of(history);
    let mut puts: BTreeMap<&str, &Operation> = BTreeMap::new();
    let mut deletes: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &history.operations {
        match &operation.ask {
            Ask::Put { value, .. } | Ask::Swap { value, .. } | Ask::Pair { value, .. } => {
                puts.insert(value, operation);
            }
            Ask::Delete { key } => deletes.entry(key).or_default().push(operation),
            Ask::Get { .. } | Ask::List { .. } => {}
        }
    }
    let mut revisions: BTreeMap<&str, i64> = BTreeMap::new();
    for event in events.values().flat_map(BTreeMap::values).filter(|event| event.revision > history.base) {
        let may_be = |operation: &Operation| match &operation.outcome {
            Outcome::Answered(answer) => answer.applied && answer.revision == event.revision,
            Outcome::Refused => false,
            Outcome::Unknown => floors.before(operation.asked) < event.revision,
        };
        let explained = match &event.record {
            Some(record) => {
                let first = *revisions.entry(record.value.as_str()).or_insert(event.revision);
                first == event.revision && puts.get(record.value.as_str()).is_some_and(|put| may_be(put))
            }
            None => match deletes.get_mut(event.key.as_str()) {
                Some(asked) => asked.iter().position(|delete| may_be(delete)).map(|at| asked.remove(at)).is_some(),
                None => false,
            },
        };
        if !explained {
            wrong.insert(format!("{event:?} was not asked for, not then, or twice"));
        }
    }
}

/// The highest revision that somebody knew at a time.
struct Floors(Vec<(Duration, i64)>);

impl Floors {
    fn of(history: &History) -> Self {
        let answers = history.operations.iter().filter_map(|operation| match &operation.outcome {
            Outcome::Answered(answer) => Some((operation.answered, answer.revision)),
            Outcome::Refused | Outcome::Unknown => None,
        });
        let heard = history.sessions.iter().flat_map(|session| &session.heard);
        let heard = heard.filter_map(|(at, heard)| Some((*at, heard.events().last()?.revision)));
        let mut known: Vec<(Duration, i64)> = answers.chain(heard).collect();
        known.sort_unstable();
        let mut highest = 0;
        for (_, revision) in &mut known {
            highest = highest.max(*revision);
            *revision = highest;
        }
        Self(known)
    }

    fn before(&self, time: Duration) -> i64 {
        let count = self.0.partition_point(|(at, _)| *at < time);
        count.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

/// What is asked later is not answered from an earlier state.
fn times(history: &History, wrong: &mut Violations) {
    let floors = Floors::of(history);
    for operation in &history.operations {
        let Outcome::Answered(answer) = &operation.outcome else { continue };
        let is_stale_allowed = matches!(
            operation.ask,
            Ask::Get { reading: Reading::Serializable, .. } | Ask::List { reading: Reading::Serializable }
        );
        let floor = floors.before(operation.asked) + i64::from(answer.applied);
        if !is_stale_allowed && answer.revision < floor {
            wrong.insert(format!("{:?} was answered at {}, after {floor}", operation.ask, answer.revision));
        }
    }
}
