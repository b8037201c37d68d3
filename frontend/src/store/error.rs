//! What can go wrong between this server and its store.
//!
//! In: gRPC statuses and transport errors. Out: [`StoreError`], which says what the caller may assume. A refusal that
//! is an answer (a conflict, an existing key) is no error: see the outcomes in `model`. Turning errors into Kubernetes
//! Statuses happens elsewhere.

use tonic::{Code, Status};

/// Why a request got no response; the source of the Status that a stub returns.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChannelFault {
    /// The request never left this process.
    #[error("no endpoint can be reached: {0}")]
    NotSent(String),
    /// The request may have been carried out.
    #[error("the connection broke: {0}")]
    Lost(String),
}

/// A fault, or a refusal that no caller asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No endpoint answered. Nothing was written.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The deadline passed before a read was answered.
    #[error("the store did not answer in time")]
    Timeout,
    /// A write was sent and its reply was lost; it may have happened, or may still happen.
    #[error("the outcome of the write to {key} is unknown: {cause}")]
    OutcomeUnknown { key: String, cause: String },
    /// The revision asked for is no longer kept.
    #[error("the requested revision has been compacted")]
    Compacted,
    /// The revision asked for does not exist yet.
    #[error("revision {requested} is larger than the current revision {current}")]
    FutureRevision { requested: i64, current: i64 },
    /// The request is larger than the store accepts. Nothing was written.
    #[error("the request is too large for the store")]
    TooLarge,
    /// The store is full. Nothing was written.
    #[error("the store has no space left")]
    NoSpace,
    /// The lease is unknown or has expired. Nothing was written.
    #[error("the lease does not exist")]
    LeaseNotFound,
    /// Any other refusal. Nothing was written.
    #[error("the store refused the request: {0}")]
    Refused(String),
    /// The answer breaks etcd's contract.
    #[error("the store's answer is malformed: {0}")]
    Malformed(String),
    /// The configuration cannot work.
    #[error("bad store configuration: {0}")]
    Config(String),
    /// The cache has not read the store yet.
    #[error("the watch cache is not ready")]
    NotReady,
    /// The store handle was closed.
    #[error("the store is shut down")]
    Closed,
}

/// What one attempt of a request ended in, for those who decide whether to try again.
#[derive(Debug, Clone)]
pub(super) enum Attempt {
    /// The request never left; any request may be sent again.
    NotSent(String),
    /// The request may have been carried out.
    Lost(String),
    /// A definite answer.
    Answered(StoreError),
}

impl From<Status> for Attempt {
    fn from(status: Status) -> Attempt {
        let fault = std::error::Error::source(&status).and_then(|source| source.downcast_ref::<ChannelFault>());
        if let Some(ChannelFault::NotSent(cause)) = fault {
            return Attempt::NotSent(cause.clone());
        }
        match status.code() {
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::Aborted
            | Code::DataLoss => Attempt::Lost(describe(&status)),
            _ => Attempt::Answered(refusal(&status)),
        }
    }
}

impl Attempt {
    /// The error of a read: reads change nothing, so a lost reply is plain unavailability.
    pub(super) fn into_read_error(self) -> StoreError {
        match self {
            Attempt::NotSent(cause) | Attempt::Lost(cause) => StoreError::Unavailable(cause),
            Attempt::Answered(error) => error,
        }
    }
}

/// etcd tells its refusals apart by their text alone (see `rpctypes/error.go`).
fn refusal(status: &Status) -> StoreError {
    let message = status.message();
    if message.contains("required revision has been compacted") {
        StoreError::Compacted
    } else if message.contains("required revision is a future revision") {
        StoreError::FutureRevision { requested: 0, current: 0 }
    } else if ["request is too large", "message larger than max", "message length too large"]
        .iter()
        .any(|text| message.contains(text))
    {
        StoreError::TooLarge
    } else if message.contains("database space exceeded") {
        StoreError::NoSpace
    } else if message.contains("requested lease not found") {
        StoreError::LeaseNotFound
    } else {
        StoreError::Refused(describe(status))
    }
}

fn describe(status: &Status) -> String {
    if status.message().is_empty() {
        format!("{:?}", status.code())
    } else {
        format!("{:?}: {}", status.code(), status.message())
    }
}
