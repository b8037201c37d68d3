//! The plugins, one file each.

pub(super) mod priority;
pub(super) mod service_accounts;
pub(super) mod taints;
