//! Whether a user may make a request.
//!
//! In: [`Attributes`]. Out: a [`Decision`], or the 403 of the real server. Not here: who the user is (authn), what an
//! object may contain (admission).

mod abac;
mod attributes;
mod builtin;
mod chain;
mod configured;
mod counted;
mod decision;
mod impersonation;
pub mod node;
pub mod rbac;
mod webhook;

pub use abac::{Abac, AbacError};
pub use attributes::{Attributes, Selector};
pub use builtin::{Always, Masters};
pub use chain::Authorization;
pub use configured::{AuthorizationFile, AuthorizationFileError};
pub use counted::Counted;
pub(in crate::access) use decision::aggregate;
pub use decision::{Authorizer, Decision, Rules, Verdict};
pub use impersonation::impersonate;
pub use webhook::{NAME_BY_FLAGS, Webhook};

#[cfg(test)]
mod tests;
