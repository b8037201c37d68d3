//! Watch: one queue a stream, answers before events, fragments, cancellations.

use std::{sync::Arc, time::Duration};

use proto::{
    etcdserverpb as pb,
    etcdserverpb::{watch_client::WatchClient, watch_request::RequestUnion},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Served, bytes, op, put, serve, serve_shim, serve_with};
use crate::{grpc::GrpcOptions, log::memory::MemoryLog, settings::ShimConfig, shim::Shim};

struct Watching {
    requests: mpsc::Sender<pb::WatchRequest>,
    responses: Streaming<pb::WatchResponse>,
}

impl Watching {
    async fn open(served: &Served) -> Self {
        Self::open_with(served, &[]).await
    }

    async fn open_with(served: &Served, metadata: &[(&'static str, &'static str)]) -> Self {
        let (requests, queue) = mpsc::channel(16);
        let mut client = WatchClient::new(served.channel.clone()).max_decoding_message_size(usize::MAX);
        let mut request = tonic::Request::new(ReceiverStream::new(queue));
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let responses = client.watch(request).await.unwrap().into_inner();
        Self { requests, responses }
    }

    async fn ask(&self, request: RequestUnion) {
        self.requests.send(pb::WatchRequest { request_union: Some(request) }).await.unwrap();
    }

    async fn create(&mut self, create: pb::WatchCreateRequest) -> pb::WatchResponse {
        self.ask(RequestUnion::CreateRequest(create)).await;
        self.next().await
    }

    async fn next(&mut self) -> pb::WatchResponse {
        let response = tokio::time::timeout(Duration::from_secs(10), self.responses.message());
        response.await.expect("no response came").unwrap().expect("the stream ended")
    }
}

fn all() -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { key: bytes("\0"), range_end: bytes("\0"), ..Default::default() }
}

