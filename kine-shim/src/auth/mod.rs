//! Users, roles and who may do what, as etcd has it. Pure: in go records of the log, changes and callers, out come records, answers and
//! refusals ([`Auth`], [`Access`]); beside it what needs a clock or randomness and therefore happens before the sequencer: [`password`]
//! and [`token`]. How a request names its caller is not known here (see `grpc`), neither texts and codes.

mod access;
mod change;
pub mod password;
mod ranges;
mod store;
pub mod token;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use access::Access;
pub use change::{Change, NewPassword};
pub use store::{Auth, PREFIX, ROOT};

/// On whose behalf an operation is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The shim itself, which may do everything: leases that expire, compactions.
    Shim,
    /// A client that shows neither token nor certificate.
    Nobody,
    User(Identity),
}

/// Who a token or a certificate says the client is, and at which revision of the auth store that was found true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub name: Arc<str>,
    pub revision: u64,
}

/// What the auth store does not do. `grpc` gives each etcd's code and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthRefusal {
    #[error("root user does not exist")]
    RootUserNotExist,
    #[error("root user does not have root role")]
    RootRoleNotExist,
    #[error("user name already exists")]
    UserAlreadyExist,
    #[error("user name is empty")]
    UserEmpty,
    #[error("user name not found")]
    UserNotFound,
    #[error("role name already exists")]
    RoleAlreadyExist,
    #[error("role name not found")]
    RoleNotFound,
    #[error("role name is empty")]
    RoleEmpty,
    #[error("authentication failed")]
    AuthFailed,
    #[error("a password for a user without one")]
    NoPasswordUser,
    #[error("permission not given")]
    PermissionNotGiven,
    #[error("permission denied")]
    PermissionDenied,
    #[error("role is not granted to the user")]
    RoleNotGranted,
    #[error("permission is not granted to the role")]
    PermissionNotGranted,
    #[error("authentication is not enabled")]
    NotEnabled,
    #[error("invalid auth token")]
    InvalidToken,
    #[error("invalid auth management")]
    InvalidManagement,
    #[error("revision of auth store is old")]
    OldRevision,
    #[error("tokens can only be verified here")]
    VerifyOnly,
}

/// Bytes that no log may show: a password's hash, a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Bytes);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
