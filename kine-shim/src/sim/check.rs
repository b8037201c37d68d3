//! The checker: every promise of the shim, against the truth of the database. Each failure names the invariant it
//! breaks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    database::Database,
    history::{Call, Done, Outcome, WatchSession},
    model::Lineage,
};
use crate::{
    model::{Event, Key, Refusal, Revision},
    watch::WatchMessage,
};

type Verdict = Result<(), String>;

pub(super) fn check(database: &Database, done: &[Done], sessions: &[WatchSession]) -> Verdict {
    let (abandoned, chain) = database.truth();
    let mut lineages = Vec::new();
    for (ended, commits) in &abandoned {
        lineages.push(Lineage::replay(commits, Some(*ended))?);
    }
    lineages.push(Lineage::replay(&chain, None)?);
    for done in done {
        check_effect(&lineages, done).map_err(|what| format!("{what}\n  by {done:?}"))?;
    }
    check_order(done)?;
    // A failover that loses something takes the shims back for a moment, before they know of it.
    if abandoned.is_empty() {
        check_own_writes(done)?;
    }
    for session in sessions {
        check_session(&lineages, session).map_err(|what| format!("{what}\n  by {session:?}"))?;
    }
    check_leases(&lineages, done)
}

/// Chains in which an operation that began at `done.start` can have happened.
fn possible<'a>(lineages: &'a [Lineage], done: &Done) -> impl Iterator<Item = &'a Lineage> {
    let start = done.start.at;
    lineages.iter().filter(move |lineage| lineage.ended.is_none_or(|ended| ended >= start))
}

fn check_effect(lineages: &[Lineage], done: &Done) -> Verdict {
    if let Call::Put { value, .. } | Call::Swap { value, .. } = &done.call {
        check_value(lineages, done, value)?;
    }
    if matches!(done.outcome, Outcome::Blamed) {
        return Err("it failed for the sake of another's operation".into());
    }
    let holds = match (&done.call, &done.outcome) {
        (Call::Swap { key, expected, .. } | Call::Remove { key, expected }, Outcome::Written { header }) => {
            possible(lineages, done).any(|lineage| {
                lineage.change(key, *header).is_some()
                    && lineage.at(key, header - 1).map_or(0, |kv| kv.mod_revision) == *expected
            })
        }
        (Call::Swap { key, expected, .. } | Call::Remove { key, expected }, Outcome::CompareFailed { header, kvs }) => {
            possible(lineages, done).any(|lineage| {
                let there = lineage.at(key, *header);
                there.map_or(0, |kv| kv.mod_revision) != *expected && there.into_iter().eq(kvs)
            })
        }
        (Call::Delete { key }, Outcome::Written { header }) => {
            possible(lineages, done).any(|lineage| lineage.change(key, *header).is_some_and(|event| event.is_delete))
        }
        (Call::Delete { key } | Call::Remove { key, .. }, Outcome::NothingDeleted { header }) => {
            possible(lineages, done).any(|lineage| lineage.at(key, *header).is_none())
        }
        (Call::Get { key, is_linearizable }, Outcome::Read { header, kvs }) => chains(lineages, done, *is_linearizable)
            .any(|lineage| *header <= lineage.revision && lineage.at(key, *header).into_iter().eq(kvs)),
        (Call::List { is_linearizable }, Outcome::Read { header, kvs }) => chains(lineages, done, *is_linearizable)
            .any(|lineage| *header <= lineage.revision && lineage.list(*header) == *kvs),
        (Call::ListAt { revision }, Outcome::Read { kvs, .. }) => {
            possible(lineages, done).any(|lineage| lineage.list((*revision).max(1)) == *kvs)
        }
        (Call::ListAt { revision } | Call::Compact { revision }, Outcome::Refused(Refusal::Compacted)) => {
            lineages.iter().any(|lineage| lineage.compactions.iter().any(|compacted| compacted >= revision))
        }
        (Call::KeepAlive { id }, Outcome::KeptAlive { ttl: 0 })
        | (Call::Put { lease: id, .. } | Call::Revoke { id }, Outcome::Refused(Refusal::LeaseNotFound)) => {
            possible(lineages, done).any(|lineage| lineage.lacks_lease(*id, done.start.at, done.end.at))
        }
        _ => true,
    };
    if holds { Ok(()) } else { Err("invariant 3: the answer is not what the state was at its revision".into()) }
}

