//! Changes of users, roles and permissions as clients ask for them, and the refusals. What they come to is decided in
//! `auth`.

use std::fmt;

use bytes::Bytes;
use proto::authpb;

/// What becomes of a user's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewPassword {
    Hash(Secret),
    /// A hash that the client made itself and that cannot be read.
    Unreadable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// With the secret of the tokens to come.
    Enable(Secret),
    Disable,
    /// Without a password the user comes by certificate alone.
    UserAdd {
        name: String,
        password: Option<Secret>,
    },
    UserDelete {
        name: String,
    },
    UserChangePassword {
        name: String,
        password: NewPassword,
    },
    UserGrantRole {
        user: String,
        role: String,
    },
    UserRevokeRole {
        user: String,
        role: String,
    },
    RoleAdd {
        name: String,
    },
    RoleDelete {
        name: String,
    },
    RoleGrantPermission {
        role: String,
        permission: Option<authpb::Permission>,
    },
    RoleRevokePermission {
        role: String,
        key: Bytes,
        range_end: Bytes,
    },
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

impl Secret {
    pub fn of(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
