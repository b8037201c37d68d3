//! The hub: one watermark, the state at it, a ring of recent events, and a dirty mark for each watcher that has
//! something to read. Commits come in through a short queue of their own, so that marking ten thousand watchers never
//! delays who publishes (invariant 8). Created revisions, progress and events all derive from the watermark, under one
//! lock (invariant 4).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Filters, WatchId, WatchMessage, WatchRefusal, WatchRequest,
    index::{Index, Slot},
    ring::Ring,
};
use crate::{
    model::{KeyRange, RangeEnd, Revision, RevisionEvents},
    state::State,
};

pub(crate) struct Hub {
    incoming: Mutex<Incoming>,
    /// Of commits that wait for their marks; more are forgotten and every watcher reads on from history.
    incoming_max: usize,
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Default)]
struct Incoming {
    commits: VecDeque<Commit>,
    revisions: usize,
}

struct Commit {
    state: State,
    events: Events,
}

enum Events {
    These(Vec<Arc<RevisionEvents>>),
    /// Too many came at once: whatever happened since this revision stands in the history.
    Forgotten {
        since: Revision,
    },
    /// A new incarnation: nothing that was watched goes on.
    Reset,
}

struct Inner {
    state: State,
    ring: Ring,
    index: Index,
    watchers: Vec<Option<Watcher>>,
    free: Vec<Slot>,
    streams: Vec<Option<Stream>>,
    free_streams: Vec<usize>,
    closed: bool,
}

struct Watcher {
    stream: usize,
    id: WatchId,
    range: KeyRange,
    filters: Filters,
    /// First revision wanted.
    start: Revision,
    /// The watermark when it was created: up to here it catches up.
    created_at: Revision,
    /// First revision that may hold something unread; it stands in its stream's `dirty` queue exactly while this is
    /// `Some`.
    dirty: Option<Revision>,
    progress_notify: bool,
    /// Nothing was sent since the last tick.
    quiet: bool,
}

struct Stream {
    wake: Arc<Notify>,
    room: Arc<Notify>,
    /// Goes before any event.
    control: VecDeque<WatchMessage>,
    dirty: VecDeque<Slot>,
    /// Dirty only beyond the progress asked for; they wait until it is answered.
    later: VecDeque<Slot>,
    watchers: BTreeMap<WatchId, Slot>,
    /// Canceled since their history is compacted. As in etcd their ids stay taken until the client cancels them, and
    /// that is answered.
    buried: BTreeSet<WatchId>,
    next_id: WatchId,
    /// A progress request: the watermark when it came. Nothing later is read before every watcher has read up to it and
    /// the answer is given, so that it neither overtakes an event nor goes back behind one.
    progress: Option<Revision>,
    progress_again: bool,
}

impl Stream {
    fn is_taken(&self, id: WatchId) -> bool {
        self.watchers.contains_key(&id) || self.buried.contains(&id)
    }
}

/// What a stream does next.
pub(super) enum Step {
    Message(WatchMessage),
    Read(Box<Reading>),
    Wait,
    Closed,
}

/// A watcher's unread piece, taken off the hub to be filtered outside its lock.
pub(super) struct Reading {
    pub(super) slot: Slot,
    pub(super) id: WatchId,
    pub(super) range: KeyRange,
    pub(super) filters: Filters,
    pub(super) from: Revision,
    /// What comes after this is not read yet, even if it is there.
    pub(super) upto: Revision,
    /// It reads what was there before it, or fell behind.
    pub(super) is_catching_up: bool,
    pub(super) source: Source,
}

pub(super) enum Source {
    Ring(Vec<Arc<RevisionEvents>>),
    History(Box<State>),
}

