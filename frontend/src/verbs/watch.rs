//! Watches: every change of what is selected, as a stream of frames.
//!
//! An object that enters a selection is ADDED, one that leaves it is DELETED as it was before. Frames of whole objects
//! are made once and shared by all watchers. A watch ends cleanly at its timeout and when a custom resource is defined
//! anew, and with an ERROR event when it cannot go on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use http::{HeaderValue, Response, header};
use tokio::time::{Instant, sleep_until};

use super::{
    connect,
    get::FRESHNESS_WAIT,
    list_options::ListOptions,
    select,
    watch_frames::{EventType, Frames},
    write::store_error,
};
use crate::{
    cluster::Target,
    request::{
        Request,
        body::{self, Body},
        negotiate::Output,
        status::ApiError,
    },
    store::{CacheEvent, Entry, EventKind, Snapshot, StoreError, Subscription, WatchEnd},
    verbs::Context,
};

/// Events taken from the cache at once.
const BATCH: usize = 128;
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A last bookmark is sent this long before the end, so that the next watch starts from there.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// Where a watch stands between two frames.
struct Watching {
    ctx: Arc<Context>,
    target: Target,
    options: ListOptions,
    frames: Frames,
    subscription: Option<Subscription>,
    /// The state to begin with, and the position in it.
    initial: Option<(Snapshot, Option<String>)>,
    /// A bookmark that says where the state ends is owed, at this revision.
    initial_end: Option<i64>,
    ends_at: Instant,
    alarms: FuturesUnordered<BoxFuture<'static, Alarm>>,
    last_bookmark: i64,
    ended: bool,
}

/// What a watch waits for besides events. It is asked only when something has happened, not with every event.
enum Alarm {
    /// The watch is over: its time, the server's, or that of what the resource was.
    End,
    Bookmark,
}

pub(super) async fn watch(
    ctx: Arc<Context>,
    target: Target,
    request: Request,
    output: Output,
) -> Result<Response<Body>, ApiError> {
    let options = ListOptions::parse(&request.query, &target)?;
    let revision = options.revision().map_err(ApiError::unknown)?;
    let timeout = match options.timeout_seconds {
        Some(seconds) => Duration::from_secs(seconds),
        None => ctx.cluster.settings.min_watch_timeout.mul_f64(rand::random_range(1.0..2.0)),
    };
    let frames = Frames::new(&target, &request.query, output)?;
    let begun = begin(&ctx, &target, &options, revision).await;
    let ends_at = Instant::now() + timeout;
    let alarms = FuturesUnordered::new();
    alarms.push(end(Arc::clone(&ctx), target.clone(), ends_at).boxed());
    alarms.push(bookmark_due(ends_at).boxed());
    let mut watching = Watching {
        ctx,
        target,
        alarms,
        options,
        frames,
        subscription: None,
        initial: None,
        initial_end: None,
        ends_at,
        last_bookmark: 0,
        ended: false,
    };
    let mut first = None;
    match begun {
        Ok(Begun { snapshot, subscription, announce_end }) => {
            watching.initial_end = snapshot.as_ref().filter(|_| announce_end).map(Snapshot::revision);
            watching.initial = snapshot.map(|s| (s, None));
            watching.subscription = Some(subscription);
        }
        Err(Refused::Ended(end)) => {
            first = Some(watching.frames.error(&end_error(end))?);
            watching.ended = true;
        }
        Err(Refused::Answer(error)) => return Err(error),
    }
    let opening = stream::iter(first.map(Ok));
    let rest = stream::unfold(watching, |mut watching| async move {
        let frame = watching.next().await?;
        Some((frame, watching))
    });
    let frames = opening.chain(rest);
    if connect::wants_websocket(&request) {
        return connect::watch(request, frames, output.media);
    }
    let mut response = Response::new(body::stream(frames));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(output.media.watch_name()));
    Ok(response)
}

struct Begun {
    snapshot: Option<Snapshot>,
    subscription: Subscription,
    announce_end: bool,
}

enum Refused {
    Answer(ApiError),
    Ended(WatchEnd),
}

