//! What happened, for those who must be able to tell later.
//!
//! In: what the chain of a request learns of it, step by step. Out: events as a policy wants them, as lines of a file.
//! Not here: who decides what is in the policy. A request waits for the line to be written, unless lines are gathered
//! (`--audit-log-mode=batch`): then a full buffer drops them, and says how many.

mod event;
mod log;
mod policy;
mod record;
mod sink;

pub use log::{LogFile, Rotation};
pub use policy::{Level, Policy, PolicyError, Stage};
pub use record::Record;
pub use sink::{Audit, Mode};

#[cfg(test)]
mod tests;
