//! What is answered in place of a reply: a refusal, or a fault.

use super::AuthRefusal;

/// An answer that is not the wished one; nothing was written. `grpc` gives each etcd's code and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("required revision has been compacted")]
    Compacted,
    #[error("required revision is a future revision")]
    FutureRevision,
    #[error("key not found")]
    KeyNotFound,
    #[error("requested lease not found")]
    LeaseNotFound,
    #[error("lease already exists")]
    LeaseExists,
    #[error("database space exceeded")]
    NoSpace,
    #[error("corrupt cluster")]
    Corrupt,
    #[error(transparent)]
    Auth(#[from] AuthRefusal),
}

/// Something went wrong on our side; says what the caller may assume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Certainly not written and never will be.
    #[error("not applied: {0}")]
    NotApplied(String),
    /// May have been written, or may be yet.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// The mailbox is full (etcd's "too many requests"). Not written.
    #[error("too many requests")]
    Overloaded,
    /// The shim is stopping. Not written.
    #[error("stopping")]
    Stopping,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Fault(#[from] Fault),
}
