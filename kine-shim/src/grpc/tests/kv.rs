//! KV: headers, errors, limits, streamed ranges.

use proto::{
    etcdserverpb as pb,
    etcdserverpb::{request_op::Request, response_op::Response},
};
use tonic::Code;

use super::{bytes, everything, op, put, refusal, serve, serve_with};
use crate::grpc::GrpcOptions;

/// More than one step of a compaction drops: the rest must not wait for a later write.
#[tokio::test]
async fn a_physical_compaction_ends_with_nothing_left_to_delete() {
    let mut served = serve().await;
    let puts = |txn: usize| {
        let put = move |at: usize| op(Request::RequestPut(put(&format!("{}", (txn * 125 + at) % 500), "x")));
        pb::TxnRequest { success: (0..125).map(put).collect(), ..Default::default() }
    };
    for txn in 0..180 {
        served.kv.txn(puts(txn)).await.unwrap();
    }
    let revision = served.shim.snapshot().revision();
    served.compact(revision).await;
    assert_eq!((served.shim.garbage_rows(), served.shim.snapshot().is_sweeping()), (0, false));
    let trimmed = served.shim.counters().rows_trimmed.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(trimmed, 22_500 - 500, "all but the living");
}

#[tokio::test]
async fn headers_name_the_cluster_and_the_current_revision() {
    let options = GrpcOptions { cluster_id: 7, member_id: 9, ..GrpcOptions::default() };
    let mut served = serve_with(options).await;
    served.put("a", "1").await;
    served.put("a", "2").await;
    let old = pb::RangeRequest { key: bytes("a"), revision: 2, ..Default::default() };
    let response = served.kv.range(old).await.unwrap().into_inner();
    let header = response.header.unwrap();
    assert_eq!((header.cluster_id, header.member_id, header.revision, header.raft_term), (7, 9, 3, 1));
    assert_eq!((response.kvs[0].value.clone(), response.count), (bytes("1"), 1));
}

#[tokio::test]
async fn each_error_has_etcds_code_and_text() {
    let mut served = serve().await;
    served.put("a", "1").await;
    let kv = &mut served.kv;
    let invalid = |text: &str| (Code::InvalidArgument, format!("etcdserver: {text}"));
    assert_eq!(refusal(kv.put(put("", "1")).await), invalid("key is not provided"));
    let request = pb::PutRequest { ignore_value: true, ..put("a", "1") };
    assert_eq!(refusal(kv.put(request).await), invalid("value is provided"));
    let request = pb::PutRequest { ignore_lease: true, lease: 1, ..put("a", "1") };
    assert_eq!(refusal(kv.put(request).await), invalid("lease is provided"));
    let request = pb::PutRequest { ignore_lease: true, ..put("b", "1") };
    assert_eq!(refusal(kv.put(request).await), invalid("key not found"));
    let request = pb::PutRequest { lease: 9, ..put("a", "1") };
    assert_eq!(refusal(kv.put(request).await), (Code::NotFound, "etcdserver: requested lease not found".into()));
    let request = pb::RangeRequest { sort_order: 9, ..everything() };
    assert_eq!(refusal(kv.range(request).await), invalid("invalid sort option"));
    let request = pb::RangeRequest { revision: 99, ..everything() };
    let future = (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision".to_owned());
    assert_eq!(refusal(kv.range(request).await), future);
    let compact = pb::CompactionRequest { revision: 99, physical: false };
    assert_eq!(refusal(kv.compact(compact).await), future);
    kv.compact(pb::CompactionRequest { revision: 2, physical: true }).await.unwrap();
    let request = pb::RangeRequest { revision: 1, ..everything() };
    let compacted = (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted".to_owned());
    assert_eq!(refusal(kv.range(request).await), compacted);
}

#[tokio::test]
async fn a_write_larger_than_the_limit_is_too_large() {
    let mut served = serve_with(GrpcOptions { max_request_bytes: 1_000, ..GrpcOptions::default() }).await;
    served.put("a", &"x".repeat(900)).await;
    let too_large = (Code::InvalidArgument, "etcdserver: request is too large".to_owned());
    assert_eq!(refusal(served.kv.put(put("a", &"x".repeat(1_000))).await), too_large);
    let txn =
        pb::TxnRequest { success: vec![op(Request::RequestPut(put("a", &"x".repeat(1_000))))], ..Default::default() };
    assert_eq!(refusal(served.kv.txn(txn).await), too_large);
}

#[tokio::test]
async fn sub_headers_carry_a_revision_alone() {
    let mut served = serve().await;
    let range = || op(Request::RequestRange(everything()));
    let txn = pb::TxnRequest {
        success: vec![range(), op(Request::RequestPut(put("a", "1"))), range()],
        ..Default::default()
    };
    let response = served.kv.txn(txn).await.unwrap().into_inner();
    assert_eq!(response.header.unwrap().revision, 2);
    let headers = response.responses.into_iter().map(|response| match response.response.unwrap() {
        Response::ResponseRange(range) => range.header.unwrap(),
        Response::ResponsePut(put) => put.header.unwrap(),
        other => panic!("{other:?}"),
    });
    let headers: Vec<_> = headers.map(|header| (header.cluster_id, header.member_id, header.revision)).collect();
    assert_eq!(headers, [(0, 0, 1), (0, 0, 2), (0, 0, 2)]);
}

#[tokio::test]
async fn pages_at_one_revision_do_not_see_later_writes() {
    let mut served = serve().await;
    for at in 0..10 {
        served.put(&format!("k{at}"), "1").await;
    }
    let first = served.kv.range(pb::RangeRequest { limit: 4, ..everything() }).await.unwrap().into_inner();
    let revision = first.header.unwrap().revision;
    served.delete("k7").await;
    served.put("k8", "2").await;
    let rest = pb::RangeRequest { key: bytes("k3\0"), revision, ..everything() };
    let rest = served.kv.range(rest).await.unwrap().into_inner();
    assert_eq!((first.more, first.count, rest.more, rest.count), (true, 10, false, 6));
    assert!(rest.kvs.iter().all(|kv| kv.value == "1"));
}

#[tokio::test]
async fn a_streamed_range_is_the_range_in_pieces() {
    let mut served = serve().await;
    for at in 0..300 {
        served.put(&format!("k{at:03}"), &"x".repeat(at)).await;
    }
    for limit in [0, 1, 10, 150, 300, 999] {
        let request = pb::RangeRequest { limit, range_end: bytes("l"), ..everything() };
        let whole = served.kv.range(request.clone()).await.unwrap().into_inner();
        let mut stream = served.kv.range_stream(request).await.unwrap().into_inner();
        let mut pieces = Vec::new();
        while let Some(piece) = stream.message().await.unwrap() {
            pieces.push(piece.range_response.unwrap());
        }
        let kvs: Vec<_> = pieces.iter().flat_map(|piece| piece.kvs.clone()).collect();
        let (last, before) = pieces.split_last().unwrap();
        assert_eq!((kvs, last.more, last.count, &last.header), (whole.kvs, whole.more, whole.count, &whole.header));
        assert!(before.iter().all(|piece| piece.header.is_none() && piece.count == 0), "limit {limit}");
    }
    let sorted = pb::RangeRequest { sort_order: 2, ..everything() };
    assert_eq!(refusal(served.kv.range_stream(sorted).await).0, Code::Unimplemented);
}