impl Hub {
    /// Remembers so many revisions; who is further behind reads on from the state's history.
    pub(crate) fn new(state: State, revisions: usize) -> Self {
        let ring = Ring::new(state.revision() + 1, revisions);
        let inner = Inner {
            state,
            ring,
            index: Index::default(),
            watchers: Vec::new(),
            free: Vec::new(),
            streams: Vec::new(),
            free_streams: Vec::new(),
            closed: false,
        };
        Self { incoming: Mutex::default(), incoming_max: revisions / 2, inner: Mutex::new(inner), wake: Notify::new() }
    }

    /// Takes the next commit. Short and bounded, whoever watches.
    pub(crate) fn publish(&self, state: State, events: Vec<Arc<RevisionEvents>>) {
        {
            let mut incoming = self.incoming.lock();
            incoming.revisions += events.len();
            let overflows = incoming.revisions > self.incoming_max && !incoming.commits.is_empty();
            let events = if overflows { incoming.forget(&events) } else { Events::These(events) };
            incoming.commits.push_back(Commit { state, events });
        }
        self.wake.notify_one();
    }

    /// Goes on with the state of a new incarnation: every watcher is cancelled as compacted, since none can know what
    /// it missed.
    pub(crate) fn reset(&self, state: State) {
        {
            let mut incoming = self.incoming.lock();
            *incoming = Incoming::default();
            incoming.commits.push_back(Commit { state, events: Events::Reset });
        }
        self.wake.notify_one();
    }

    /// Goes on with a later state whose events are only in its history.
    pub(crate) fn skip(&self, state: State, since: Revision) {
        {
            let mut incoming = self.incoming.lock();
            let events = match incoming.forget(&[]) {
                Events::Forgotten { since } => Events::Forgotten { since },
                Events::These(_) => Events::Forgotten { since },
                Events::Reset => Events::Reset,
            };
            incoming.commits.push_back(Commit { state, events });
        }
        self.wake.notify_one();
    }

    /// Marks watchers until the future is dropped.
    pub(crate) async fn run(&self) {
        loop {
            self.wake.notified().await;
            while self.inner.lock().mark_next(&self.incoming) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Ends every stream once its control messages are read.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.streams.iter().flatten().for_each(|stream| stream.wake.notify_one());
    }

    /// Number of watchers and of streams.
    pub(crate) fn population(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.watchers.len() - inner.free.len(), inner.streams.len() - inner.free_streams.len())
    }

    /// Watchers that the ring has overtaken.
    pub(crate) fn slow(&self) -> usize {
        let inner = self.inner.lock();
        let start = inner.ring.start();
        inner.watchers.iter().flatten().filter(|watcher| watcher.dirty.is_some_and(|dirty| dirty < start)).count()
    }

    pub(super) fn open_stream(&self, wake: Arc<Notify>, room: Arc<Notify>) -> usize {
        let mut inner = self.inner.lock();
        let stream = Stream {
            wake,
            room,
            control: VecDeque::new(),
            dirty: VecDeque::new(),
            later: VecDeque::new(),
            watchers: BTreeMap::new(),
            buried: BTreeSet::new(),
            next_id: 0,
            progress: None,
            progress_again: false,
        };
        match inner.free_streams.pop() {
            Some(free) => {
                inner.streams[free] = Some(stream);
                free
            }
            None => {
                inner.streams.push(Some(stream));
                inner.streams.len() - 1
            }
        }
    }

    pub(super) fn close_stream(&self, at: usize) {
        let mut inner = self.inner.lock();
        let Some(stream) = inner.streams[at].take() else { return };
        inner.free_streams.push(at);
        for slot in stream.watchers.into_values() {
            inner.free_watcher(slot);
        }
    }

    pub(super) fn control_len(&self, stream: usize) -> usize {
        self.inner.lock().streams[stream].as_ref().map_or(0, |stream| stream.control.len())
    }

    pub(super) fn create(&self, stream: usize, request: WatchRequest) {
        let mut inner = self.inner.lock();
        inner.mark_all(&self.incoming);
        inner.create(stream, request);
    }

