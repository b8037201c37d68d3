//! Passwords: hashing and comparing them as etcd does, on threads of their own, a few at a time. The cost is meant to
//! hurt whoever guesses, not the requests of others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::Secret;

pub const COST_DEFAULT: u32 = 10;
pub const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// bcrypt looks at no more.
const LENGTH_MAX: usize = 72;
/// Requests that wait for a thread; more are refused.
const WAITING_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordFault {
    TooLong,
    /// Too many wait already.
    Busy,
    Stopped,
}

#[derive(Clone, Debug)]
pub struct Passwords {
    cost: u32,
    threads: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Passwords {
    pub fn new(cost: u32) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cost, threads: Arc::new(Semaphore::new(threads)), waiting: Arc::default() }
    }

    pub fn check(&self, password: &str) -> Result<(), PasswordFault> {
        if password.len() > LENGTH_MAX { Err(PasswordFault::TooLong) } else { Ok(()) }
    }

    pub async fn hash(&self, password: String) -> Result<Secret, PasswordFault> {
        self.check(&password)?;
        let cost = self.cost;
        self.apart(move || Secret(hashed(&password, cost, rand::random()))).await
    }

    pub async fn matches(&self, password: String, hash: Secret) -> Result<bool, PasswordFault> {
        self.apart(move || is_of(&password, &hash)).await
    }

    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordFault> {
        let _waiting = Waiting::begin(&self.waiting)?;
        let permit = self.threads.clone().acquire_owned().await.map_err(|_| PasswordFault::Stopped)?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            // Held by the work, not by who waits for it.
            drop(permit);
            done
        });
        working.await.map_err(|_| PasswordFault::Stopped)
    }
}

/// One of those who wait for a thread, of a bounded number.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Result<Self, PasswordFault> {
        let counted = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX { Ok(counted) } else { Err(PasswordFault::Busy) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// In Go's spelling, "$2a$".
fn hashed(password: &str, cost: u32, salt: [u8; 16]) -> Bytes {
    let parts = bcrypt::hash_with_salt(password, cost, salt);
    parts.map(|parts| parts.format_for_version(bcrypt::Version::TwoA)).unwrap_or_default().into()
}

/// What is no hash belongs to no password.
fn is_of(password: &str, hash: &Secret) -> bool {
    std::str::from_utf8(&hash.0).is_ok_and(|hash| bcrypt::verify(password, hash).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_go() {
        // Made by golang.org/x/crypto/bcrypt.
        let hash = Secret(Bytes::from_static(b"$2a$04$9O.SjpGeWuMQYl.vrEszKeYUhu8js5jtUffcmZFvZU/AjB2fylB2q"));
        assert!(is_of("secret", &hash));
        let made = hashed("secret", 4, [7; 16]);
        assert!(made.starts_with(b"$2a$04$") && made.len() == 60);
        assert!(is_of("secret", &Secret(made.clone())) && !is_of("Secret", &Secret(made)));
        assert!(!is_of("", &Secret(Bytes::new())) && !is_of("x", &Secret(Bytes::from_static(b"x"))));
        let empty = Secret(hashed("", 4, [1; 16]));
        assert!(is_of("", &empty) && !is_of(" ", &empty));
        assert!(!is_of("other", &hash));
    }

    #[tokio::test]
    async fn a_password_that_bcrypt_would_cut_is_refused() {
        let passwords = Passwords::new(4);
        assert_eq!(passwords.hash("x".repeat(73)).await, Err(PasswordFault::TooLong));
        let hash = passwords.hash("x".repeat(72)).await.expect("a hash");
        assert_eq!(passwords.matches("x".repeat(72), hash).await, Ok(true));
    }
}
