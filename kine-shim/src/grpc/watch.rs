//! The Watch service: requests go to the stream's control, messages of its one queue become responses in the same order (invariant 4).

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;

use futures::Stream;
use prost::Message;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::watch_create_request::FilterType;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::watch_server::Watch;
use proto::mvccpb;
use tonic::{Request, Response, Status, Streaming};

use super::{Wire, errors, replies};
use crate::model::{KeyRange, Revision};
use crate::watch::{Filters, WatchControl, WatchId, WatchMessage, WatchRefusal, WatchRequest, WatchStream};

/// The id of answers that belong to no watcher.
const NO_WATCHER: WatchId = -1;

#[tonic::async_trait]
impl Watch for Wire {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.require_leader(&request)?;
        let messages = self.shim.watch_stream();
        let session = Session {
            wire: self.clone(),
            requests: Some(request.into_inner()),
            control: messages.control(),
            messages,
            create: None,
            unanswered: VecDeque::new(),
            wishes: HashMap::new(),
            outbox: VecDeque::new(),
        };
        Ok(Response::new(Box::pin(futures::stream::unfold(Some(session), |session| async move {
            let mut session = session?;
            match session.next().await {
                Ok(response) => Some((Ok(response), Some(session))),
                Err(status) => Some((Err(status), None)),
            }
        }))))
    }
}

/// What the wire adds to a watcher.
#[derive(Clone, Copy, Default)]
struct Wishes {
    prev_kv: bool,
    fragment: bool,
}

struct Session {
    wire: Wire,
    /// `None` once the client has said all it will.
    requests: Option<Streaming<pb::WatchRequest>>,
    control: WatchControl,
    messages: WatchStream,
    /// Waits for room among the unread answers; no request is read meanwhile.
    create: Option<WatchRequest>,
    /// Of watchers whose answer has not come yet: answers come in the order of the requests.
    unanswered: VecDeque<Wishes>,
    wishes: HashMap<WatchId, Wishes>,
    /// Fragments of a response on its way.
    outbox: VecDeque<pb::WatchResponse>,
}

impl Session {
    async fn next(&mut self) -> Result<pb::WatchResponse, Status> {
        loop {
            if let Some(response) = self.outbox.pop_front() {
                return Ok(response);
            }
            let Self { requests, control, messages, create, .. } = self;
            tokio::select! {
                biased;
                () = created(control, create.as_ref()), if create.is_some() => *create = None,
                request = requested(requests.as_mut()), if create.is_none() && requests.is_some() => match request {
                    Ok(Some(request)) => self.request(request),
                    Ok(None) => *requests = None,
                    Err(status) if status.code() == tonic::Code::Cancelled => return Err(errors::watch_canceled()),
                    Err(status) => return Err(status),
                },
                message = messages.next() => match message {
                    Some(message) => self.message(message),
                    None => return Err(errors::stopped()),
                },
            }
        }
    }