    pub(super) fn refuse(&self, stream: usize, reason: WatchRefusal) {
        let mut inner = self.inner.lock();
        inner.mark_all(&self.incoming);
        let header_revision = inner.watermark();
        if let Some(stream) = &mut inner.streams[stream] {
            stream.control.push_back(WatchMessage::Refused { header_revision, reason });
            stream.wake.notify_one();
        }
    }

    pub(super) fn cancel(&self, stream: usize, id: WatchId) {
        let mut inner = self.inner.lock();
        inner.cancel(stream, id, None);
    }

    pub(super) fn request_progress(&self, stream: usize) {
        let mut inner = self.inner.lock();
        inner.mark_all(&self.incoming);
        inner.want_progress(stream);
    }

    /// Queues progress for those watchers of the stream that want it and had nothing else since the last tick.
    pub(super) fn tick(&self, stream: usize) {
        let mut inner = self.inner.lock();
        inner.mark_all(&self.incoming);
        inner.tick(stream);
    }

    pub(super) fn step(&self, stream: usize) -> Step {
        self.inner.lock().step(stream)
    }

    /// The watcher has read the history up to `next` and there is more.
    pub(super) fn read_on(&self, stream: usize, slot: Slot, id: WatchId, next: Revision) {
        let mut inner = self.inner.lock();
        let is_there = inner.watchers[slot].as_ref().is_some_and(|w| w.stream == stream && w.id == id);
        if is_there {
            inner.mark(slot, next);
        }
    }

    /// The watcher is sent something: no progress is due before the next tick but one.
    pub(super) fn told(&self, slot: Slot, id: WatchId) {
        let mut inner = self.inner.lock();
        if let Some(watcher) = inner.watchers[slot].as_mut().filter(|watcher| watcher.id == id) {
            watcher.quiet = false;
        }
    }

    /// The history a watcher needs is compacted: its end.
    pub(super) fn compacted(&self, stream: usize, id: WatchId) {
        let mut inner = self.inner.lock();
        let compacted = inner.state.compacted();
        inner.cancel(stream, id, Some(compacted));
    }
}

impl Incoming {
    /// Drops the events that wait, since too many do, and says from where on to look into the history.
    fn forget(&mut self, newest: &[Arc<RevisionEvents>]) -> Events {
        let mut since = newest.first().map(|events| events.revision);
        let mut reset = false;
        for commit in self.commits.drain(..).rev() {
            match commit.events {
                Events::These(events) => since = events.first().map(|events| events.revision).or(since),
                Events::Forgotten { since: earlier } => since = Some(earlier),
                Events::Reset => reset = true,
            }
        }
        self.revisions = 0;
        match since {
            _ if reset => Events::Reset,
            Some(since) => Events::Forgotten { since },
            None => Events::These(Vec::new()),
        }
    }
}

impl Inner {
    fn watermark(&self) -> Revision {
        self.state.revision()
    }

    fn mark_all(&mut self, incoming: &Mutex<Incoming>) {
        while self.mark_next(incoming) {}
    }

    /// Takes one commit in; false when none waits. Taken under the hub's lock, so that commits keep their order.
    fn mark_next(&mut self, incoming: &Mutex<Incoming>) -> bool {
        let commit = {
            let mut incoming = incoming.lock();
            let Some(commit) = incoming.commits.pop_front() else { return false };
            if let Events::These(events) = &commit.events {
                incoming.revisions = incoming.revisions.saturating_sub(events.len());
            }
            commit
        };
        self.state = commit.state;
        match commit.events {
            Events::These(events) => events.into_iter().for_each(|events| self.mark_concerned(events)),
            Events::Forgotten { since } => {
                self.ring.begin_anew(self.watermark() + 1);
                (0..self.watchers.len()).for_each(|slot| self.mark(slot, since));
            }
            Events::Reset => self.cancel_all(),
        }
        true
    }

    fn mark_concerned(&mut self, events: Arc<RevisionEvents>) {
        let mut found = Vec::new();
        for event in &events.events {
            self.index.concerned(&event.kv.key, |slot| found.push(slot));
        }
        found.into_iter().for_each(|slot| self.mark(slot, events.revision));
        self.ring.push(events);
    }