fn chains<'a>(
    lineages: &'a [Lineage],
    done: &'a Done,
    is_linearizable: bool,
) -> Box<dyn Iterator<Item = &'a Lineage> + 'a> {
    if is_linearizable { Box::new(possible(lineages, done)) } else { Box::new(lineages.iter()) }
}

/// Invariant 5: acknowledged exactly once, unknown at most once, everything else never.
fn check_value(lineages: &[Lineage], done: &Done, value: &str) -> Verdict {
    let written: BTreeSet<Revision> = lineages.iter().filter_map(|l| l.values.get(value)).flatten().copied().collect();
    let repeated = lineages.iter().filter_map(|l| l.values.get(value)).any(|revisions| revisions.len() > 1);
    if repeated || written.len() > 1 {
        return Err(format!("invariant 5: {value} was written at {written:?}"));
    }
    match &done.outcome {
        Outcome::Written { header } if !written.contains(header) => {
            Err(format!("invariant 5: {value} was acknowledged at {header} and written at {written:?}"))
        }
        Outcome::Written { .. } | Outcome::Unknown => Ok(()),
        _ if written.is_empty() => Ok(()),
        _ => Err(format!("invariant 5: {value} was not to be written, and was at {written:?}")),
    }
}

/// Linearizability in real time, and invariant 6: whoever begins after somebody ended sees no less, and a write sees
/// more.
fn check_order(done: &[Done]) -> Verdict {
    let mut ended: Vec<(u64, Revision)> = Vec::new();
    let mut begun: Vec<(u64, Revision, bool, &Done)> = Vec::new();
    for done in done {
        let (header, is_write) = match (&done.call, &done.outcome) {
            (
                Call::Put { .. } | Call::Delete { .. } | Call::Swap { .. } | Call::Remove { .. },
                Outcome::Written { header },
            ) => (*header, true),
            (
                _,
                Outcome::Written { header }
                | Outcome::NothingDeleted { header }
                | Outcome::CompareFailed { header, .. },
            ) => (*header, false),
            (
                Call::Get { is_linearizable: true, .. } | Call::List { is_linearizable: true } | Call::ListAt { .. },
                Outcome::Read { header, .. },
            ) => (*header, false),
            _ => continue,
        };
        ended.push((done.end.order, header));
        begun.push((done.start.order, header, is_write, done));
    }
    ended.sort_unstable();
    begun.sort_unstable_by_key(|(order, ..)| *order);
    let mut floor = 0;
    let mut before = ended.into_iter().peekable();
    for (order, header, is_write, done) in begun {
        while let Some((_, seen)) = before.next_if(|(end, _)| *end < order) {
            floor = floor.max(seen);
        }
        if header < floor || is_write && header == floor {
            return Err(format!("invariant 6: revision {header} after {floor} had been seen\n  by {done:?}"));
        }
    }
    Ok(())
}

