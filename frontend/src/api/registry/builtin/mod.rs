//! The built-in resources as rows.

mod groups;
mod template;

pub(super) use groups::all as rows;
