//! What is particular to single resources when their objects are created, changed and deleted.
//!
//! In: a target and its objects. Out: objects made ready for the store. Most resources are a row of [`rows`]; those
//! with more to do have a file. Not here: validation, and the verbs.

mod accounts;
mod admin_access;
mod certificates;
mod claims;
pub mod definitions;
mod deletion;
mod disabled;
mod endpoints;
mod limits;
mod namespaces;
mod pods;
mod prepare;
mod reading;
mod registrations;
mod reset;
mod rows;
mod secrets;
mod selectors;
mod services;
mod taking;
mod templates;
mod writer;

pub use admin_access::unauthorized;
pub use deletion::{
    Collection, Grace, collection, grace, heeds_options, keeps_for_deletion, may_be_removed, refused_deletion,
    shows_deleted,
};
pub use prepare::{prepare_create, prepare_update};
pub use reading::settle;
pub use reset::{reset, reset_of_custom};
pub use services::Claims;
pub use taking::{begin, claim, claims_of};
pub use writer::Writer;
