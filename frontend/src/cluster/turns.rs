//! Whose turn it is: callers who name the same thing come one after another, in the order in which they asked.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

/// The turn at one thing, and what the last one left for the next.
type Turn<T> = Arc<tokio::sync::Mutex<T>>;

/// Only of things that somebody holds or waits for.
pub struct Turns<K, T>(Mutex<HashMap<K, Weak<tokio::sync::Mutex<T>>>>);

impl<K, T> Default for Turns<K, T> {
    fn default() -> Self {
        Turns(Mutex::default())
    }
}

/// Turns that are over are swept out when there are this many.
const SWEPT_AT: usize = 1024;

impl<K: Hash + Eq, T: Default> Turns<K, T> {
    /// Locked by whose turn it is.
    pub fn turn(&self, at: K) -> Turn<T> {
        let mut turns = self.0.lock();
        if let Some(turn) = turns.get(&at).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= SWEPT_AT {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Turn::default();
        turns.insert(at, Arc::downgrade(&turn));
        turn
    }
}
