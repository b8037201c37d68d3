//! What an object may become: selection, patches, who owns which field, the behaviour of single resources, and
//! validation.
//!
//! In: objects and what a client wants of them. Out: changed objects, or why they are refused. Not here: HTTP.

pub mod equality;
mod generated_name;
pub mod managed_fields;
pub mod patch;
pub mod qos;
pub mod scope;
pub mod selector;
pub mod strategy;
pub mod validation;

pub(crate) use generated_name::generate_name;