/// Chooses where to begin: with the state, or after a revision.
async fn begin(ctx: &Context, target: &Target, options: &ListOptions, revision: i64) -> Result<Begun, Refused> {
    let fault = |error: StoreError| Refused::Answer(store_error(target, error));
    let scope = select::scope(ctx, target).map_err(Refused::Answer)?;
    let cache = ctx.cluster.store.cache();
    let from_state = match options.send_initial_events {
        Some(wanted) => wanted,
        None => revision == 0,
    };
    if !from_state && revision > 0 {
        let subscription = cache.watch(&scope, revision).map_err(Refused::Ended)?;
        return Ok(Begun { snapshot: None, subscription, announce_end: false });
    }
    let at_least = match options.resource_version.as_str() {
        "" => ctx.cluster.store.current_revision().await.map_err(fault)?,
        _ => revision,
    };
    cache.wait_for(at_least, FRESHNESS_WAIT).await.map_err(fault)?;
    let (snapshot, subscription) = cache.list_then_watch(&scope).map_err(fault)?;
    let announce_end = options.send_initial_events == Some(true) && options.allow_bookmarks;
    Ok(Begun { snapshot: from_state.then_some(snapshot), subscription, announce_end })
}

/// Resolves when a custom resource is no longer defined as it was when the watch began.
async fn redefined(ctx: &Context, target: &Target) {
    let Some(definition) = target.definition() else { return std::future::pending().await };
    let mut changes = ctx.cluster.api.changes();
    loop {
        let api = ctx.cluster.api.load();
        let now = api.definitions.get(&definition.group, &definition.plural);
        if now.is_none_or(|now| now.state != definition.state) || changes.changed().await.is_err() {
            return;
        }
    }
}

fn end_error(end: WatchEnd) -> ApiError {
    match end {
        WatchEnd::Expired { requested, oldest } => ApiError::too_old_resource_version(requested, oldest),
        WatchEnd::TooSlow | WatchEnd::Reset => {
            ApiError::gone_expired("The resourceVersion for the provided watch is too old.")
        }
    }
}

async fn end(ctx: Arc<Context>, target: Target, ends_at: Instant) -> Alarm {
    tokio::select! {
        () = sleep_until(ends_at) => {}
        () = ctx.cluster.shutdown.cancelled() => {}
        () = redefined(&ctx, &target) => {}
    }
    Alarm::End
}

async fn bookmark_due(ends_at: Instant) -> Alarm {
    let regular = Instant::now() + BOOKMARK_EVERY;
    let last = ends_at.checked_sub(BOOKMARK_BEFORE_END).filter(|at| *at > Instant::now());
    sleep_until(last.map_or(regular, |last| regular.min(last))).await;
    Alarm::Bookmark
}

impl Watching {
    /// The next bytes; none at the end. A dropped future loses at most what the client would not have read.
    async fn next(&mut self) -> Option<Result<Bytes, body::BodyError>> {
        if self.ended {
            return None;
        }
        if let Some(state) = self.next_of_state().await {
            self.ended |= state.is_err();
            return Some(state.map_err(Into::into));
        }
        loop {
            let subscription = self.subscription.as_mut()?;
            let events = tokio::select! {
                events = subscription.next(BATCH) => events,
                alarm = self.alarms.next() => match alarm {
                    Some(Alarm::Bookmark) => match self.bookmark() {
                        Some(frame) => return Some(frame.map_err(Into::into)),
                        None => continue,
                    },
                    Some(Alarm::End) | None => return None,
                },
            };
            let frames = match events {
                Ok(events) => self.frames_of(&events).await,
                Err(end) => Err(end_error(end)),
            };
            // What cannot go on says why.
            let frames = frames.or_else(|error| {
                self.ended = true;
                self.frames.error(&error)
            });
            match frames {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some(Ok(bytes)),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            }
        }
    }

