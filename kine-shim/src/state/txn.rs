//! Txn: which branches are taken, whether all may run, and the run. Every compare, nested ones too, looks at the state
//! before the Txn; the operations then see the writes before them. Static limits (counts, duplicate keys) are `grpc`'s.

use std::cmp::Ordering;

use super::{Draft, State, record::Record};
use crate::model::{Compare, CompareResult, CompareTarget, Put, Refusal, Txn, TxnOp, TxnOpReply, TxnReply};

/// The branch taken, and the same for the Txns in it, in order.
struct Path {
    succeeded: bool,
    nested: Vec<Path>,
}

impl Path {
    fn of(state: &State, txn: &Txn) -> Self {
        let succeeded = txn.compare.iter().all(|compare| holds(state, compare));
        let nested = branch(txn, succeeded).iter().filter_map(|op| match op {
            TxnOp::Txn(txn) => Some(Self::of(state, txn)),
            _ => None,
        });
        Self { succeeded, nested: nested.collect() }
    }
}

fn branch(txn: &Txn, succeeded: bool) -> &[TxnOp] {
    if succeeded { &txn.success } else { &txn.failure }
}

/// Every key of the range must match. A key that does not exist has no value to compare, and 0 for everything else.
fn holds(state: &State, compare: &Compare) -> bool {
    let mut found = state.live_in(&compare.range).peekable();
    if found.peek().is_none() {
        return match compare.target {
            CompareTarget::Value(_) => false,
            CompareTarget::Nothing => matches(compare.result, Ordering::Equal),
            CompareTarget::Version(of)
            | CompareTarget::Create(of)
            | CompareTarget::Mod(of)
            | CompareTarget::Lease(of) => matches(compare.result, 0.cmp(&of)),
        };
    }
    found.all(|record| matches(compare.result, order(record, &compare.target)))
}

fn order(record: &Record, target: &CompareTarget) -> Ordering {
    match target {
        CompareTarget::Version(version) => record.version.cmp(version),
        CompareTarget::Create(revision) => record.create_revision.cmp(revision),
        CompareTarget::Mod(revision) => record.revision.cmp(revision),
        CompareTarget::Lease(lease) => record.lease.cmp(lease),
        CompareTarget::Value(value) => record.value_bytes().cmp(value),
        CompareTarget::Nothing => Ordering::Equal,
    }
}

fn matches(result: CompareResult, order: Ordering) -> bool {
    match result {
        CompareResult::Equal => order.is_eq(),
        CompareResult::NotEqual => order.is_ne(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
        CompareResult::Anything => true,
    }
}

/// What must hold on the chosen path before anything runs.
fn check(state: &State, txn: &Txn, path: &Path) -> Result<(), Refusal> {
    let mut nested = path.nested.iter();
    for op in branch(txn, path.succeeded) {
        match op {
            TxnOp::Range(range) => state.check_readable(range.at)?,
            TxnOp::Put(put) => check_put(state, put)?,
            TxnOp::DeleteRange(_) => {}
            TxnOp::Txn(txn) => nested.next().map_or(Ok(()), |path| check(state, txn, path))?,
        }
    }
    Ok(())
}

fn check_put(state: &State, put: &Put) -> Result<(), Refusal> {
    if (put.ignore_value || put.ignore_lease) && state.live(&put.key).is_none() {
        return Err(Refusal::KeyNotFound);
    }
    state.check_lease(put.lease)
}

impl State {
    /// A Txn for which [`Txn::is_read_only`] holds.
    pub fn txn_read(&self, txn: &Txn) -> Result<TxnReply, Refusal> {
        self.draft().txn(txn)
    }

    pub(super) fn check_lease(&self, id: crate::model::LeaseId) -> Result<(), Refusal> {
        if id != 0 && self.leases.get(&id).is_none() { Err(Refusal::LeaseNotFound) } else { Ok(()) }
    }
}

impl Draft {
    pub(super) fn txn(&mut self, txn: &Txn) -> Result<TxnReply, Refusal> {
        let path = Path::of(self.state(), txn);
        check(self.state(), txn, &path)?;
        let reply = self.run(txn, &path)?;
        Ok(TxnReply { revision: self.revision(), ..reply })
    }

    fn run(&mut self, txn: &Txn, path: &Path) -> Result<TxnReply, Refusal> {
        let mut nested = path.nested.iter();
        let mut replies = Vec::new();
        for op in branch(txn, path.succeeded) {
            replies.push(match op {
                TxnOp::Range(range) => TxnOpReply::Range(self.state().range(range)?),
                TxnOp::Put(put) => TxnOpReply::Put(self.put(put)?),
                TxnOp::DeleteRange(delete) => TxnOpReply::DeleteRange(self.delete_range(delete)),
                // As many paths as nested Txns, by construction.
                TxnOp::Txn(txn) => match nested.next() {
                    Some(path) => TxnOpReply::Txn(self.run(txn, path)?),
                    None => continue,
                },
            });
        }
        Ok(TxnReply { succeeded: path.succeeded, replies, revision: 0 })
    }
}
