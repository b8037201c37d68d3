//! Watchers of one round: each goes on where it was when its stream ends, at the next of its servers, until it has
//! heard of the round's last write. In goes where to watch, out comes each stream's story.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use proto::etcdserverpb::{
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse, watch_client::WatchClient,
    watch_request::RequestUnion,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use super::{
    clients::{PREFIX, connect},
    history::{Event, Heard, Session},
};

const PROGRESS_EVERY: Duration = Duration::from_millis(400);
/// A stream that says nothing for so long, though it is asked for progress, is left.
const SILENCE_MAX: Duration = Duration::from_secs(5);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

pub(super) struct Watcher {
    pub(super) name: String,
    pub(super) urls: Vec<String>,
    /// Below [`PREFIX`].
    pub(super) below: String,
    pub(super) wants_previous: bool,
    pub(super) base: i64,
    pub(super) began: Instant,
    /// The round's last revision, once it is known.
    pub(super) last: watch::Receiver<Option<i64>>,
    /// What this one has heard of, where others wait for it.
    pub(super) heard: Option<Arc<AtomicI64>>,
}

impl Watcher {
    /// Fails when it never hears of the last write.
    pub(super) async fn run(mut self, patience: Duration) -> Result<Vec<Session>> {
        let (mut sessions, mut next, mut server) = (Vec::new(), self.base + 1, 0);
        let mut deadline = None;
        loop {
            let mut session = Session {
                name: self.name.clone(),
                prefix: format!("{PREFIX}{}", self.below),
                from: next,
                wants_previous: self.wants_previous,
                heard: Vec::new(),
            };
            let url = self.urls[server % self.urls.len()].clone();
            // However it ended, what it said until then was said.
            let _ = self.watch(&url, &mut next, &mut session).await;
            sessions.push(session);
            server += 1;
            let last = *self.last.borrow();
            match last {
                Some(last) if next > last => return Ok(sessions),
                Some(last) => {
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + patience);
                    if Instant::now() > deadline {
                        bail!("{} heard nothing from {next} on, the last write is {last}", self.name);
                    }
                }
                None => {}
            }
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }

    /// One stream, to its end or to the round's.
    async fn watch(&mut self, url: &str, next: &mut i64, session: &mut Session) -> Result<()> {
        let (requests, mut responses) = self.open(url, *next).await?;
        let mut progress = tokio::time::interval(PROGRESS_EVERY);
        let mut spoken = Instant::now();
        loop {
            if (*self.last.borrow()).is_some_and(|last| *next > last) || spoken.elapsed() > SILENCE_MAX {
                return Ok(());
            }
            let response = tokio::select! {
                response = responses.message() => response?,
                _ = progress.tick() => {
                    let _ = requests.try_send(request(RequestUnion::ProgressRequest(WatchProgressRequest {})));
                    continue;
                }
            };
            let Some(response) = response else { return Ok(()) };
            spoken = Instant::now();
            let heard = understood(&response);
            session.heard.push((self.began.elapsed(), heard.clone()));
            match heard {
                Heard::Created { .. } => {}
                Heard::Progress { revision } => *next = (*next).max(revision + 1),
                Heard::Events { events, .. } => {
                    *next = events.last().map_or(*next, |event| (*next).max(event.revision + 1));
                }
                Heard::Canceled { compacted } => {
                    *next = (*next).max(compacted);
                    return Ok(());
                }
            }
            if let Some(heard) = &self.heard {
                heard.fetch_max(*next - 1, Ordering::Relaxed);
            }
        }
    }

    async fn open(&self, url: &str, from: i64) -> Result<(mpsc::Sender<WatchRequest>, Streaming<WatchResponse>)> {
        let (key, range_end) = match self.below.is_empty() {
            true => (PREFIX.to_owned(), super::clients::prefix_end()),
            false => (format!("{PREFIX}{}", self.below), Vec::new()),
        };
        let create = WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            start_revision: from,
            prev_kv: self.wants_previous,
            ..Default::default()
        };
        let (requests, sent) = mpsc::channel(16);
        requests.try_send(request(RequestUnion::CreateRequest(create)))?;
        let mut asked = Request::new(ReceiverStream::new(sent));
        // As kube-apiserver asks: a server that has lost its database ends the stream.
        asked.metadata_mut().insert("hasleader", "true".parse()?);
        let mut client = WatchClient::new(connect(url)?);
        let opening = tokio::time::timeout(SILENCE_MAX, client.watch(asked));
        Ok((requests, opening.await??.into_inner()))
    }
}

fn request(union: RequestUnion) -> WatchRequest {
    WatchRequest { request_union: Some(union) }
}

fn understood(response: &WatchResponse) -> Heard {
    let revision = response.header.map_or(0, |header| header.revision);
    match response {
        _ if response.canceled => Heard::Canceled { compacted: response.compact_revision },
        _ if response.created => Heard::Created { revision },
        _ if response.events.is_empty() => Heard::Progress { revision },
        _ => Heard::Events { revision, events: response.events.iter().map(Event::read).collect() },
    }
}