    /// The state that a watch begins with, a batch at a time, and the bookmark behind it.
    async fn next_of_state(&mut self) -> Option<Result<Bytes, ApiError>> {
        while let Some((snapshot, from)) = self.initial.take() {
            let mut out = Vec::new();
            let entries = match &from {
                Some(key) => snapshot.iter_from(key),
                None => snapshot.iter(),
            };
            let mut batch: Vec<Arc<Entry>> = entries.take(BATCH + 1).cloned().collect();
            let resume = if batch.len() > BATCH { batch.pop().map(|next| next.key().to_string()) } else { None };
            let views = match self.target.views(&self.ctx.cluster, &batch).await {
                Ok(views) => views,
                Err(error) => {
                    self.ended = true;
                    return Some(self.frames.error(&error));
                }
            };
            for view in &views {
                if select::selects(&self.target, &self.options.selection, view) {
                    match self.frames.of_view(&self.ctx, &self.target, EventType::Added, view) {
                        Ok(frame) => out.extend_from_slice(&frame),
                        Err(error) => return Some(Err(error)),
                    }
                }
            }
            if resume.is_some() {
                self.initial = Some((snapshot, resume));
            }
            if !out.is_empty() {
                return Some(Ok(out.into()));
            }
        }
        let revision = self.initial_end.take()?;
        self.last_bookmark = revision;
        Some(self.frames.bookmark(&self.ctx, &self.target, revision, true))
    }

    fn bookmark(&mut self) -> Option<Result<Bytes, ApiError>> {
        self.alarms.push(bookmark_due(self.ends_at).boxed());
        if !self.options.allow_bookmarks {
            return None;
        }
        let revision = self.subscription.as_ref()?.caught_up()?;
        if revision <= self.last_bookmark {
            return None;
        }
        self.last_bookmark = revision;
        Some(self.frames.bookmark(&self.ctx, &self.target, revision, false))
    }

    async fn frames_of(&mut self, events: &[Arc<CacheEvent>]) -> Result<Bytes, ApiError> {
        let mut frames: Vec<Bytes> = Vec::with_capacity(events.len());
        match self.target.is_converted() {
            true => self.frames_of_views(events, &mut frames).await?,
            false => {
                for event in events {
                    let (before, after) = (event.prev().map(AsRef::as_ref), event.entry());
                    frames.extend(self.frame_of(event, before, after, || event.departed().map(AsRef::as_ref))?);
                }
            }
        }
        // Most often there is one, which all watchers share.
        match frames.len() {
            1 => Ok(frames.swap_remove(0)),
            _ => Ok(frames.concat().into()),
        }
    }

    /// Of events whose objects may have to be converted first: all of them at once.
    async fn frames_of_views(&mut self, events: &[Arc<CacheEvent>], frames: &mut Vec<Bytes>) -> Result<(), ApiError> {
        let (target, cluster) = (&self.target, &self.ctx.cluster);
        let before: Vec<Arc<Entry>> = events.iter().filter_map(|event| event.prev().cloned()).collect();
        let departed: Vec<Arc<Entry>> = events.iter().filter_map(|event| event.departed().cloned()).collect();
        let after: Vec<Arc<Entry>> = events.iter().map(|event| Arc::clone(event.entry())).collect();
        let mut before = target.views(cluster, &before).await?.into_iter();
        let after = target.views(cluster, &after).await?;
        // Those of entries of which a view is known have one too.
        let mut departed = target.views(cluster, &departed).await?.into_iter();
        for (event, after) in events.iter().zip(after) {
            let (before, departed) = event.prev().and_then(|_| before.next().zip(departed.next())).unzip();
            frames.extend(self.frame_of(event, before.as_deref(), &after, || departed.as_deref())?);
        }
        Ok(())
    }

    /// None where the event is none to this watcher.
    fn frame_of<'e>(
        &mut self,
        event: &CacheEvent,
        before: Option<&Entry>,
        after: &'e Entry,
        departed: impl FnOnce() -> Option<&'e Entry>,
    ) -> Result<Option<Bytes>, ApiError> {
        let Some(kind) = self.seen_as(event, before, after) else { return Ok(None) };
        let told = match kind {
            EventType::Deleted => departed().unwrap_or(after),
            EventType::Added | EventType::Modified => after,
        };
        self.frames.of_event(&self.ctx, &self.target, kind, event, told).map(Some)
    }

    /// What an event is to this watcher; none: nothing.
    fn seen_as(&self, event: &CacheEvent, before: Option<&Entry>, after: &Entry) -> Option<EventType> {
        let selects = |view: &Entry| select::selects(&self.target, &self.options.selection, view);
        let before = before.is_some_and(selects);
        let after = event.kind() != EventKind::Deleted && selects(after);
        match (before, after) {
            (false, true) => Some(EventType::Added),
            (true, true) => Some(EventType::Modified),
            (true, false) => Some(EventType::Deleted),
            (false, false) => None,
        }
    }
}
