//! Signed tokens: JSON Web Signatures in the compact form, and the keys that make and check them.
//!
//! In: the text of a token, keys in PEM or as JSON Web Keys. Out: a payload that a key vouches for. The algorithm is
//! the key's, never the token's word alone: a token that names another is not looked at. What claims have in common in
//! all tokens is in `claims`. Not here: what else the payload says.

pub(super) mod claims;
mod der;
mod error;
mod pem;
mod private_key;
mod public_key;
mod token;

pub use error::{KeyError, SignatureError};
pub use pem::{private_key, public_keys};
pub use private_key::PrivateKey;
pub use public_key::PublicKey;
pub use token::{Jws, sign};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::access) use tests::p256 as new_key;
