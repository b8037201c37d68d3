//! What happened, for those who must be able to tell later.
//!
//! In: what the chain of a request learns of it, step by step. Out: events as a policy wants them, as lines of a
//! file and in lists to a service. Not here: who decides what is in the policy. A request waits for its events to be
//! taken, unless they are gathered (`--audit-log-mode=batch`, and the service's default): then a full buffer drops
//! them, and says how many.

mod backend;
mod batch;
mod event;
mod log;
mod metrics;
mod policy;
mod record;
mod sink;
mod webhook;

pub use backend::Backend;
pub use batch::Batching;
pub use log::{LogFile, Rotation};
pub use metrics::AuditMetrics;
pub use policy::{Level, Policy, PolicyError, Stage};
pub use record::Record;
pub use sink::{Audit, Mode, Sink, Truncation};
pub use webhook::Webhook;

#[cfg(test)]
mod tests;
