//! One client stream's end of the hub: requests go in by [`WatchControl`], messages come out of [`WatchStream::next`]
//! in their one order.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

use super::{
    Filters, WatchId, WatchMessage, WatchRefusal, WatchRequest,
    hub::{Hub, Reading, Source, Step},
    ring::{MESSAGE_BYTES, MESSAGE_REVISIONS, size_of},
};
use crate::model::{Event, KeyRange, Refusal, Revision, RevisionEvents};

/// Control messages that may wait for the client; then new requests wait.
const CONTROL_MAX: usize = 256;

/// The requests of one stream; cheap to clone.
#[derive(Clone)]
pub struct WatchControl {
    inner: Arc<Registration>,
}

/// The messages of one stream. Dropping it ends its watchers.
pub struct WatchStream {
    inner: Arc<Registration>,
    progress_interval: Duration,
    next_tick: Instant,
}

struct Registration {
    hub: Arc<Hub>,
    at: usize,
    wake: Arc<Notify>,
    room: Arc<Notify>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.close_stream(self.at);
    }
}

impl WatchControl {
    /// Asks for a watcher; the answer is a message of the stream. Waits while too many answers are unread; dropping the
    /// future then leaves nothing behind.
    pub async fn create(&self, request: WatchRequest) {
        self.room().await;
        self.inner.hub.create(self.inner.at, request);
    }

    /// Answers a wish for a watcher with no, in its turn.
    pub async fn refuse(&self, reason: WatchRefusal) {
        self.room().await;
        self.inner.hub.refuse(self.inner.at, reason);
    }

    async fn room(&self) {
        while self.inner.hub.control_len(self.inner.at) >= CONTROL_MAX {
            self.inner.room.notified().await;
        }
    }

    /// Ends a watcher; an unknown id is ignored, as in etcd.
    pub fn cancel(&self, id: WatchId) {
        self.inner.hub.cancel(self.inner.at, id);
    }

    /// Asks for one [`WatchMessage::Progress`] about the whole stream.
    pub fn request_progress(&self) {
        self.inner.hub.request_progress(self.inner.at);
    }
}

impl WatchStream {
    pub(crate) fn new(hub: Arc<Hub>, progress_interval: Duration) -> Self {
        let (wake, room) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let at = hub.open_stream(wake.clone(), room.clone());
        let inner = Arc::new(Registration { hub, at, wake, room });
        Self { inner, progress_interval, next_tick: Instant::now() + progress_interval }
    }

    pub fn control(&self) -> WatchControl {
        WatchControl { inner: self.inner.clone() }
    }

    /// The next message; `None` when the shim stops. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<WatchMessage> {
        loop {
            let Registration { hub, at, wake, .. } = &*self.inner;
            match hub.step(*at) {
                Step::Closed => return None,
                Step::Message(message) => return Some(message),
                Step::Read(reading) => {
                    if let Some(message) = read(hub, *at, *reading) {
                        return Some(message);
                    }
                }
                Step::Wait => {
                    if tokio::time::timeout_at(self.next_tick, wake.notified()).await.is_err() {
                        self.next_tick = Instant::now() + self.progress_interval;
                        hub.tick(*at);
                    }
                }
            }
        }
    }
}

/// Filters what a watcher has not read; `None` when nothing of it is for the client.
fn read(hub: &Hub, stream: usize, reading: Reading) -> Option<WatchMessage> {
    let Reading { slot, id, range, filters, from, upto, is_catching_up, source } = reading;
    let revisions = match source {
        Source::Ring(piece) => piece,
        Source::History(state) => match state.history(&range, from, MESSAGE_REVISIONS) {
            Ok(mut revisions) => {
                if let Some(next) = cut(&mut revisions, upto) {
                    hub.read_on(stream, slot, id, next);
                }
                revisions
            }
            Err(Refusal::Compacted) => {
                hub.compacted(stream, id);
                return None;
            }
            Err(_) => return None,
        },
    };
    let revisions: Vec<_> = revisions.into_iter().filter_map(|events| filter(events, &range, filters)).collect();
    let last = revisions.last()?.revision;
    hub.told(slot, id);
    // etcd's header: of a live batch the event's revision, of a catch-up batch the current one; not beyond progress
    // that is still to come.
    Some(WatchMessage::Events { id, header_revision: if is_catching_up { upto } else { last }, revisions })
}

/// Shortens a piece of history to one message up to a revision; where to read on, if there may be more.
fn cut(revisions: &mut Vec<Arc<RevisionEvents>>, upto: Revision) -> Option<Revision> {
    let is_full = revisions.len() >= MESSAGE_REVISIONS;
    let mut bytes = 0;
    let over = revisions.iter().enumerate().position(|(at, events)| {
        bytes += size_of(events);
        events.revision > upto || at > 0 && bytes > MESSAGE_BYTES
    });
    if let Some(over) = over {
        let next = revisions[over].revision;
        revisions.truncate(over);
        return Some(next);
    }
    if is_full { revisions.last().map(|last| last.revision + 1) } else { None }
}

fn filter(events: Arc<RevisionEvents>, range: &KeyRange, filters: Filters) -> Option<Arc<RevisionEvents>> {
    let wanted = |event: &Event| {
        let unwanted = if event.is_delete { filters.no_delete } else { filters.no_put };
        !unwanted && range.contains(&event.kv.key)
    };
    let count = events.events.iter().filter(|event| wanted(event)).count();
    if count == events.events.len() {
        return Some(events);
    }
    if count == 0 {
        return None;
    }
    let kept = events.events.iter().filter(|event| wanted(event)).cloned().collect();
    Some(Arc::new(RevisionEvents { revision: events.revision, events: kept }))
}