    /// There may be something unread from `revision` on.
    fn mark(&mut self, slot: Slot, revision: Revision) {
        let Some(watcher) = &mut self.watchers[slot] else { return };
        let revision = revision.max(watcher.start);
        if revision > self.state.revision() || watcher.dirty.is_some_and(|dirty| dirty <= revision) {
            return;
        }
        let was_dirty = watcher.dirty.replace(revision).is_some();
        let Some(stream) = &mut self.streams[watcher.stream] else { return };
        if stream.progress.is_some_and(|target| revision > target) {
            if !was_dirty {
                stream.later.push_back(slot);
            }
        } else if !was_dirty {
            stream.dirty.push_back(slot);
        } else if let Some(at) = stream.later.iter().position(|later| *later == slot) {
            stream.later.remove(at);
            stream.dirty.push_back(slot);
        }
        stream.wake.notify_one();
    }

    fn create(&mut self, at: usize, request: WatchRequest) {
        let header_revision = self.watermark();
        let compacted = self.state.compacted();
        let Some(stream) = &mut self.streams[at] else { return };
        stream.wake.notify_one();
        if let Some(reason) = refusal(stream, &request) {
            return stream.control.push_back(WatchMessage::Refused { header_revision, reason });
        }
        let id = request.id.unwrap_or_else(|| {
            while stream.is_taken(stream.next_id) {
                stream.next_id += 1;
            }
            // Not given out again when its watcher ends: late messages of one must not pass for those of another.
            stream.next_id += 1;
            stream.next_id - 1
        });
        stream.control.push_back(WatchMessage::Created { id, header_revision });
        let start = request.start.unwrap_or(header_revision + 1);
        if start < compacted {
            stream.buried.insert(id);
            let canceled = WatchMessage::Canceled { id, header_revision, compacted: Some(compacted) };
            return stream.control.push_back(canceled);
        }
        let watcher = Watcher {
            stream: at,
            id,
            range: request.range,
            filters: request.filters,
            start,
            created_at: header_revision,
            dirty: None,
            progress_notify: request.progress_notify,
            quiet: true,
        };
        let slot = self.free.pop().unwrap_or(self.watchers.len());
        stream.watchers.insert(id, slot);
        self.index.add(&watcher.range, slot);
        match self.watchers.get_mut(slot) {
            Some(free) => *free = Some(watcher),
            None => self.watchers.push(Some(watcher)),
        }
        self.mark(slot, start);
    }

    fn cancel(&mut self, at: usize, id: WatchId, compacted: Option<Revision>) {
        let header_revision = self.watermark();
        let Some(stream) = &mut self.streams[at] else { return };
        let slot = stream.watchers.remove(&id);
        let was_buried = stream.buried.remove(&id);
        if slot.is_none() && !was_buried {
            return;
        }
        if compacted.is_some() {
            stream.buried.insert(id);
        }
        stream.control.push_back(WatchMessage::Canceled { id, header_revision, compacted });
        stream.wake.notify_one();
        let Some(slot) = slot else { return };
        stream.dirty.retain(|dirty| *dirty != slot);
        stream.later.retain(|later| *later != slot);
        self.free_watcher(slot);
    }

    fn cancel_all(&mut self) {
        let (header_revision, compacted) = (self.watermark(), Some(self.state.compacted()));
        self.ring.begin_anew(header_revision + 1);
        for at in 0..self.streams.len() {
            let Some(stream) = &mut self.streams[at] else { continue };
            stream.dirty.clear();
            stream.later.clear();
            stream.progress = stream.progress.take().map(|_| header_revision);
            let watchers = std::mem::take(&mut stream.watchers);
            let ends = watchers.keys().map(|id| WatchMessage::Canceled { id: *id, header_revision, compacted });
            stream.control.extend(ends);
            stream.buried.extend(watchers.keys());
            stream.wake.notify_one();
            watchers.into_values().for_each(|slot| self.free_watcher(slot));
        }
    }

