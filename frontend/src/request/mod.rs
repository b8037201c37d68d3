//! The nouns of a request: what it asks, its body, who sent it, what was agreed on with the client, and how it is
//! refused.
//!
//! Not here: where requests come from (`server`) and what is done with them (`verbs`).

pub mod body;
pub mod info;
mod message;
pub mod negotiate;
pub mod status;
mod steps;
pub mod url;
pub mod user;

pub use message::{AuditAnnotations, Notes, Peer, Request, Session, Warnings};
pub use steps::Steps;
pub use user::User;
