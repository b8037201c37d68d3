//! Changes of users, roles and permissions: each is evaluated on the auth store and becomes the records that make it
//! so. The order of checks is etcd's (server/auth/store.go), since it decides which refusal a client sees. Passwords
//! come hashed.

use bytes::Bytes;
use prost::Message;
use proto::authpb;

use super::store::{self, Auth, ROOT, User};
use crate::model::{AuthRefusal, Change, Key, NewPassword, Secret};

/// Records to set; an empty value removes one.
type Records = Vec<(Key, Bytes)>;

impl Auth {
    /// What the change makes of the store. Whether its caller may is asked before.
    pub(crate) fn evaluate(&self, change: &Change) -> Result<Records, AuthRefusal> {
        match change {
            Change::Enable(secret) => self.enable(secret),
            Change::Disable => Ok(self.disable()),
            Change::UserAdd { name, password } => self.user_add(name, password.as_ref()),
            Change::UserDelete { name } => self.user_delete(name),
            Change::UserChangePassword { name, password } => self.change_password(name, password),
            Change::UserGrantRole { user, role } => self.grant_role(user, role),
            Change::UserRevokeRole { user, role } => self.revoke_role(user, role),
            Change::RoleAdd { name } => self.role_add(name),
            Change::RoleDelete { name } => self.role_delete(name),
            Change::RoleGrantPermission { role, permission } => self.grant_permission(role, permission.as_ref()),
            Change::RoleRevokePermission { role, key, range_end } => self.revoke_permission(role, key, range_end),
        }
    }

    /// Takes no revision, as in etcd.
    fn enable(&self, secret: &Secret) -> Result<Records, AuthRefusal> {
        if self.is_enabled() {
            return Ok(Vec::new());
        }
        let root = self.user(ROOT).ok_or(AuthRefusal::RootUserNotExist)?;
        if !root.has_role(ROOT) {
            return Err(AuthRefusal::RootRoleNotExist);
        }
        Ok(vec![(store::ENABLED.into(), Bytes::from_static(&[1])), (store::SECRET.into(), secret.0.clone())])
    }

    fn disable(&self) -> Records {
        if !self.is_enabled() {
            return Vec::new();
        }
        self.changed(vec![(store::ENABLED.into(), Bytes::new()), (store::SECRET.into(), Bytes::new())])
    }

    fn user_add(&self, name: &str, password: Option<&Secret>) -> Result<Records, AuthRefusal> {
        if name.is_empty() {
            return Err(AuthRefusal::UserEmpty);
        }
        if self.user(name).is_some() {
            return Err(AuthRefusal::UserAlreadyExist);
        }
        let user = authpb::User {
            name: Bytes::copy_from_slice(name.as_bytes()),
            password: password.map(|hash| hash.0.clone()).unwrap_or_default(),
            roles: Vec::new(),
            options: Some(authpb::UserAddOptions { no_password: password.is_none() }),
        };
        Ok(self.changed(vec![user_record(user)]))
    }

    fn user_delete(&self, name: &str) -> Result<Records, AuthRefusal> {
        if self.is_enabled() && name == ROOT {
            return Err(AuthRefusal::InvalidManagement);
        }
        self.found_user(name)?;
        Ok(self.changed(vec![(store::user_key(name), Bytes::new())]))
    }

    fn change_password(&self, name: &str, password: &NewPassword) -> Result<Records, AuthRefusal> {
        let user = self.found_user(name)?;
        let password = match password {
            _ if !user.has_password() => Bytes::new(),
            NewPassword::Hash(hash) => hash.0.clone(),
            NewPassword::Unreadable => return Err(AuthRefusal::NoPasswordUser),
        };
        Ok(self.changed(vec![user_record(authpb::User { password, ..user.stored.clone() })]))
    }

    /// One that is granted already changes nothing, not even the revision.
    fn grant_role(&self, user: &str, role: &str) -> Result<Records, AuthRefusal> {
        let found = self.found_user(user)?;
        if role != ROOT {
            self.found_role(role)?;
        }
        if found.has_role(role) {
            return Ok(Vec::new());
        }
        let mut user = found.stored.clone();
        user.roles.push(role.to_owned());
        user.roles.sort_unstable();
        Ok(self.changed(vec![user_record(user)]))
    }