    fn free_watcher(&mut self, slot: Slot) {
        if let Some(watcher) = self.watchers[slot].take() {
            self.index.remove(&watcher.range, slot);
            self.free.push(slot);
        }
    }

    /// As in etcd, a request is dropped when the stream watches nothing, or something that lies in the future.
    fn want_progress(&mut self, at: usize) {
        let target = self.watermark();
        let Some(stream) = &mut self.streams[at] else { return };
        if stream.progress.is_some() {
            stream.progress_again = true;
            return;
        }
        let is_future = |slot: &Slot| self.watchers[*slot].as_ref().is_some_and(|watcher| watcher.start > target + 1);
        if stream.watchers.is_empty() || stream.watchers.values().any(is_future) {
            return;
        }
        stream.progress = Some(target);
        stream.wake.notify_one();
    }

    fn tick(&mut self, at: usize) {
        let revision = self.watermark();
        let Some(stream) = &mut self.streams[at] else { return };
        for (id, slot) in &stream.watchers {
            let Some(watcher) = &mut self.watchers[*slot] else { continue };
            let is_clean = watcher.dirty.is_none() && watcher.start <= revision + 1;
            if watcher.progress_notify && watcher.quiet && is_clean {
                stream.control.push_back(WatchMessage::Progress { id: Some(*id), revision });
            }
            watcher.quiet = true;
        }
    }

    fn step(&mut self, at: usize) -> Step {
        let Some(stream) = &mut self.streams[at] else { return Step::Closed };
        if let Some(message) = stream.control.pop_front() {
            stream.room.notify_one();
            return Step::Message(message);
        }
        if let Some(revision) = stream.progress
            && stream.dirty.is_empty()
        {
            stream.progress = None;
            stream.dirty.append(&mut stream.later);
            if std::mem::take(&mut stream.progress_again) {
                self.want_progress(at);
            }
            return Step::Message(WatchMessage::Progress { id: None, revision });
        }
        if self.closed {
            return Step::Closed;
        }
        let Some(slot) = stream.dirty.pop_front() else { return Step::Wait };
        // A slot stands in the queue exactly while its watcher is dirty, so neither `else` is ever taken.
        let Some(watcher) = &mut self.watchers[slot] else { return Step::Wait };
        let Some(from) = watcher.dirty.take() else { return Step::Wait };
        let upto = stream.progress.unwrap_or(self.state.revision());
        let (id, range, filters) = (watcher.id, watcher.range.clone(), watcher.filters);
        let is_from_edge = from == watcher.start && from <= watcher.created_at && from == self.state.compacted();
        // Who starts at the compacted revision is told of it what is left of it, and not what the ring remembers.
        let is_behind = from < self.ring.start() || is_from_edge;
        let is_catching_up = is_behind || from <= watcher.created_at;
        let source = if is_behind {
            Source::History(Box::new(self.state.clone()))
        } else {
            let (piece, more) = self.ring.piece(from, upto);
            if let (true, Some(last)) = (more, piece.last()) {
                self.mark(slot, last.revision + 1);
            }
            Source::Ring(piece)
        };
        Step::Read(Box::new(Reading { slot, id, range, filters, from, upto, is_catching_up, source }))
    }
}

fn refusal(stream: &Stream, request: &WatchRequest) -> Option<WatchRefusal> {
    let range = &request.range;
    let is_empty = matches!(&range.end, RangeEnd::Before(end) if *end <= range.start);
    if request.start.is_some_and(|start| start < 0) {
        Some(WatchRefusal::NegativeRevision)
    } else if is_empty {
        Some(WatchRefusal::EmptyRange)
    } else if request.id.is_some_and(|id| stream.is_taken(id)) {
        Some(WatchRefusal::DuplicateId)
    } else {
        None
    }
}
