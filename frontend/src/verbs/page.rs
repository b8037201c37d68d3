//! A page of a collection, as it was read.

use std::sync::Arc;

use super::encodings;
use crate::{api::schema::Object, cluster::Target, request::status::ApiError, store::Entry};

/// A list before it is written: views of what the target selects.
pub(super) struct Page {
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) revision: i64,
    pub(super) continue_token: String,
    pub(super) remaining: Option<i64>,
}

impl Page {
    pub(super) fn objects(&self, target: &Target) -> Result<Vec<Object>, ApiError> {
        self.entries.iter().map(|entry| encodings::object(target, entry)).collect()
    }
}
