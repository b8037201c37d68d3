//! What is particular to single resources when their objects are created, changed and deleted.
//!
//! In: a target and its objects. Out: objects made ready for the store. Most resources are a row of [`rows`]; those with
//! more to do have a file. Not here: validation, and the verbs.

mod claims;
pub mod definitions;
mod deletion;
mod disabled;
mod endpoints;
mod equality;
mod namespaces;
mod pods;
mod prepare;
mod reset;
mod rows;
mod services;

pub use deletion::{Collection, Grace, collection, grace, keeps_for_deletion, may_be_removed, shows_deleted};
pub use equality::{same, same_but_entries};
pub use pods::quality_of_service;
pub use prepare::{prepare_create, prepare_update};
pub use reset::{reset, reset_of_custom};
pub use services::{Claims, claim, claims_of, keep_claims};
