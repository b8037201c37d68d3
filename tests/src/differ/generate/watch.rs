//! Watches on a few streams. A stream's content is settled (drained) before what would cut it short, since how far a
//! server got by then is not decided by the requests.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;
use prost::Message;
use proto::{etcdserverpb as pb, etcdserverpb::watch_request::RequestUnion};
use rand::RngExt;

use super::{Generator, kv};
use crate::differ::{
    player::{KEEPER, WATCH},
    recording::{Kind, Outcome, Step},
};

const STREAMS: u32 = 3;
const WATCHERS_MAX: usize = 12;

#[derive(Default)]
pub(super) struct Stream {
    /// First revision wanted, by id.
    watchers: BTreeMap<i64, i64>,
}

impl Stream {
    /// While a watcher waits for a revision to come, progress is not answered.
    fn can_drain(&self, revision: i64) -> bool {
        self.watchers.values().all(|start| *start <= revision)
    }
}

pub(super) fn create(g: &mut Generator) {
    let stream = g.rng.random_range(0..STREAMS);
    let is_full = g.streams.get(&stream).is_some_and(|stream| stream.watchers.len() >= WATCHERS_MAX);
    if is_full {
        return cancel(g);
    }
    let (key, range_end) = g.key_range();
    let mut start_revision = match g.rng.random_range(0..10) {
        0..4 => 0,
        4 => g.of(&[-1, i64::MIN]),
        5 => g.revision + g.of(&[1, 2, 5]),
        6 => (g.compacted + g.of(&[-2, -1, 0, 1])).max(1),
        _ => g.rng.random_range(g.compacted.min(g.revision)..=g.revision),
    };
    // Of a key that one Txn changed twice, an etcd has lost the first change when it compacts there.
    if start_revision == g.compacted && g.txns.contains(&start_revision) {
        start_revision += 1;
    }
    // A watcher that catches up must have done so before a compaction comes.
    let is_past = start_revision > 0 && start_revision <= g.revision;
    let can_drain = g.streams.get(&stream).is_none_or(|stream| stream.can_drain(g.revision));
    if is_past && !can_drain {
        start_revision = 0;
    }
    let filters: &[i32] = g.of(&[[].as_slice(), &[], &[], &[0], &[1], &[0, 1], &[9], &[1, 1]]);
    let create = pb::WatchCreateRequest {
        key,
        range_end,
        start_revision,
        filters: filters.to_vec(),
        // Of a change at the compacted revision an etcd has lost the value before.
        prev_kv: g.rarely(2) && start_revision != g.compacted,
        watch_id: if g.rarely(2) { g.of(&[1, 2, 3, 4, 77, i64::MAX, -5]) } else { 0 },
        fragment: g.rarely(4),
        progress_notify: g.rarely(4),
    };
    send(g, stream, RequestUnion::CreateRequest(create), Kind::WatchAnswered);
    if is_past && can_drain {
        queue_drain(g, stream);
    }
}

pub(super) fn cancel(g: &mut Generator) {
    let Some(stream) = some_stream(g) else { return };
    let alive: Vec<_> = g.streams[&stream].watchers.keys().copied().collect();
    if alive.is_empty() || g.rarely(8) {
        let cancel = pb::WatchCancelRequest { watch_id: g.of(&[404, -1, 1 << 41]) };
        return send(g, stream, RequestUnion::CancelRequest(cancel), Kind::WatchUnanswered);
    }
    if settle(g, stream) {
        let cancel = pb::WatchCancelRequest { watch_id: g.of(&alive) };
        send(g, stream, RequestUnion::CancelRequest(cancel), Kind::WatchAnswered);
    }
}

pub(super) fn drain(g: &mut Generator) {
    if let Some(stream) = some_stream(g) {
        settle(g, stream);
    }
}

pub(super) fn close(g: &mut Generator) {
    let Some(stream) = some_stream(g) else { return };
    if settle(g, stream) {
        g.queue.push_back(Step { kind: Kind::WatchClose.into(), path: WATCH.to_owned(), stream, ..Step::default() });
    }
}

/// At the end of a sequence.
pub(super) fn drain_all(g: &mut Generator) {
    let streams: Vec<_> = g.streams.keys().copied().collect();
    for stream in streams {
        settle(g, stream);
    }
}

fn some_stream(g: &mut Generator) -> Option<u32> {
    let open: Vec<_> = g.streams.keys().copied().collect();
    if open.is_empty() { None } else { Some(g.of(&open)) }
}

/// False while it cannot be.
fn settle(g: &mut Generator, stream: u32) -> bool {
    let revision = g.revision + 1;
    if !g.streams.get(&stream).is_some_and(|stream| stream.can_drain(revision)) {
        return false;
    }
    queue_drain(g, stream);
    true
}

fn queue_drain(g: &mut Generator, stream: u32) {
    let revision = g.revision + 1;
    // A revision of its own: what answers an earlier drain late cannot pass for the answer to this one.
    g.unary(kv::PUT, pb::PutRequest { key: "~drain".into(), ..Default::default() });
    let drain = Step { kind: Kind::WatchDrain.into(), path: WATCH.to_owned(), stream, revision, ..Step::default() };
    g.queue.push_back(drain);
}

fn send(g: &mut Generator, stream: u32, request: RequestUnion, kind: Kind) {
    let body = pb::WatchRequest { request_union: Some(request) }.encode_to_vec().into();
    g.queue.push_back(Step { kind: kind.into(), path: WATCH.to_owned(), body, stream, ..Step::default() });
}

impl Generator {
    pub(super) fn observe_watch(&mut self, step: &Step, outcome: &Outcome) -> Result<()> {
        match step.kind() {
            Kind::WatchClose => drop(self.streams.remove(&step.stream)),
            Kind::WatchAnswered | Kind::WatchDrain | Kind::WatchUnanswered => {
                let start = start_of(&step.body)?;
                for response in &outcome.responses {
                    let response = pb::WatchResponse::decode(response.clone())?;
                    self.streams.entry(step.stream).or_default().observe(&response, start);
                    let is_compacted = start > 0 && start < self.compacted;
                    if is_compacted && response.created && !response.canceled {
                        self.bury(step.stream, response.watch_id);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Generator {
    /// What was told to be canceled since its history is compacted stays until its client cancels it, and until then an
    /// etcd answers no progress request of the stream.
    fn bury(&mut self, stream: u32, watch_id: i64) {
        let cancel = RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id });
        let cancel = pb::WatchRequest { request_union: Some(cancel) }.encode_to_vec();
        for body in [cancel, Vec::new()] {
            let (kind, path, body) = (Kind::WatchAnswered.into(), WATCH.to_owned(), body.into());
            self.queue.push_front(Step { kind, path, body, stream, ..Step::default() });
        }
    }
}

impl Stream {
    fn observe(&mut self, response: &pb::WatchResponse, start: i64) {
        if response.canceled {
            self.watchers.remove(&response.watch_id);
        } else if response.created && response.watch_id != KEEPER {
            self.watchers.insert(response.watch_id, start);
        }
    }
}

/// 0 where the request is no create.
fn start_of(body: &Bytes) -> Result<i64> {
    Ok(match pb::WatchRequest::decode(body.clone())?.request_union {
        Some(RequestUnion::CreateRequest(create)) => create.start_revision,
        _ => 0,
    })
}
