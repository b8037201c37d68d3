//! The one place where refusals and faults become gRPC statuses. Clients tell errors apart by the *text*, so code and
//! text are etcd's, letter by letter; what really happened goes to the log.

use tonic::{Code, Status};

use crate::{
    auth::AuthRefusal,
    model::{Error, Fault, Refusal},
};

/// What is wrong with a request before anything is read or evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    EmptyKey,
    ValueProvided,
    LeaseProvided,
    TooManyOps,
    DuplicateKey,
    EmptyOp,
    SortOption,
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
        Refusal::Auth(refusal) => return refusal.into(),
    };
    Status::new(code, text)
}

impl From<AuthRefusal> for Status {
    fn from(refusal: AuthRefusal) -> Self {
        let (code, text) = match refusal {
            AuthRefusal::RootUserNotExist => (Code::FailedPrecondition, "etcdserver: root user does not exist"),
            AuthRefusal::RootRoleNotExist => {
                (Code::FailedPrecondition, "etcdserver: root user does not have root role")
            }
            AuthRefusal::UserAlreadyExist => (Code::FailedPrecondition, "etcdserver: user name already exists"),
            AuthRefusal::UserEmpty => (Code::InvalidArgument, "etcdserver: user name is empty"),
            AuthRefusal::UserNotFound => (Code::FailedPrecondition, "etcdserver: user name not found"),
            AuthRefusal::RoleAlreadyExist => (Code::FailedPrecondition, "etcdserver: role name already exists"),
            AuthRefusal::RoleNotFound => (Code::FailedPrecondition, "etcdserver: role name not found"),
            AuthRefusal::RoleEmpty => (Code::InvalidArgument, "etcdserver: role name is empty"),
            AuthRefusal::AuthFailed => {
                (Code::InvalidArgument, "etcdserver: authentication failed, invalid user ID or password")
            }
            // etcd has no code for these two.
            AuthRefusal::NoPasswordUser => {
                (Code::Unknown, "auth: authentication failed, password was given for no password user")
            }
            AuthRefusal::VerifyOnly => (Code::Unknown, "auth: token signing attempted with verify-only key"),
            AuthRefusal::PermissionNotGiven => (Code::InvalidArgument, "etcdserver: permission not given"),
            AuthRefusal::PermissionDenied => (Code::PermissionDenied, "etcdserver: permission denied"),
            AuthRefusal::RoleNotGranted => (Code::FailedPrecondition, "etcdserver: role is not granted to the user"),
            AuthRefusal::PermissionNotGranted => {
                (Code::FailedPrecondition, "etcdserver: permission is not granted to the role")
            }
            AuthRefusal::NotEnabled => (Code::FailedPrecondition, "etcdserver: authentication is not enabled"),
            AuthRefusal::InvalidToken => (Code::Unauthenticated, "etcdserver: invalid auth token"),
            AuthRefusal::InvalidManagement => (Code::InvalidArgument, "etcdserver: invalid auth management"),
            AuthRefusal::OldRevision => (Code::InvalidArgument, "etcdserver: revision of auth store is old"),
        };
        Self::new(code, text)
    }
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
        Fault::Overloaded => (Code::ResourceExhausted, TOO_MANY),
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

/// As Go prints a gRPC error.
pub(super) fn in_go(status: &Status) -> String {
    let code = match status.code() {
        Code::InvalidArgument => "InvalidArgument",
        Code::PermissionDenied => "PermissionDenied",
        Code::Unauthenticated => "Unauthenticated",
        _ => "Unknown",
    };
    format!("rpc error: code = {code} desc = {}", status.message())
}

/// What comes to etcd's Lock and Election through its own client library has lost its code.
pub(super) fn through_client(status: Status) -> Status {
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::Internal => status,
        _ => Status::unknown(status.message()),
    }
}

pub(crate) fn no_leader() -> Status {
    Status::new(Code::Unavailable, NO_LEADER)
}

pub(super) fn too_many_requests() -> Status {
    Status::new(Code::ResourceExhausted, TOO_MANY)
}

pub(super) fn stopped() -> Status {
    Status::new(Code::Unavailable, STOPPED)
}

pub(super) fn watch_canceled() -> Status {
    Status::new(Code::Cancelled, "etcdserver: watch canceled")
}

pub(super) const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const TOO_MANY: &str = "etcdserver: too many requests";
const NO_LEADER: &str = "etcdserver: no leader";
const STOPPED: &str = "etcdserver: server stopped";
