//! Memory for what is derived from entries and could be made again: their encodings. What does not fit is made anew
//! each time; what is kept stays until its entry goes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;

/// What is left of it.
#[derive(Debug)]
pub struct Budget(AtomicUsize);

impl Budget {
    pub(super) fn new(bytes: usize) -> Budget {
        Budget(AtomicUsize::new(bytes))
    }
}

/// Bytes within a budget, which gets them back when they go.
pub(super) struct Held {
    bytes: Bytes,
    budget: Arc<Budget>,
}

impl Held {
    /// None where they do not fit.
    pub(super) fn new(bytes: &Bytes, budget: &Arc<Budget>) -> Option<Arc<Held>> {
        let fits = |left: usize| left.checked_sub(bytes.len());
        budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Arc::new(Held { bytes: bytes.clone(), budget: Arc::clone(budget) }))
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes.len(), Ordering::Relaxed);
    }
}
