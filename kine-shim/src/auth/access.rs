//! What a caller may do on one state. The rules are etcd's (server/etcdserver/apply/apply_auth.go and v3_server.go),
//! their order too.

use super::{
    AuthRefusal, Caller,
    store::{Auth, ROOT, User},
};
use crate::{
    model::{DeleteRange, Key, KeyRange, LeaseId, Op, Put, Txn, TxnOp},
    state::State,
};

/// A caller on a state.
pub struct Access<'a> {
    state: &'a State,
    auth: &'a Auth,
    caller: &'a Caller,
    keys: Keys<'a>,
}

/// Which keys the caller may reach.
enum Keys<'a> {
    All,
    Of(&'a User),
    None(AuthRefusal),
}

impl<'a> Keys<'a> {
    fn of(auth: &'a Auth, caller: &Caller) -> Self {
        match caller {
            _ if !auth.is_enabled() => Self::All,
            Caller::Shim => Self::All,
            Caller::Nobody => Self::None(AuthRefusal::UserEmpty),
            Caller::User(identity) if identity.revision == 0 => Self::None(AuthRefusal::UserEmpty),
            Caller::User(identity) if identity.revision < auth.revision() => Self::None(AuthRefusal::OldRevision),
            Caller::User(identity) => match auth.user(&identity.name) {
                Some(user) if user.has_role(ROOT) => Self::All,
                Some(user) => Self::Of(user),
                None => Self::None(AuthRefusal::PermissionDenied),
            },
        }
    }
}

impl State {
    pub fn access<'a>(&'a self, caller: &'a Caller) -> Access<'a> {
        let auth = self.auth();
        Access { state: self, auth, caller, keys: Keys::of(auth, caller) }
    }
}

impl Access<'_> {
    /// Somebody at all.
    pub fn known(&self) -> Result<(), AuthRefusal> {
        match self.caller {
            Caller::Nobody if self.auth.is_enabled() => Err(AuthRefusal::UserEmpty),
            _ => Ok(()),
        }
    }

    /// A holder of the root role. The revision of a token does not matter here.
    pub fn admin(&self) -> Result<(), AuthRefusal> {
        match self.caller {
            _ if !self.auth.is_enabled() => Ok(()),
            Caller::Shim => Ok(()),
            Caller::Nobody => Err(AuthRefusal::UserEmpty),
            Caller::User(identity) if identity.name.is_empty() => Err(AuthRefusal::UserEmpty),
            Caller::User(identity) => match self.auth.user(&identity.name) {
                None => Err(AuthRefusal::UserNotFound),
                Some(user) if user.has_role(ROOT) => Ok(()),
                Some(_) => Err(AuthRefusal::PermissionDenied),
            },
        }
    }

    pub fn read(&self, range: &KeyRange) -> Result<(), AuthRefusal> {
        self.reach(|user| user.reads.covers(range))
    }

    fn write(&self, range: &KeyRange) -> Result<(), AuthRefusal> {
        self.reach(|user| user.writes.covers(range))
    }

    fn reach(&self, is_permitted: impl FnOnce(&User) -> bool) -> Result<(), AuthRefusal> {
        match &self.keys {
            Keys::All => Ok(()),
            Keys::Of(user) if is_permitted(user) => Ok(()),
            Keys::Of(_) => Err(AuthRefusal::PermissionDenied),
            Keys::None(refusal) => Err(*refusal),
        }
    }

    /// For what is answered from a state without being evaluated: the token is of exactly this state's revision.
    pub fn current(&self) -> Result<(), AuthRefusal> {
        match self.caller {
            Caller::User(identity) if self.auth.is_enabled() && identity.revision != self.auth.revision() => {
                Err(AuthRefusal::OldRevision)
            }
            _ => Ok(()),
        }
    }

    pub fn op(&self, op: &Op) -> Result<(), AuthRefusal> {
        if !self.auth.is_enabled() {
            return Ok(());
        }
        match op {
            Op::Put(put) => self.put(put),
            Op::DeleteRange(delete) => self.write(&delete.range).and_then(|()| self.prevs(delete)),
            Op::Txn(txn) => self.txn(txn),
            Op::LeaseGrant { .. } => self.known(),
            Op::LeaseRevoke { id } => self.known().and_then(|()| self.lease_writes(*id)),
            Op::LeaseExpire(_) | Op::Compact { .. } | Op::Record { .. } | Op::Auth(_) => self.admin(),
        }
    }

    fn put(&self, put: &Put) -> Result<(), AuthRefusal> {
        let key = KeyRange::single(put.key.clone());
        self.write(&key)?;
        self.lease_writes(put.lease)?;
        if put.prev_kv { self.read(&key) } else { Ok(()) }
    }

    fn prevs(&self, delete: &DeleteRange) -> Result<(), AuthRefusal> {
        if delete.prev_kv { self.read(&delete.range) } else { Ok(()) }
    }

    /// Both branches, whichever is taken.
    pub fn txn(&self, txn: &Txn) -> Result<(), AuthRefusal> {
        txn.compare.iter().try_for_each(|compare| self.read(&compare.range))?;
        txn.success.iter().chain(&txn.failure).try_for_each(|op| match op {
            TxnOp::Range(range) => self.read(&range.range),
            TxnOp::Put(put) => self.put(put),
            TxnOp::DeleteRange(delete) => self.prevs(delete).and_then(|()| self.write(&delete.range)),
            TxnOp::Txn(txn) => self.txn(txn),
        })
    }

    /// Whoever may end a lease, or bind a key to it, may write every key that ends with it.
    pub fn lease_writes(&self, id: LeaseId) -> Result<(), AuthRefusal> {
        if self.admin().is_ok() {
            return Ok(());
        }
        self.state.lease_keys(id).iter().try_for_each(|key| self.write(&KeyRange::single(key.clone())))
    }

    pub fn lease_reads(&self, keys: &[Key]) -> Result<(), AuthRefusal> {
        if self.admin().is_ok() {
            return Ok(());
        }
        keys.iter().try_for_each(|key| self.read(&KeyRange::single(key.clone())))
    }
}
