//! Which database answers, and whether its log goes on where ours ends.

use bytes::Bytes;

use crate::{
    log::{Identity, ReadIndex},
    model::{Head, Position},
    state::State,
};

/// The record (see [`State::records`]) that names the database the log was written to. When the database answers by
/// another name, a failover or a restore has happened.
pub(super) const IDENTITY_RECORD: &[u8] = b"kine-shim/identity";

/// How the identity record names a database.
pub(crate) fn identity_value(identity: &Identity) -> Bytes {
    Bytes::from(format!("{}/{}", identity.system, identity.timeline))
}

/// Whether the read index comes from the database in which `state` was written; a state without the record believes
/// any.
pub(crate) fn is_same_database(state: &State, read_index: &ReadIndex) -> bool {
    state.record(IDENTITY_RECORD).is_none_or(|recorded| recorded == identity_value(&read_index.identity))
}

/// Whether the read index found the batch that we applied last where we had found it.
pub(crate) fn follows(read_index: &ReadIndex, applied: Head) -> bool {
    applied.position == Position(0) || read_index.id_at_applied == Some(applied.id)
}
