//! The sequencer: evaluates operations, appends them in batches, applies what is committed. In go operations from the
//! mailbox, out come answers, each no earlier than what it was evaluated on is durable and current (invariant 3). One
//! task owns everything here. How SQL appends is not known (see `log`), neither what operations mean (see `state`).
//!
//! While batches are on their way, the next ones are evaluated on the state that will hold once they are committed; the
//! chain of ids sees to it that a batch is refused if its predecessor was. What is idle looks around: for what others
//! wrote, and whether the database is still the one it was.

mod advance;
mod catch_up;
mod commit;
mod failover;
mod fairness;
mod forward;
mod forwarding;
mod group_commit;
mod hints;
mod identity;
mod load;
mod mailbox;
mod peers;
mod publication;
mod run;
mod snapshots;
mod start;
mod task;
mod trim;

pub(crate) use forwarding::{Forwarded, Forwarding, Outcome as ForwardedOutcome, Told};
pub(crate) use hints::Hints;
pub(crate) use identity::{follows, is_same_database};
pub(crate) use load::REPORT_EVERY;
pub(crate) use mailbox::Mailbox;
pub(crate) use peers::Peers;
pub(crate) use publication::{Publication, Published};
pub(crate) use snapshots::{Snapshots, drop_aside};
pub(crate) use start::Surroundings;
pub(crate) use task::Sequencer;
pub(crate) use trim::{Trimming, Trims};