fn texts(response: &pb::WatchResponse) -> Vec<(i32, String, String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let events = response.events.iter().map(|event| {
        let kv = event.kv.as_ref().unwrap();
        (event.r#type, text(&kv.key), text(&kv.value), event.prev_kv.as_ref().map(|kv| text(&kv.value)))
    });
    events.collect()
}

#[tokio::test]
async fn invariant_4_created_comes_first_and_names_the_revision_it_starts_behind() {
    let mut served = serve().await;
    served.put("a", "1").await;
    let mut watching = Watching::open(&served).await;
    let created = watching.create(pb::WatchCreateRequest { prev_kv: true, ..all() }).await;
    assert_eq!((created.created, created.watch_id, created.header.unwrap().revision), (true, 0, 2));
    served.put("a", "2").await;
    served.delete("a").await;
    let first = watching.next().await;
    assert_eq!(texts(&first)[0], (0, "a".into(), "2".into(), Some("1".into())));
    let deleted =
        if first.events.len() > 1 { texts(&first)[1].clone() } else { texts(&watching.next().await)[0].clone() };
    assert_eq!(deleted, (1, "a".into(), "".into(), Some("2".into())));
}

#[tokio::test]
async fn history_is_replayed_and_filters_and_prev_kv_are_obeyed() {
    let mut served = serve().await;
    for (key, value) in [("a", "1"), ("a", "2"), ("b", "1")] {
        served.put(key, value).await;
    }
    served.delete("a").await;
    let mut watching = Watching::open(&served).await;
    let no_puts = pb::WatchCreateRequest { start_revision: 2, filters: vec![0], watch_id: 5, ..all() };
    assert_eq!(watching.create(no_puts).await.watch_id, 5);
    let response = watching.next().await;
    assert_eq!(texts(&response), [(1, "a".into(), "".into(), None)]);
    assert_eq!((response.watch_id, response.header.unwrap().revision), (5, 5));
}

/// What an etcd 3.6.16 answered.
#[tokio::test]
async fn the_header_has_the_current_revision_while_catching_up_and_the_events_own_later() {
    let mut served = serve().await;
    for key in ["a", "a", "b", "b"] {
        served.put(key, "1").await;
    }
    let mut watching = Watching::open(&served).await;
    let a = pb::WatchCreateRequest { key: bytes("a"), start_revision: 2, ..Default::default() };
    assert_eq!(watching.create(a).await.header.unwrap().revision, 5);
    let response = watching.next().await;
    assert_eq!((response.events.len(), response.header.unwrap().revision), (2, 5));
    let live = served.put("a", "2").await;
    served.put("b", "2").await;
    let response = watching.next().await;
    assert_eq!((response.events.len(), response.header.unwrap().revision), (1, live));
}

/// As with etcd: who has said all that it will say goes on listening.
#[tokio::test]
async fn the_stream_outlives_the_end_of_its_requests() {
    let mut served = serve().await;
    let mut client = WatchClient::new(served.channel.clone());
    let create = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(all())) };
    let mut responses = client.watch(tokio_stream::once(create)).await.unwrap().into_inner();
    assert!(responses.message().await.unwrap().unwrap().created);
    for value in ["1", "2"] {
        served.put("a", value).await;
        let response = tokio::time::timeout(Duration::from_secs(10), responses.message()).await;
        assert_eq!(texts(&response.expect("no event came").unwrap().unwrap()).len(), 1);
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_created_and_canceled_at_once() {
    let mut served = serve().await;
    for value in ["1", "2", "3"] {
        served.put("a", value).await;
    }
    served.compact(3).await;
    let mut watching = Watching::open(&served).await;
    let refused = |response: &pb::WatchResponse| (response.created, response.canceled, response.watch_id);
    let negative = watching.create(pb::WatchCreateRequest { start_revision: -1, ..all() }).await;
    assert_eq!(refused(&negative), (true, true, -1));
    assert_eq!(negative.cancel_reason, "etcdserver: mvcc: required revision has been compacted");
    let empty = pb::WatchCreateRequest { key: bytes("b"), range_end: bytes("a"), ..Default::default() };
    let empty = watching.create(empty).await;
    assert_eq!((refused(&empty), empty.cancel_reason.as_str()), ((true, true, -1), "mvcc: watcher range is empty"));
    watching.create(pb::WatchCreateRequest { watch_id: 4, ..all() }).await;
    let twice = watching.create(pb::WatchCreateRequest { watch_id: 4, ..all() }).await;
    assert_eq!(refused(&twice), (true, true, -1));
    assert_eq!(twice.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
    let compacted = watching.create(pb::WatchCreateRequest { start_revision: 2, watch_id: 6, ..all() }).await;
    assert_eq!(refused(&compacted), (true, false, 6));
    let canceled = watching.next().await;
    assert_eq!((canceled.canceled, canceled.watch_id, canceled.compact_revision), (true, 6, 3));
    // The id stays taken until the client cancels it, and that is answered.
    assert_eq!(canceled.header.unwrap().revision, 0);
    assert_eq!(refused(&watching.create(pb::WatchCreateRequest { watch_id: 6, ..all() }).await), (true, true, -1));
    watching.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 6 })).await;
    let canceled = watching.next().await;
    assert_eq!((canceled.canceled, canceled.watch_id, canceled.compact_revision), (true, 6, 0));
    assert_eq!(refused(&watching.create(pb::WatchCreateRequest { watch_id: 6, ..all() }).await), (true, false, 6));
    let edge = watching.create(pb::WatchCreateRequest { start_revision: 3, watch_id: 7, prev_kv: true, ..all() }).await;
    assert_eq!(refused(&edge), (true, false, 7));
    // What was before is compacted.
    let after = (0, "a".into(), "3".into(), Some("2".into()));
    assert_eq!(texts(&watching.next().await), [(0, "a".into(), "2".into(), None), after]);
}

#[tokio::test]
async fn cancel_and_progress_are_answered_and_an_unknown_id_is_not() {
    let mut served = serve().await;
    let mut watching = Watching::open(&served).await;
    watching.create(pb::WatchCreateRequest { watch_id: 3, ..all() }).await;
    watching.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 99 })).await;
    served.put("a", "1").await;
    watching.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    assert_eq!(texts(&watching.next().await).len(), 1);
    let progress = watching.next().await;
    assert_eq!((progress.watch_id, progress.events.len(), progress.header.unwrap().revision), (-1, 0, 2));
    watching.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 3 })).await;
    let canceled = watching.next().await;
    assert_eq!((canceled.canceled, canceled.watch_id, canceled.compact_revision), (true, 3, 0));
}