    fn request(&mut self, request: pb::WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => {
                self.unanswered.push_back(Wishes { prev_kv: create.prev_kv, fragment: create.fragment });
                self.create = Some(watch_request(create));
            }
            Some(RequestUnion::CancelRequest(cancel)) => self.control.cancel(cancel.watch_id),
            Some(RequestUnion::ProgressRequest(_)) => self.control.request_progress(),
            // As etcd: no reason to end the other watchers of the stream.
            None => tracing::info!("a watch request of no known kind was ignored"),
        }
    }

    fn message(&mut self, message: WatchMessage) {
        let response = match message {
            WatchMessage::Created { id, header_revision } => {
                let wishes = self.unanswered.pop_front().unwrap_or_default();
                self.wishes.insert(id, wishes);
                pb::WatchResponse { created: true, ..self.response(id, header_revision) }
            }
            WatchMessage::Refused { header_revision, reason } => {
                self.unanswered.pop_front();
                let cancel_reason = refusal(reason).to_owned();
                let response = self.response(NO_WATCHER, header_revision);
                pb::WatchResponse { created: true, canceled: true, cancel_reason, ..response }
            }
            WatchMessage::Events { id, header_revision, revisions } => {
                let wishes = self.wishes.get(&id).copied().unwrap_or_default();
                let events = revisions.iter().flat_map(|revision| &revision.events);
                let events = events.map(|event| replies::event(event, wishes.prev_kv)).collect();
                let whole = pb::WatchResponse { events, ..self.response(id, header_revision) };
                if wishes.fragment {
                    self.outbox.extend(fragments(whole, self.wire.options.max_request_bytes));
                    return;
                }
                whole
            }
            WatchMessage::Progress { id, revision } => self.response(id.unwrap_or(NO_WATCHER), revision),
            WatchMessage::Canceled { id, header_revision, compacted } => {
                self.wishes.remove(&id);
                let compact_revision = compacted.unwrap_or(0);
                pb::WatchResponse { canceled: true, compact_revision, ..self.response(id, header_revision) }
            }
        };
        self.outbox.push_back(response);
    }

    fn response(&self, watch_id: WatchId, revision: Revision) -> pb::WatchResponse {
        pb::WatchResponse { header: Some(self.wire.header(revision)), watch_id, ..Default::default() }
    }
}

/// Dropping the future loses nothing: the request is still there.
async fn created(control: &WatchControl, create: Option<&WatchRequest>) {
    if let Some(request) = create {
        control.create(request.clone()).await;
    }
}

async fn requested(requests: Option<&mut Streaming<pb::WatchRequest>>) -> Result<Option<pb::WatchRequest>, Status> {
    match requests {
        Some(requests) => requests.message().await,
        None => Ok(None),
    }
}

fn watch_request(create: pb::WatchCreateRequest) -> WatchRequest {
    let wants = |filter: FilterType| create.filters.contains(&(filter as i32));
    let filters = Filters { no_put: wants(FilterType::Noput), no_delete: wants(FilterType::Nodelete) };
    // No key means from the smallest on.
    let key = if create.key.is_empty() { bytes::Bytes::from_static(&[0]) } else { create.key };
    WatchRequest {
        id: (create.watch_id != 0).then_some(create.watch_id),
        range: KeyRange::from_wire(key, create.range_end),
        start: (create.start_revision != 0).then_some(create.start_revision),
        filters,
        progress_notify: create.progress_notify,
    }
}

fn refusal(reason: WatchRefusal) -> &'static str {
    match reason {
        WatchRefusal::DuplicateId => "mvcc: duplicate watch ID provided on the WatchStream",
        WatchRefusal::EmptyRange => "mvcc: watcher range is empty",
        // Odd, but etcd's.
        WatchRefusal::NegativeRevision => errors::COMPACTED,
    }
}

/// Cuts a response that is too large into several; all but the last say that more follows.
fn fragments(whole: pb::WatchResponse, max_bytes: usize) -> Vec<pb::WatchResponse> {
    if whole.events.len() < 2 || whole.encoded_len() < max_bytes {
        return vec![whole];
    }
    let frame = pb::WatchResponse { events: Vec::new(), fragment: true, ..whole.clone() };
    let frame_bytes = frame.encoded_len();
    let mut pieces = vec![frame.clone()];
    let mut bytes = frame_bytes;
    for event in whole.events {
        let size = event_bytes(&event);
        if bytes + size >= max_bytes && pieces.last().is_some_and(|piece| !piece.events.is_empty()) {
            pieces.push(frame.clone());
            bytes = frame_bytes;
        }
        bytes += size;
        if let Some(piece) = pieces.last_mut() {
            piece.events.push(event);
        }
    }
    if let Some(last) = pieces.last_mut() {
        last.fragment = false;
    }
    pieces
}

fn event_bytes(event: &mvccpb::Event) -> usize {
    let bytes = event.encoded_len();
    bytes + 1 + prost::length_delimiter_len(bytes)
}
