//! Leases: renewals in batches, expiry by whoever saw a lease unrenewed for its whole time to live.

#[derive(Clone)]
pub(crate) struct Leases;

impl Leases {
    pub(crate) fn new() -> Self {
        Self
    }
}