#[tokio::test]
async fn an_id_that_the_server_chose_is_not_given_out_again() {
    let served = serve().await;
    let mut watching = Watching::open(&served).await;
    assert_eq!(watching.create(all()).await.watch_id, 0);
    watching.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 0 })).await;
    assert!(watching.next().await.canceled);
    assert_eq!(watching.create(all()).await.watch_id, 1);
}

#[tokio::test]
async fn a_large_response_comes_in_fragments_where_they_are_wished() {
    let mut served = serve_with(GrpcOptions { max_request_bytes: 4_000, ..GrpcOptions::default() }).await;
    for key in ["a", "b", "c", "d", "e", "f"] {
        served.put(key, &"x".repeat(1_500)).await;
    }
    let mut late = Watching::open(&served).await;
    late.create(pb::WatchCreateRequest { fragment: true, start_revision: 2, ..all() }).await;
    let (mut keys, mut pieces) = (Vec::new(), 0);
    while keys.len() < 6 {
        let response = late.next().await;
        pieces += 1;
        keys.extend(texts(&response).into_iter().map(|text| text.1));
        assert_eq!(response.fragment, keys.len() < 6, "{pieces} pieces, {} keys", keys.len());
    }
    assert_eq!((keys.concat(), pieces), ("abcdef".to_owned(), 3));
}

#[tokio::test]
async fn one_revision_is_one_response() {
    let mut served = serve().await;
    let mut watching = Watching::open(&served).await;
    watching.create(all()).await;
    let puts = ["a", "b", "c"].map(|key| op(pb::request_op::Request::RequestPut(put(key, "1"))));
    served.kv.txn(pb::TxnRequest { success: puts.into(), ..Default::default() }).await.unwrap();
    assert_eq!(texts(&watching.next().await).len(), 3);
}

#[tokio::test]
async fn a_stopping_shim_ends_the_streams() {
    let served = serve().await;
    let mut watching = Watching::open(&served).await;
    watching.create(all()).await;
    served.shim.stop().await;
    let ended = tokio::time::timeout(Duration::from_secs(10), watching.responses.message()).await.unwrap();
    assert_eq!(ended.unwrap_err().message(), "etcdserver: server stopped");
}

/// Who wants a leader is told when the database is gone, so that it goes to another shim; who does not waits.
#[tokio::test]
async fn streams_that_want_a_leader_end_when_the_database_is_silent() {
    let database = crate::sim::Database::new(1, None);
    let log = database.connect();
    let config = ShimConfig { silence_max: Duration::from_millis(400), ..ShimConfig::default() };
    let mut served = serve_shim(Shim::start(log.clone(), config).await.unwrap(), GrpcOptions::default()).await;
    let mut led = Watching::open_with(&served, &[("hasleader", "true")]).await;
    let mut patient = Watching::open(&served).await;
    led.create(all()).await;
    patient.create(all()).await;
    served.put("a", "1").await;
    assert_eq!(texts(&led.next().await).len(), 1);
    log.stall(Duration::from_secs(3));
    let ended = tokio::time::timeout(Duration::from_secs(2), led.responses.message()).await.expect("it ends in time");
    assert_eq!(ended.unwrap_err().message(), "etcdserver: no leader");
    let mut client = WatchClient::new(served.channel.clone());
    let mut request = tonic::Request::new(tokio_stream::pending());
    request.metadata_mut().insert("hasleader", "true".parse().unwrap());
    assert_eq!(client.watch(request).await.unwrap_err().message(), "etcdserver: no leader");
    assert_eq!(texts(&patient.next().await).len(), 1);
}

/// As in etcd: events that the filters take away are no reason to send no progress.
#[tokio::test]
async fn a_watcher_whose_events_are_all_filtered_is_told_of_progress() {
    let config = ShimConfig { progress_interval: Duration::from_millis(200), ..ShimConfig::default() };
    let shim = Shim::start(Arc::new(MemoryLog::new()), config).await.unwrap();
    let mut served = serve_shim(shim, GrpcOptions::default()).await;
    let mut watching = Watching::open(&served).await;
    watching.create(pb::WatchCreateRequest { filters: vec![0], progress_notify: true, ..all() }).await;
    let writing = tokio::spawn(async move {
        for n in 0..100 {
            served.put("a", &n.to_string()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let progress = watching.next().await;
    assert_eq!((progress.events.len(), progress.watch_id, progress.created), (0, 0, false));
    assert!(progress.header.unwrap().revision > 1);
    writing.abort();
}
