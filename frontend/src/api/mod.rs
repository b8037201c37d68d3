//! What is served: the table of resources, their types, and the documents that tell clients of both.
//!
//! In: rows and schemas. Out: one immutable snapshot of them, [`Api`]. Not here: HTTP methods, and the objects
//! themselves.

pub mod cel;
pub mod custom;
pub mod discovery;
pub mod openapi;
pub mod registry;
pub mod schema;
mod snapshot;
pub mod table;

pub use snapshot::{Api, ApiHandle};
