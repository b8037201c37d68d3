//! A connection and the chain of a request.
//!
//! In: bytes of a client. Out: bytes of an answer. Not here: who the client is (`access`), what the answer says
//! (`verbs`).

pub mod audit;
pub mod health;
pub mod metrics;
pub mod net;
pub mod pipeline;
mod proxy;
pub mod respond;
