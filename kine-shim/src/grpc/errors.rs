//! The one place where refusals and faults become gRPC statuses. Clients tell errors apart by the *text*, so code and text are etcd's,
//! letter by letter; what really happened goes to the log.

use tonic::{Code, Status};

use crate::model::{Error, Fault, Refusal};

/// What is wrong with a request before anything is read or judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    EmptyKey,
    ValueProvided,
    LeaseProvided,
    TooManyOps,
    DuplicateKey,
    EmptyOp,
    SortOption,
    CompareOption,
    TooLarge,
    LeaseTtlTooLarge,
}

impl From<Invalid> for Status {
    fn from(invalid: Invalid) -> Self {
        let (code, text) = match invalid {
            Invalid::EmptyKey => (Code::InvalidArgument, "etcdserver: key is not provided"),
            Invalid::ValueProvided => (Code::InvalidArgument, "etcdserver: value is provided"),
            Invalid::LeaseProvided => (Code::InvalidArgument, "etcdserver: lease is provided"),
            Invalid::TooManyOps => (Code::InvalidArgument, "etcdserver: too many operations in txn request"),
            Invalid::DuplicateKey => (Code::InvalidArgument, "etcdserver: duplicate key given in txn request"),
            Invalid::EmptyOp => (Code::InvalidArgument, "etcdserver: key not found"),
            Invalid::SortOption => (Code::InvalidArgument, "etcdserver: invalid sort option"),
            // etcd lets these pass as true; nobody can mean that.
            Invalid::CompareOption => (Code::InvalidArgument, "etcdserver: invalid compare result or target"),
            Invalid::TooLarge => (Code::InvalidArgument, "etcdserver: request is too large"),
            Invalid::LeaseTtlTooLarge => (Code::OutOfRange, "etcdserver: too large lease TTL"),
        };
        Self::new(code, text)
    }
}

pub(super) fn refused(refusal: Refusal) -> Status {
    let (code, text) = match refusal {
        Refusal::Compacted => (Code::OutOfRange, COMPACTED),
        Refusal::FutureRevision => (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision"),
        Refusal::KeyNotFound => (Code::InvalidArgument, "etcdserver: key not found"),
        Refusal::LeaseNotFound => (Code::NotFound, "etcdserver: requested lease not found"),
        Refusal::LeaseExists => (Code::FailedPrecondition, "etcdserver: lease already exists"),
        Refusal::NoSpace => (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
        Refusal::Corrupt => (Code::DataLoss, "etcdserver: corrupt cluster"),
    };
    Status::new(code, text)
}

/// Clients never send a write again on Unavailable, and may send reads again.
pub(super) fn faulted(fault: Fault) -> Status {
    let (code, text) = told(&fault);
    tracing::warn!(%fault, answered = text, "a request failed on our side");
    Status::new(code, text)
}

fn told(fault: &Fault) -> (Code, &'static str) {
    match fault {
        Fault::NotApplied(_) => (Code::Unavailable, NO_LEADER),
        Fault::OutcomeUnknown(_) => (Code::Unavailable, "etcdserver: request timed out"),
        Fault::Overloaded => (Code::ResourceExhausted, "etcdserver: too many requests"),
        Fault::Stopping => (Code::Unavailable, STOPPED),
    }
}

/// What a client is told of the fault.
pub(crate) fn fault_text(fault: &Fault) -> &'static str {
    told(fault).1
}

pub(super) fn failed(error: Error) -> Status {
    match error {
        Error::Refused(refusal) => refused(refusal),
        Error::Fault(fault) => faulted(fault),
    }
}

pub(super) fn no_leader() -> Status {
    Status::new(Code::Unavailable, NO_LEADER)
}

pub(super) fn stopped() -> Status {
    Status::new(Code::Unavailable, STOPPED)
}

pub(super) fn watch_canceled() -> Status {
    Status::new(Code::Cancelled, "etcdserver: watch canceled")
}

pub(super) const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const NO_LEADER: &str = "etcdserver: no leader";
const STOPPED: &str = "etcdserver: server stopped";
