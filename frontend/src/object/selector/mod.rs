//! Label and field selectors: what a client writes in `labelSelector=` and `fieldSelector=`.
//!
//! In: the text of the query. Out: a parsed selector that matches labels or named fields, and the exact error of the
//! API machinery about text that is none. Not here: which fields a resource can be selected by (registry).

mod field;
mod label;
mod label_text;
mod requirement;

pub use field::{FieldSelector, FieldTerm};
pub use label::LabelSelector;
pub use requirement::{Operator, Requirement, SelectorError};

#[cfg(test)]
mod tests;
