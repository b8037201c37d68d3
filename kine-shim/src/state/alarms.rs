//! Alarms as records, and how the state obeys them: without space nothing may grow, in a corrupt store nothing may
//! change. How an alarm looks on the wire is not known here.

use super::State;
use crate::model::{Key, Op, Refusal, TxnOp};

/// An alarm's record is named "alarm/<kind>/<member in hex>"; its value is not empty while it is raised.
pub const ALARMS: &str = "alarm/";
/// Refuses puts and lease grants until it is disarmed.
pub const NO_SPACE: &str = "nospace";
/// Refuses whatever changes keys or leases until it is disarmed.
pub const CORRUPT: &str = "corrupt";

pub fn alarm_key(kind: &str, member: u64) -> Key {
    format!("{ALARMS}{kind}/{member:x}").into()
}

impl State {
    /// The alarms raised: (kind, member).
    pub fn alarms(&self) -> Vec<(String, u64)> {
        let from = Key::from_static(ALARMS.as_bytes());
        let raised = self.records.ascend(&from).take_while(|record| record.name.starts_with(ALARMS.as_bytes()));
        raised
            .filter_map(|record| {
                let name = std::str::from_utf8(&record.name).ok()?.strip_prefix(ALARMS)?;
                let (kind, member) = name.split_once('/')?;
                Some((kind.to_owned(), u64::from_str_radix(member, 16).ok()?))
            })
            .collect()
    }

    /// Deletes, compactions and revokes stay possible without space: they give some back.
    pub(super) fn check_alarms(&self, op: &Op) -> Result<(), Refusal> {
        let alarms = if self.records.live() == 0 { Vec::new() } else { self.alarms() };
        let is_raised = |name: &str| alarms.iter().any(|(kind, _)| kind == name);
        if is_raised(CORRUPT) && !matches!(op, Op::Record { .. } | Op::Auth(_)) {
            return Err(Refusal::Corrupt);
        }
        if !is_raised(NO_SPACE) {
            return Ok(());
        }
        let grows = match op {
            Op::Put(_) | Op::LeaseGrant { .. } => true,
            Op::Txn(txn) => txn.success.iter().chain(&txn.failure).any(grows),
            Op::DeleteRange(_) | Op::Compact { .. } | Op::LeaseRevoke { .. } | Op::LeaseExpire(_) => false,
            Op::Record { .. } | Op::Auth(_) => false,
        };
        if grows { Err(Refusal::NoSpace) } else { Ok(()) }
    }
}

fn grows(op: &TxnOp) -> bool {
    match op {
        TxnOp::Put(_) => true,
        TxnOp::Txn(txn) => txn.success.iter().chain(&txn.failure).any(grows),
        TxnOp::Range(_) | TxnOp::DeleteRange(_) => false,
    }
}
