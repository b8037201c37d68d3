//! The Watch service: requests go to the stream's control, messages of its one queue become responses in the same order
//! (invariant 4).

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use futures::{Stream, future::BoxFuture};
use prost::Message;
use proto::{
    etcdserverpb as pb,
    etcdserverpb::{watch_create_request::FilterType, watch_request::RequestUnion},
};
use tonic::{Request, Status, Streaming};

use super::{
    credentials::Credentials,
    errors,
    frames::{Outgoing, event_bytes},
    replies,
    wire::Wire,
};
use crate::{
    auth::AuthRefusal,
    model::{Encoded, Error, Event, KeyRange, Refusal, Revision},
    watch::{Filters, WatchControl, WatchId, WatchMessage, WatchRefusal, WatchRequest, WatchStream},
};

/// The id of answers that belong to no watcher.
const NO_WATCHER: WatchId = -1;

impl Wire {
    /// The one call of the service. What it answers becomes bytes in `frames`.
    pub(super) async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<impl Stream<Item = Result<Outgoing, Status>> + Send + use<>, Status> {
        let requires_leader = self.requires_leader(&request)?;
        let messages = self.shim.watch_stream();
        let session = Session {
            wire: self.clone(),
            credentials: Credentials::of(&request),
            requests: Some(request.into_inner()),
            control: messages.control(),
            messages,
            create: None,
            unanswered: VecDeque::new(),
            wishes: HashMap::new(),
            outbox: VecDeque::new(),
        };
        let responses = futures::stream::unfold(Some(session), |session| async move {
            let mut session = session?;
            match session.next().await {
                Ok(response) => Some((Ok(response), Some(session))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(self.while_led(requires_leader, responses))
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
    credentials: Credentials,
    /// `None` once the client has said all it will.
    requests: Option<Streaming<pb::WatchRequest>>,
    control: WatchControl,
    messages: WatchStream,
    /// Waits for permission, and for room among the unread answers; no request is read meanwhile.
    create: Option<BoxFuture<'static, ()>>,
    /// Of watchers whose answer has not come yet: answers come in the order of the requests.
    unanswered: VecDeque<Wishes>,
    wishes: HashMap<WatchId, Wishes>,
    /// Fragments of a response on its way.
    outbox: VecDeque<Outgoing>,
}

impl Session {
    async fn next(&mut self) -> Result<Outgoing, Status> {
        loop {
            if let Some(response) = self.outbox.pop_front() {
                return Ok(response);
            }
            let is_creating = self.create.is_some();
            let Self { requests, messages, create, .. } = self;
            tokio::select! {
                biased;
                () = async { match create { Some(create) => create.await, None => std::future::pending().await } } => {
                    self.create = None;
                }
                request = requested(requests.as_mut()), if !is_creating && requests.is_some() => match request {
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
                let (wire, credentials) = (self.wire.clone(), self.credentials.clone());
                let (control, request) = (self.control.clone(), watch_request(create));
                self.create = Some(Box::pin(async move { wire.create(&credentials, &control, request).await }));
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
                let cancel_reason = refusal(reason);
                let response = self.response(NO_WATCHER, header_revision);
                pb::WatchResponse { created: true, canceled: true, cancel_reason, ..response }
            }
            WatchMessage::Events { id, header_revision, revisions } => {
                let wishes = self.wishes.get(&id).copied().unwrap_or_default();
                let events = revisions.iter().flat_map(|revision| &revision.events);
                let events = events.map(|event| encoded(event, wishes.prev_kv)).collect();
                let whole = Outgoing { head: self.response(id, header_revision), events };
                if wishes.fragment {
                    self.outbox.extend(fragments(whole, self.wire.options.max_request_bytes));
                } else {
                    self.outbox.push_back(whole);
                }
                return;
            }
            WatchMessage::Progress { id, revision } => self.response(id.unwrap_or(NO_WATCHER), revision),
            WatchMessage::Canceled { id, header_revision, compacted } => {
                self.wishes.remove(&id);
                let compact_revision = compacted.unwrap_or(0);
                // Odd, but etcd's: where history is missing the header has no revision.
                let revision = if compacted.is_some() { 0 } else { header_revision };
                pb::WatchResponse { canceled: true, compact_revision, ..self.response(id, revision) }
            }
        };
        self.outbox.push_back(response.into());
    }

    fn response(&self, watch_id: WatchId, revision: Revision) -> pb::WatchResponse {
        pb::WatchResponse { header: Some(self.wire.header(revision)), watch_id, ..Default::default() }
    }
}

impl Wire {
    /// Asks whether the sender may see these keys, then for the watcher; either way the stream answers.
    async fn create(&self, credentials: &Credentials, control: &WatchControl, request: WatchRequest) {
        // etcd tells first what is wrong with the revision.
        if request.start.is_some_and(|start| start < 0) {
            return control.create(request).await;
        }
        let may = match self.known(credentials).await {
            Ok((state, caller)) => state.access(&caller).read(&request.range),
            Err(Error::Refused(Refusal::Auth(refusal))) => Err(refusal),
            // The database does not answer, so that nobody knows what the token may.
            Err(_) => Err(AuthRefusal::PermissionDenied),
        };
        match may {
            Ok(()) => control.create(request).await,
            Err(refusal) => control.refuse(WatchRefusal::Denied(refusal)).await,
        }
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

fn refusal(reason: WatchRefusal) -> String {
    let text = match reason {
        WatchRefusal::DuplicateId => "mvcc: duplicate watch ID provided on the WatchStream",
        WatchRefusal::EmptyRange => "mvcc: watcher range is empty",
        // Odd, but etcd's.
        WatchRefusal::NegativeRevision => errors::COMPACTED,
        WatchRefusal::Denied(refusal) => return denial(refusal),
    };
    text.to_owned()
}

/// A refused token is told as Go prints the error; whatever else is wrong, permission is denied.
fn denial(refusal: AuthRefusal) -> String {
    let refusal = match refusal {
        AuthRefusal::InvalidToken | AuthRefusal::OldRevision | AuthRefusal::UserEmpty => refusal,
        _ => AuthRefusal::PermissionDenied,
    };
    errors::in_go(&refusal.into())
}

/// The event as it goes to every watcher: encoded by the first of them. `prev_kv` stands last in it, so that both
/// variants are one.
fn encoded(event: &Event, prev_kv: bool) -> Bytes {
    let Encoded { bytes, without_prev } = event.shown.get_or_encode(|| {
        let whole = replies::event(event, true);
        let without_prev = replies::event(event, false).encoded_len();
        Encoded { bytes: Bytes::from(whole.encode_to_vec()), without_prev }
    });
    if prev_kv { bytes.clone() } else { bytes.slice(..*without_prev) }
}

/// Cuts a response that is too large into several; all but the last say that more follows.
fn fragments(whole: Outgoing, max_bytes: usize) -> Vec<Outgoing> {
    let bytes = whole.head.encoded_len() + whole.events.iter().map(event_bytes).sum::<usize>();
    if whole.events.len() < 2 || bytes < max_bytes {
        return vec![whole];
    }
    let head = pb::WatchResponse { fragment: true, ..whole.head };
    let head_bytes = head.encoded_len();
    let mut pieces = vec![Outgoing::from(head.clone())];
    let mut bytes = head_bytes;
    for event in whole.events {
        let size = event_bytes(&event);
        if bytes + size >= max_bytes && pieces.last().is_some_and(|piece| !piece.events.is_empty()) {
            pieces.push(head.clone().into());
            bytes = head_bytes;
        }
        bytes += size;
        if let Some(piece) = pieces.last_mut() {
            piece.events.push(event);
        }
    }
    if let Some(last) = pieces.last_mut() {
        last.head.fragment = false;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyValue;

    /// A decoder finds in both variants what an encoder would have put there, and the second watcher gets the first
    /// one's bytes.
    #[test]
    fn an_event_is_encoded_once_for_both_variants() {
        let kv =
            |value: &'static str| KeyValue { value: value.into(), mod_revision: 9, lease: 5, ..Default::default() };
        for (is_delete, prev) in [(false, None), (false, Some(kv("before"))), (true, Some(kv("")))] {
            let event = Event { is_delete, kv: kv("now"), prev, shown: Default::default() };
            for prev_kv in [true, false] {
                let bytes = encoded(&event, prev_kv);
                assert_eq!(bytes, replies::event(&event, prev_kv).encode_to_vec());
                assert_eq!(bytes.as_ptr(), encoded(&event.clone(), !prev_kv).as_ptr());
            }
        }
    }
}
