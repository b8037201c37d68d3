//! What an object may become: selection, patches, the behaviour of single resources, and validation.
//!
//! In: objects and what a client wants of them. Out: changed objects, or why they are refused. Not here: HTTP.

mod generated_name;
pub mod patch;
pub mod selector;
pub mod strategy;
pub mod validation;

pub(crate) use generated_name::generate_name;
