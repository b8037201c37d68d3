//! What may be wrong with keys and signatures.

/// A key that cannot be used. The text names no part of it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub(super) String);

/// Why a signature does not hold, in the words of the library that the real server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("go-jose/go-jose: error in cryptographic primitive")]
    Wrong,
    #[error("go-jose/go-jose: unknown/unsupported algorithm")]
    Algorithm,
}
