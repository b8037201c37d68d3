//! Tokens of service accounts: made for those who may ask for them, and believed while what they are bound to lives.
//!
//! In: keys and issuers, and the objects that the informer keeps. Out: signed tokens; users behind tokens; the
//! documents by which others check our tokens. Signatures that were found good are remembered for a while, bounded;
//! whether the account and what the token is bound to still live is looked up each time. Not here: who may ask for a
//! token.

mod accounts;
mod authenticate;
mod bound;
mod claims;
mod documents;
mod issue;
mod legacy;
mod verified;

pub use accounts::{ServiceAccountKeyError, ServiceAccounts};
pub use documents::{Documents, JWKS_PATH, OPENID_CONFIGURATION_PATH};
pub use issue::{Bound, Issued, TokenError, Wish};

#[cfg(test)]
mod tests;