/// Whoever was answered by a shim sees at least that much there, stale reads too.
fn check_own_writes(done: &[Done]) -> Verdict {
    let mut answered: BTreeMap<(usize, usize), Revision> = BTreeMap::new();
    let mut in_order: Vec<&Done> = done.iter().collect();
    in_order.sort_unstable_by_key(|done| done.start.order);
    for done in in_order {
        let seen = answered.entry((done.client, done.shim)).or_default();
        match (&done.call, &done.outcome) {
            (_, Outcome::Read { header, .. }) if *header < *seen => {
                return Err(format!("a shim shows revision {header} after it had answered {seen}\n  by {done:?}"));
            }
            (Call::Put { .. } | Call::Delete { .. } | Call::Swap { .. } | Call::Remove { .. }, outcome) => {
                if let Outcome::Written { header } | Outcome::CompareFailed { header, .. } = outcome {
                    *seen = (*seen).max(*header);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Invariant 4: every event once and in order with what was before it, and no progress ahead of an event.
fn check_session(lineages: &[Lineage], session: &WatchSession) -> Verdict {
    let mut why = String::new();
    for lineage in lineages {
        match check_session_in(lineage, session) {
            Ok(()) => return Ok(()),
            Err(what) => why = what,
        }
    }
    Err(format!("invariant 4: {why}"))
}

fn check_session_in(lineage: &Lineage, session: &WatchSession) -> Verdict {
    let is_wanted = |key: &Key| session.key.as_ref().is_none_or(|wanted| wanted == key) && key.starts_with(b"k");
    let wanted = |event: &Event| {
        let is_filtered = if event.is_delete { session.filters.no_delete } else { session.filters.no_put };
        is_wanted(&event.kv.key) && !is_filtered
    };
    let mut expected = None;
    // Everything up to here was delivered.
    let mut known = 0;
    for (at, message) in session.messages.iter().enumerate() {
        match message {
            WatchMessage::Created { header_revision, .. } => {
                if at != 0 {
                    return Err("created twice".into());
                }
                known = session.start.unwrap_or(header_revision + 1) - 1;
                let first = lineage.events.partition_point(|(revision, _)| *revision <= known);
                expected = Some(lineage.events[first..].iter().filter(|(_, event)| wanted(event)).peekable());
            }
            WatchMessage::Events { revisions, header_revision, .. } => {
                let Some(expected) = &mut expected else { return Err("events before created".into()) };
                for events in revisions {
                    if events.revision <= known || events.revision > *header_revision || events.events.is_empty() {
                        return Err(format!("revision {} after {known}, header {header_revision}", events.revision));
                    }
                    known = events.revision;
                    // There the value before is lost.
                    let is_edge = lineage.compactions.contains(&events.revision);
                    for event in &events.events {
                        let mut wanted = expected.next().cloned();
                        if let Some((_, wanted)) = wanted.as_mut().filter(|_| is_edge && event.prev.is_none()) {
                            wanted.prev = None;
                        }
                        compare(wanted.as_ref(), (events.revision, event))?;
                    }
                    if expected.peek().is_some_and(|(revision, _)| *revision == events.revision) {
                        return Err(format!("revision {} came in pieces", events.revision));
                    }
                }
            }
            WatchMessage::Progress { revision, .. } => {
                let Some(expected) = &mut expected else { return Err("progress before created".into()) };
                if let Some((missing, _)) = expected.next_if(|(at, _)| at <= revision) {
                    return Err(format!("progress {revision} overtook the event of {missing}"));
                }
                if *revision < known && session.start.is_none_or(|start| start <= *revision) {
                    return Err(format!("progress went back to {revision} from {known}"));
                }
                known = known.max(*revision);
            }
            WatchMessage::Canceled { .. } | WatchMessage::Refused { .. } => {
                if at + 1 != session.messages.len() {
                    return Err("messages after the end".into());
                }
            }
        }
    }
    Ok(())
}

fn compare(expected: Option<&(Revision, Event)>, got: (Revision, &Event)) -> Verdict {
    match expected {
        Some((revision, event)) if (*revision, event) == got => Ok(()),
        other => Err(format!("expected {other:?}, got {got:?}")),
    }
}

/// Leases end once, in the end all of them, and never early: not before the TTL is over since the last renewal that was
/// answered with one.
fn check_leases(lineages: &[Lineage], done: &[Done]) -> Verdict {
    let Some(lineage) = lineages.last() else { return Ok(()) };
    if let Some(id) = lineage.grants.keys().find(|id| !lineage.revokes.contains_key(*id)) {
        return Err(format!("lease {id} never ended"));
    }
    for (id, ends) in &lineage.revokes {
        let &[end] = &ends[..] else { return Err(format!("lease {id} ended {} times", ends.len())) };
        let was_revoked = done.iter().any(|done| {
            matches!(&done.call, Call::Revoke { id: revoked } if revoked == id)
                && !matches!(done.outcome, Outcome::Refused(_) | Outcome::NotApplied)
        });
        let Some((granted, ttl)) = lineage.grants.get(id).filter(|_| !was_revoked) else { continue };
        let ttl = Duration::from_secs(u64::try_from(*ttl).unwrap_or(0));
        let renewals = done.iter().filter_map(|done| match (&done.call, &done.outcome) {
            (Call::KeepAlive { id: kept }, Outcome::KeptAlive { ttl: 1.. }) if kept == id => Some(done.start.at),
            _ => None,
        });
        let last = renewals.chain([*granted]).max().unwrap_or(*granted);
        if end < last + ttl {
            return Err(format!("lease {id} ended {:?} after its last renewal, its TTL is {ttl:?}", end - last));
        }
    }
    Ok(())
}
