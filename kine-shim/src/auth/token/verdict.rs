//! What a look at a token comes to, whatever kind it is.

use std::time::Duration;

use crate::auth::Identity;

pub const TTL_DEFAULT: Duration = Duration::from_secs(300);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Known(Identity),
    Invalid,
    /// It speaks of a later state than the one at hand.
    Ahead,
}
