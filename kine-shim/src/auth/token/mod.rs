//! Tokens: what a client shows instead of its password. In go users and tokens, out come tokens and users. The kinds
//! are those of etcd's `--auth-token`: `simple`, `jwt,…`, or nothing.

mod jwt;
mod keys;
mod simple;
mod verdict;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, time::Duration};

pub use self::verdict::{TTL_DEFAULT, Verdict};
use self::{jwt::Jwt, simple::Simple};
use super::{Auth, AuthRefusal};
use crate::model::Position;

pub enum Tokens {
    /// With `--auth-token=` clients come by certificate alone.
    None,
    Simple(Simple),
    Jwt(Box<Jwt>),
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Simple(_) => "simple",
            Self::Jwt(_) => "jwt",
        })
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self::Simple(Simple::new(TTL_DEFAULT))
    }
}

impl Tokens {
    /// From the flag's text; `ttl` is that of simple tokens. Reads the key files of `jwt`.
    pub fn parse(text: &str, ttl: Duration) -> Result<Self, String> {
        let mut parts = text.split(',');
        let kind = parts.next().unwrap_or_default();
        let mut options = BTreeMap::new();
        for part in parts {
            let pair = part.split_once('=').filter(|(_, value)| !value.contains('='));
            let (name, value) = pair.ok_or_else(|| format!("{part:?} is not NAME=VALUE"))?;
            if options.insert(name, value).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        match kind {
            "simple" => Ok(Self::Simple(Simple::new(if ttl.is_zero() { TTL_DEFAULT } else { ttl }))),
            "jwt" => Ok(Self::Jwt(Box::new(Jwt::from_options(&options)?))),
            "" => Ok(Self::None),
            _ => Err(format!("{kind:?} is neither simple nor jwt")),
        }
    }

    /// `position` is the newest that the state has, `now_ms` the wall clock.
    pub fn verify(&self, token: &str, auth: &Auth, position: Position, now_ms: i64) -> Verdict {
        match self {
            Self::None => Verdict::Invalid,
            Self::Simple(simple) => simple.verify(token, auth, position, now_ms),
            Self::Jwt(jwt) => jwt.verify(token, now_ms),
        }
    }

    /// Whether the token speaks of a later position; costs nothing.
    pub fn is_ahead(&self, token: &str, position: Position) -> bool {
        matches!(self, Self::Simple(_)) && simple::position(token).is_some_and(|at| at > position)
    }

    /// A token for a user whose password was right.
    pub fn assign(&self, user: &str, auth: &Auth, position: Position, now_ms: i64) -> Result<String, AuthRefusal> {
        match self {
            Self::None => Err(AuthRefusal::AuthFailed),
            Self::Simple(simple) => simple.assign(user, auth, position, now_ms),
            Self::Jwt(jwt) => jwt.assign(user, auth, now_ms),
        }
    }
}
