//! Simple tokens. etcd's are random and live in every member's memory; here shims share no memory, so a token carries
//! what it says: a user, an end, and a MAC under a secret that stands in the log. Its shape is etcd's: some characters,
//! a dot, and the place in the log that a server must know before it can evaluate the token.
//!
//! As etcd's, a token lives on while it is used: each shim remembers the tokens it was shown. A token that one shim has
//! not seen ends there at its first end. It ends everywhere with its user's password, and when auth is switched off,
//! since the next secret is another.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use ring::hmac;

use super::Verdict;
use crate::{
    auth::{Auth, AuthRefusal, Identity},
    model::Position,
};

const END: usize = 8;
const NONCE: usize = 8;
const TAG: usize = 32;
/// Tokens remembered by a shim; more end at their first end.
const USED_MAX: usize = 65_536;
/// How often forgotten ones are looked for while there is no room.
const SWEEP_MS: i64 = 1_000;

type Tag = [u8; TAG];

pub struct Simple {
    ttl_ms: i64,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    /// When a token ends, by its tag.
    ends: HashMap<Tag, i64>,
    swept_ms: i64,
}

/// What a token is made of, in this order; the name is the rest.
struct Parts<'a> {
    end: [u8; END],
    nonce: [u8; NONCE],
    tag: Tag,
    name: &'a str,
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (end, rest) = bytes.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (tag, name) = rest.split_first_chunk()?;
        Some(Self { end: *end, nonce: *nonce, tag: *tag, name: std::str::from_utf8(name).ok()? })
    }
}

impl Simple {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl_ms: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX), used: Mutex::default() }
    }

    pub(super) fn assign(
        &self,
        user: &str,
        auth: &Auth,
        position: Position,
        now_ms: i64,
    ) -> Result<String, AuthRefusal> {
        let end = now_ms.saturating_add(self.ttl_ms).to_be_bytes();
        let nonce: [u8; NONCE] = rand::random();
        let (key, text) = signed(auth, user, end, nonce, position).ok_or(AuthRefusal::AuthFailed)?;
        let tag = hmac::sign(&key, &text);
        let bytes = [&end[..], &nonce[..], tag.as_ref(), user.as_bytes()].concat();
        Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(bytes), position.0))
    }

    pub(super) fn verify(&self, token: &str, auth: &Auth, position: Position, now_ms: i64) -> Verdict {
        let (Some((text, _)), Some(at)) = (token.split_once('.'), self::position(token)) else {
            return Verdict::Invalid;
        };
        if at > position {
            return Verdict::Ahead;
        }
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return Verdict::Invalid };
        let Some(parts) = Parts::read(&bytes) else { return Verdict::Invalid };
        let Some((key, text)) = signed(auth, parts.name, parts.end, parts.nonce, at) else { return Verdict::Invalid };
        let is_ours = hmac::verify(&key, &text, &parts.tag).is_ok();
        if !is_ours || !self.lives(parts.tag, i64::from_be_bytes(parts.end), now_ms) {
            return Verdict::Invalid;
        }
        Verdict::Known(Identity { name: parts.name.into(), revision: auth.revision() })
    }

    /// Whether the token has not ended; its end moves on by this use.
    fn lives(&self, tag: Tag, end: i64, now_ms: i64) -> bool {
        let mut used = self.used.lock();
        let remembered = used.ends.get(&tag).copied();
        if now_ms > remembered.unwrap_or(end).max(end) {
            used.ends.remove(&tag);
            return false;
        }
        if remembered.is_some() || used.has_room(now_ms) {
            used.ends.insert(tag, now_ms.saturating_add(self.ttl_ms));
        }
        true
    }
}

impl Used {
    fn has_room(&mut self, now_ms: i64) -> bool {
        if self.ends.len() >= USED_MAX && now_ms - self.swept_ms >= SWEEP_MS {
            self.ends.retain(|_, end| *end >= now_ms);
            self.swept_ms = now_ms;
        }
        self.ends.len() < USED_MAX
    }
}

/// The place in the log that a token names.
pub(super) fn position(token: &str) -> Option<Position> {
    let (_, position) = token.split_once('.')?;
    position.parse().ok().map(Position)
}

/// The key and what it signs. The password's hash is part of it: with another password, or none, the token is no longer
/// valid.
fn signed(
    auth: &Auth,
    user: &str,
    end: [u8; END],
    nonce: [u8; NONCE],
    position: Position,
) -> Option<(hmac::Key, Vec<u8>)> {
    let secret = auth.secret()?;
    let password = &auth.user(user)?.stored.password;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
    let lengths = (password.len() as u64).to_be_bytes();
    let text = [&end[..], &nonce[..], &position.0.to_be_bytes()[..], &lengths[..], password.as_ref(), user.as_bytes()];
    Some((key, text.concat()))
}
