//! Tokens of OpenID Connect: JSON Web Tokens of issuers that an operator names by flags or in a file.
//!
//! In: the flags, or the file and its changes; tokens. Out: the users that their claims make. The issuers' keys are
//! found by discovery and fetched again when a token names one that is not known. Not here: the tokens of this server's
//! own service accounts (`service_account`).
//!
//! A token's way: `issuer` tells whose it is, `verify` checks its times, audience and signature by the `keys` that
//! `provider` found, `distributed` fetches claims that stand elsewhere, `mapping` makes a user of the claims.

mod configuration;
mod distributed;
mod issuer;
mod issuers;
mod keys;
mod mapping;
mod provider;
mod validation;
mod verify;

pub use configuration::{AnonymousSettings, AuthenticationConfiguration};
pub use issuers::{ConfigurationFile, Issuers, OidcError};

/// The signatures that issuers may use. Never one that the issuer's public key could be the secret of.
const ALGORITHMS: [&str; 9] = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];

/// Texts as Go's `%q` prints a list of them.
fn quoted<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| crate::request::status::go_quote(text.as_ref())).collect();
    format!("[{}]", texts.join(" "))
}

#[cfg(test)]
mod tests;
