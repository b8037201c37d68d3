//! Watches. In go commits (one watermark, a state, its events), out come ordered messages, one queue a stream. A stream
//! pulls: whoever reads slowly costs nobody anything, and whoever fell out of the ring of recent events reads on from
//! the state's history. What a gRPC response looks like is not known here (see `grpc`): `prev_kv`, fragments and empty
//! batches are cut there.

mod hub;
mod index;
mod ring;
mod stream;

use std::sync::Arc;

use crate::{
    auth::AuthRefusal,
    model::{KeyRange, Revision, RevisionEvents},
};

pub(crate) use hub::Hub;
pub use stream::{WatchControl, WatchStream};

/// Chosen by the client or by us, unique within one stream.
pub type WatchId = i64;

/// Which events a watcher does not want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    pub no_put: bool,
    pub no_delete: bool,
}

/// One watcher as a client wishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRequest {
    /// `None` (the wire's 0): the stream chooses, from 0 up.
    pub id: Option<WatchId>,
    pub range: KeyRange,
    /// First revision wanted; `None` (the wire's 0): what comes after now.
    pub start: Option<Revision>,
    pub filters: Filters,
    /// Wants a [`WatchMessage::Progress`] of its own now and then.
    pub progress_notify: bool,
}

/// Why a watcher was not even created (etcd answers Created + Canceled with id -1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchRefusal {
    DuplicateId,
    EmptyRange,
    NegativeRevision,
    /// Whoever asks may not.
    Denied(AuthRefusal),
}

/// In the order in which they must reach the client.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchMessage {
    /// Every event after `header_revision` (or from the wished start on) will be delivered.
    Created {
        id: WatchId,
        header_revision: Revision,
    },
    Refused {
        header_revision: Revision,
        reason: WatchRefusal,
    },
    /// Complete revisions in order, filtered; never empty.
    Events {
        id: WatchId,
        header_revision: Revision,
        revisions: Vec<Arc<RevisionEvents>>,
    },
    /// Everything up to `revision` was delivered: to the watcher, or with `None` (the wire's -1) to all watchers of the
    /// stream.
    Progress {
        id: Option<WatchId>,
        revision: Revision,
    },
    /// The last message of a watcher. `compacted` is set when the events it needs are no more.
    Canceled {
        id: WatchId,
        header_revision: Revision,
        compacted: Option<Revision>,
    },
}
