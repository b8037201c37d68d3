//! How many requests are handled at a time. A further one is told to try again: nothing waits in a queue here.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::request::status::ApiError;

/// Places for reads and for mutations. None: no limit.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    reads: Option<Arc<Semaphore>>,
    mutations: Option<Arc<Semaphore>>,
}

impl Limits {
    pub fn new(reads_max: Option<usize>, mutations_max: Option<usize>) -> Limits {
        let places = |max: Option<usize>| max.map(|max| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))));
        Limits { reads: places(reads_max), mutations: places(mutations_max) }
    }

    /// A place until it is dropped, or the 429 of the real server.
    pub(super) fn enter(&self, is_mutation: bool) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        let places = if is_mutation { &self.mutations } else { &self.reads };
        let Some(places) = places else { return Ok(None) };
        Arc::clone(places).try_acquire_owned().map(Some).map_err(|_| {
            let refusal = ApiError::too_many_requests("Too many requests, please try again later.", 1);
            ApiError { plain_text: true, nosniff: true, ..refusal }
        })
    }
}
