//! Operations and replies as etcd's own messages: the way there is the client's side of what `grpc` reads and writes.

use proto::{
    etcdserverpb as pb,
    etcdserverpb::{
        compare::{CompareResult as WireResult, CompareTarget as WireTarget, TargetUnion},
        range_request as wire,
        request_op::Request,
        response_op::Response,
    },
    mvccpb,
};

use crate::model::{
    Compare, CompareResult, CompareTarget, DeleteRange, DeleteRangeReply, KeyRange, KeyValue, Put, PutReply, Range,
    RangeEnd, RangeReply, ReadAt, SortOrder, SortTarget, Txn, TxnOp, TxnOpReply, TxnReply,
};

/// A number that etcd's enumerations do not define.
const UNDEFINED: i32 = 99;

pub(super) fn request(op: &TxnOp) -> Request {
    match op {
        TxnOp::Range(range) => Request::RequestRange(range_request(range)),
        TxnOp::Put(op) => Request::RequestPut(put(op)),
        TxnOp::DeleteRange(op) => Request::RequestDeleteRange(delete_range(op)),
        TxnOp::Txn(op) => Request::RequestTxn(txn(op)),
    }
}

pub(super) fn put(put: &Put) -> pb::PutRequest {
    pb::PutRequest {
        key: put.key.clone(),
        value: put.value.clone(),
        lease: put.lease,
        prev_kv: put.prev_kv,
        ignore_value: put.ignore_value,
        ignore_lease: put.ignore_lease,
    }
}

pub(super) fn delete_range(delete: &DeleteRange) -> pb::DeleteRangeRequest {
    let (key, range_end) = keys(&delete.range);
    pb::DeleteRangeRequest { key, range_end, prev_kv: delete.prev_kv }
}

pub(super) fn txn(txn: &Txn) -> pb::TxnRequest {
    let ops = |ops: &[TxnOp]| ops.iter().map(|op| pb::RequestOp { request: Some(request(op)) }).collect();
    pb::TxnRequest {
        compare: txn.compare.iter().map(compare).collect(),
        success: ops(&txn.success),
        failure: ops(&txn.failure),
    }
}

fn keys(range: &KeyRange) -> (bytes::Bytes, bytes::Bytes) {
    let end = match &range.end {
        RangeEnd::Single => bytes::Bytes::new(),
        RangeEnd::Unbounded => bytes::Bytes::from_static(&[0]),
        RangeEnd::Before(end) => end.clone(),
    };
    (range.start.clone(), end)
}

fn range_request(range: &Range) -> pb::RangeRequest {
    let (key, range_end) = keys(&range.range);
    let sort_target = match range.sort_target {
        SortTarget::Key => wire::SortTarget::Key,
        SortTarget::Version => wire::SortTarget::Version,
        SortTarget::Create => wire::SortTarget::Create,
        SortTarget::Mod => wire::SortTarget::Mod,
        SortTarget::Value => wire::SortTarget::Value,
    };
    let sort_order = match range.sort_order {
        SortOrder::None => wire::SortOrder::None,
        SortOrder::Ascend => wire::SortOrder::Ascend,
        SortOrder::Descend => wire::SortOrder::Descend,
    };
    pb::RangeRequest {
        key,
        range_end,
        limit: i64::try_from(range.limit).unwrap_or(0),
        revision: match range.at {
            ReadAt::Latest => 0,
            ReadAt::Revision(revision) => revision,
        },
        sort_order: sort_order as i32,
        sort_target: sort_target as i32,
        serializable: false,
        keys_only: range.keys_only,
        count_only: range.count_only,
        min_mod_revision: range.mod_revisions.0,
        max_mod_revision: range.mod_revisions.1,
        min_create_revision: range.create_revisions.0,
        max_create_revision: range.create_revisions.1,
    }
}

fn compare(compare: &Compare) -> pb::Compare {
    let result = match compare.result {
        CompareResult::Equal => WireResult::Equal as i32,
        CompareResult::Greater => WireResult::Greater as i32,
        CompareResult::Less => WireResult::Less as i32,
        CompareResult::NotEqual => WireResult::NotEqual as i32,
        CompareResult::Anything => UNDEFINED,
    };
    let (target, target_union) = match &compare.target {
        CompareTarget::Version(version) => (WireTarget::Version as i32, Some(TargetUnion::Version(*version))),
        CompareTarget::Create(at) => (WireTarget::Create as i32, Some(TargetUnion::CreateRevision(*at))),
        CompareTarget::Mod(at) => (WireTarget::Mod as i32, Some(TargetUnion::ModRevision(*at))),
        CompareTarget::Value(value) => (WireTarget::Value as i32, Some(TargetUnion::Value(value.clone()))),
        CompareTarget::Lease(id) => (WireTarget::Lease as i32, Some(TargetUnion::Lease(*id))),
        CompareTarget::Nothing => (UNDEFINED, None),
    };
    let (key, range_end) = keys(&compare.range);
    pb::Compare { result, target, key, range_end, target_union }
}

/// `None`: a response without a content.
pub(super) fn reply(response: pb::ResponseOp) -> Option<TxnOpReply> {
    let revision = |header: Option<pb::ResponseHeader>| header.unwrap_or_default().revision;
    let key_values = |kvs: Vec<mvccpb::KeyValue>| kvs.into_iter().map(key_value).collect();
    Some(match response.response? {
        Response::ResponseRange(range) => TxnOpReply::Range(RangeReply {
            kvs: key_values(range.kvs),
            more: range.more,
            count: range.count,
            revision: revision(range.header),
        }),
        Response::ResponsePut(put) => {
            TxnOpReply::Put(PutReply { prev: put.prev_kv.map(key_value), revision: revision(put.header) })
        }
        Response::ResponseDeleteRange(delete) => TxnOpReply::DeleteRange(DeleteRangeReply {
            deleted: delete.deleted,
            prevs: key_values(delete.prev_kvs),
            revision: revision(delete.header),
        }),
        Response::ResponseTxn(txn) => TxnOpReply::Txn(TxnReply {
            succeeded: txn.succeeded,
            replies: txn.responses.into_iter().map(reply).collect::<Option<_>>()?,
            revision: revision(txn.header),
        }),
    })
}

fn key_value(kv: mvccpb::KeyValue) -> KeyValue {
    KeyValue {
        key: kv.key,
        value: kv.value,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
    }
}
