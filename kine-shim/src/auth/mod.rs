//! Users, roles and who may do what, as etcd has it. Pure: in go records of the log, changes and callers, out come
//! records, answers and refusals ([`Auth`], [`Access`]); beside it what needs a clock or randomness and therefore
//! happens before the sequencer: [`password`] and [`token`]. How a request names its caller is not known here (see
//! `grpc`), neither texts and codes.

mod access;
mod change;
pub mod password;
mod ranges;
mod store;
pub mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use access::Access;
pub use store::{Auth, PREFIX, ROOT};

pub use crate::model::{AuthRefusal, Change, NewPassword, Secret};

/// On whose behalf an operation is evaluated.
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
