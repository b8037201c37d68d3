//! The auth store as the log's records make it. The records of users and roles are etcd's own messages, so that a
//! snapshot carries them over byte for byte; what a user may do is computed when a record changes, not when a request
//! asks.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use prost::Message;
use proto::{authpb, authpb::permission::Type};

use super::{AuthRefusal, Caller, Secret, ranges::KeySet};
use crate::model::{Key, KeyRange};

/// Every record of the auth store is named below this.
pub const PREFIX: &[u8] = b"auth/";
/// The user and the role that may do everything.
pub const ROOT: &str = "root";

pub(super) const ENABLED: &str = "auth/enabled";
pub(super) const REVISION: &str = "auth/revision";
/// What simple tokens are signed with; drawn anew whenever auth is enabled.
pub(super) const SECRET: &str = "auth/secret";
const USER: &str = "auth/user/";
const ROLE: &str = "auth/role/";

pub(super) fn user_key(name: &str) -> Key {
    format!("{USER}{name}").into()
}

pub(super) fn role_key(name: &str) -> Key {
    format!("{ROLE}{name}").into()
}

#[derive(Clone)]
pub(super) struct User {
    pub(super) stored: authpb::User,
    pub(super) reads: KeySet,
    pub(super) writes: KeySet,
}

impl User {
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.stored.roles.iter().any(|of| of == role)
    }

    pub(super) fn has_password(&self) -> bool {
        !self.stored.options.as_ref().is_some_and(|options| options.no_password)
    }
}

/// A value: cloned before it is changed, while somebody else looks at it.
#[derive(Clone)]
pub struct Auth {
    enabled: bool,
    revision: u64,
    secret: Option<Secret>,
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, authpb::Role>,
}

impl Default for Auth {
    /// etcd's store begins at revision 1.
    fn default() -> Self {
        Self { enabled: false, revision: 1, secret: None, users: BTreeMap::new(), roles: BTreeMap::new() }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (users, roles) = (self.users.len(), self.roles.len());
        write!(f, "Auth {{ enabled: {}, revision: {}, users: {users}, roles: {roles} }}", self.enabled, self.revision)
    }
}

impl Auth {
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Rises with every change of a user, a role or a permission.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    pub(super) fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    pub(super) fn role(&self, name: &str) -> Option<&authpb::Role> {
        self.roles.get(name)
    }

    /// By name.
    pub fn user_names(&self) -> Vec<String> {
        self.users.keys().cloned().collect()
    }

    /// By name.
    pub fn role_names(&self) -> Vec<String> {
        self.roles.keys().cloned().collect()
    }

    pub fn roles_of(&self, user: &str) -> Result<Vec<String>, AuthRefusal> {
        self.user(user).map(|user| user.stored.roles.clone()).ok_or(AuthRefusal::UserNotFound)
    }

    /// Of the root role, which needs none: everything.
    pub fn permissions_of(&self, role: &str) -> Result<Vec<authpb::Permission>, AuthRefusal> {
        let found = self.role(role).ok_or(AuthRefusal::RoleNotFound)?;
        if role == ROOT {
            let end = Bytes::from_static(&[0]);
            return Ok(vec![authpb::Permission {
                perm_type: Type::Readwrite as i32,
                key: Bytes::new(),
                range_end: end,
            }]);
        }
        Ok(found.key_permission.clone())
    }

    pub fn has_role(&self, caller: &Caller, role: &str) -> bool {
        matches!(caller, Caller::User(identity) if self.user(&identity.name).is_some_and(|user| user.has_role(role)))
    }

    /// What a password given for this user is compared with.
    pub fn password_of(&self, user: &str) -> Result<Secret, AuthRefusal> {
        if !self.enabled {
            return Err(AuthRefusal::NotEnabled);
        }
        let user = self.user(user).ok_or(AuthRefusal::AuthFailed)?;
        if user.has_password() { Ok(Secret(user.stored.password.clone())) } else { Err(AuthRefusal::NoPasswordUser) }
    }

    /// Takes over a record below [`PREFIX`]; an empty value removes it. What cannot be read is as if it were not there.
    pub(crate) fn apply(&mut self, name: &[u8], value: &Bytes) {
        let Ok(name) = std::str::from_utf8(name) else { return };
        match name {
            ENABLED => self.enabled = !value.is_empty(),
            REVISION => self.revision = value.as_ref().try_into().map_or(1, u64::from_be_bytes),
            SECRET => self.secret = (!value.is_empty()).then(|| Secret(owned(value))),
            _ => {
                if let Some(user) = name.strip_prefix(USER) {
                    self.apply_user(user, value);
                } else if let Some(role) = name.strip_prefix(ROLE) {
                    self.apply_role(role, value);
                }
            }
        }
    }

    fn apply_user(&mut self, name: &str, value: &Bytes) {
        match authpb::User::decode(owned(value)) {
            Ok(stored) if !value.is_empty() => {
                let (reads, writes) = self.granted(&stored);
                self.users.insert(name.to_owned(), User { stored, reads, writes });
            }
            _ => {
                self.users.remove(name);
            }
        }
    }

    fn apply_role(&mut self, name: &str, value: &Bytes) {
        match authpb::Role::decode(owned(value)) {
            Ok(role) if !value.is_empty() => self.roles.insert(name.to_owned(), role),
            _ => self.roles.remove(name),
        };
        let holders = self.users.iter().filter(|(_, user)| user.has_role(name));
        let granted: Vec<_> = holders.map(|(user, of)| (user.clone(), self.granted(&of.stored))).collect();
        for (user, (reads, writes)) in granted {
            if let Some(user) = self.users.get_mut(&user) {
                (user.reads, user.writes) = (reads, writes);
            }
        }
    }

    /// What the user's roles let it read and write.
    fn granted(&self, user: &authpb::User) -> (KeySet, KeySet) {
        let permissions = || user.roles.iter().filter_map(|role| self.roles.get(role)).flat_map(|r| &r.key_permission);
        let of = |types: [Type; 2]| {
            let granted = permissions().filter(|given| types.iter().any(|of| given.perm_type == *of as i32));
            granted.map(|given| KeyRange::from_wire(given.key.clone(), given.range_end.clone())).collect()
        };
        (of([Type::Read, Type::Readwrite]), of([Type::Write, Type::Readwrite]))
    }
}

/// A copy, so that no page of the log stays in memory for the sake of a record.
fn owned(value: &Bytes) -> Bytes {
    Bytes::copy_from_slice(value)
}
