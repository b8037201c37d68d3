//! The connections to conversion webhooks, and whose turn it is to ask for what the cache holds.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use crate::{cluster::Webhooks, store::cache::ViewId};

#[derive(Default)]
pub struct Conversions {
    pub(super) webhooks: Webhooks,
    /// Only of views that somebody waits for.
    turns: Mutex<HashMap<ViewId, Weak<tokio::sync::Mutex<()>>>>,
}

impl Conversions {
    /// Held by who asks for views; the others wait and find them made.
    pub(super) fn turn(&self, view: ViewId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        if let Some(turn) = turns.get(&view).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(view, Arc::downgrade(&turn));
        turn
    }
}
