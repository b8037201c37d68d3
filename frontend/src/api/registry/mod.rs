//! Which resources this server knows: a table of rows, one for each group, version and plural, and an immutable
//! snapshot of it.
//!
//! In: rows (the built-in ones of [`builtin`], later custom resources). Out: [`Registry`], which requests are resolved
//! against and which discovery, OpenAPI, tables and storage keys are derived from. Not here: what a verb does, and how
//! objects are encoded.

mod builtin;
mod fields;
mod kept;
mod priorities;
mod row;
mod selectable;
mod snapshot;
#[cfg(test)]
mod tests;

pub use kept::{Kept, KeptDocument, Lasting, hash_of};
pub use priorities::{group_priority, priorities};
pub use row::{Encoding, Name, Resource, Storage, Subresource, Updates, Verb};
pub use selectable::{LabelRefusal, SelectableField, Unset};
pub use snapshot::{Group, GroupVersion, Registry, is_newer_version};