    fn revoke_role(&self, user: &str, role: &str) -> Result<Records, AuthRefusal> {
        if self.is_enabled() && user == ROOT && role == ROOT {
            return Err(AuthRefusal::InvalidManagement);
        }
        let found = self.found_user(user)?;
        if !found.has_role(role) {
            return Err(AuthRefusal::RoleNotGranted);
        }
        Ok(self.changed(vec![without_role(found, role)]))
    }

    fn role_add(&self, name: &str) -> Result<Records, AuthRefusal> {
        if name.is_empty() {
            return Err(AuthRefusal::RoleEmpty);
        }
        if self.role(name).is_some() {
            return Err(AuthRefusal::RoleAlreadyExist);
        }
        let name = Bytes::copy_from_slice(name.as_bytes());
        Ok(self.changed(vec![role_record(authpb::Role { name, key_permission: Vec::new() })]))
    }

    /// Its holders lose it.
    fn role_delete(&self, name: &str) -> Result<Records, AuthRefusal> {
        if self.is_enabled() && name == ROOT {
            return Err(AuthRefusal::InvalidManagement);
        }
        self.found_role(name)?;
        let holders = self.users().filter(|user| user.has_role(name)).map(|user| without_role(user, name));
        let removed = std::iter::once((store::role_key(name), Bytes::new()));
        Ok(self.changed(removed.chain(holders).collect()))
    }

    /// etcd looks for the range only at the first permission with its key: of two ranges that start alike the second
    /// one is added again instead of being replaced.
    fn grant_permission(&self, role: &str, given: Option<&authpb::Permission>) -> Result<Records, AuthRefusal> {
        let given = given.ok_or(AuthRefusal::PermissionNotGiven)?;
        if !is_range(&given.key, &given.range_end) {
            return Err(AuthRefusal::InvalidManagement);
        }
        let mut role = self.found_role(role)?.clone();
        let at = role.key_permission.partition_point(|of| of.key < given.key);
        match role.key_permission.get_mut(at) {
            Some(of) if of.key == given.key && of.range_end == given.range_end => of.perm_type = given.perm_type,
            _ => {
                role.key_permission.push(given.clone());
                role.key_permission.sort_by(|a, b| a.key.cmp(&b.key));
            }
        }
        Ok(self.changed(vec![role_record(role)]))
    }

    fn revoke_permission(&self, role: &str, key: &Bytes, range_end: &Bytes) -> Result<Records, AuthRefusal> {
        let mut role = self.found_role(role)?.clone();
        let before = role.key_permission.len();
        role.key_permission.retain(|of| of.key != *key || of.range_end != *range_end);
        if role.key_permission.len() == before {
            return Err(AuthRefusal::PermissionNotGranted);
        }
        Ok(self.changed(vec![role_record(role)]))
    }

    fn found_user(&self, name: &str) -> Result<&User, AuthRefusal> {
        self.user(name).ok_or(AuthRefusal::UserNotFound)
    }

    fn found_role(&self, name: &str) -> Result<&authpb::Role, AuthRefusal> {
        self.role(name).ok_or(AuthRefusal::RoleNotFound)
    }

    /// The records, and the revision that they take.
    fn changed(&self, mut records: Records) -> Records {
        let revision = self.revision() + 1;
        records.push((store::REVISION.into(), Bytes::copy_from_slice(&revision.to_be_bytes())));
        records
    }
}

/// A key, keys from one to another, or with "\0" from one on.
fn is_range(key: &[u8], end: &[u8]) -> bool {
    !key.is_empty() && (end.is_empty() || key < end || end == [0])
}

fn without_role(user: &User, role: &str) -> (Key, Bytes) {
    let mut user = user.stored.clone();
    user.roles.retain(|of| of != role);
    user_record(user)
}

fn user_record(user: authpb::User) -> (Key, Bytes) {
    (store::user_key(&String::from_utf8_lossy(&user.name)), user.encode_to_vec().into())
}

fn role_record(role: authpb::Role) -> (Key, Bytes) {
    (store::role_key(&String::from_utf8_lossy(&role.name)), role.encode_to_vec().into())
}
