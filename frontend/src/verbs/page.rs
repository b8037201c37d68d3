//! A page of a collection, as it was read.

use std::sync::Arc;

use super::encodings;
use crate::{api::schema::Object, cluster::Target, request::status::ApiError, store::Entry};

/// Items written at once; the rest of a long list is encoded while it is sent.
pub(super) const CHUNK: usize = 64;

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

pub(super) fn set_list_meta(list: &mut Object, listing: &Page) {
    list.set(&["metadata", "resourceVersion"], listing.revision.to_string());
    if !listing.continue_token.is_empty() {
        list.set(&["metadata", "continue"], listing.continue_token.as_str());
    }
    if let Some(remaining) = listing.remaining {
        list.set(&["metadata", "remainingItemCount"], remaining);
    }
}
