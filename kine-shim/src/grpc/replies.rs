//! From the model's answers to the wire's. Sub-headers inside a Txn carry a revision alone.

use proto::{etcdserverpb as pb, etcdserverpb::response_op::Response, mvccpb};

use crate::model::{DeleteRangeReply, Event, KeyValue, PutReply, RangeReply, Revision, TxnOpReply, TxnReply};

pub(super) fn key_value(kv: KeyValue) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: kv.key,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        value: kv.value,
        lease: kv.lease,
    }
}

pub(super) fn range(header: pb::ResponseHeader, reply: RangeReply) -> pb::RangeResponse {
    pb::RangeResponse {
        header: Some(header),
        kvs: reply.kvs.into_iter().map(key_value).collect(),
        more: reply.more,
        count: reply.count,
    }
}

pub(super) fn put(header: pb::ResponseHeader, reply: PutReply) -> pb::PutResponse {
    pb::PutResponse { header: Some(header), prev_kv: reply.prev.map(key_value) }
}

pub(super) fn delete_range(header: pb::ResponseHeader, reply: DeleteRangeReply) -> pb::DeleteRangeResponse {
    pb::DeleteRangeResponse {
        header: Some(header),
        deleted: reply.deleted,
        prev_kvs: reply.prevs.into_iter().map(key_value).collect(),
    }
}

pub(super) fn txn(header: pb::ResponseHeader, reply: TxnReply) -> pb::TxnResponse {
    let responses = reply.replies.into_iter().map(|reply| pb::ResponseOp { response: Some(txn_op(reply)) });
    pb::TxnResponse { header: Some(header), succeeded: reply.succeeded, responses: responses.collect() }
}

pub(crate) fn txn_op(reply: TxnOpReply) -> Response {
    match reply {
        TxnOpReply::Range(reply) => Response::ResponseRange(range(sub_header(reply.revision), reply)),
        TxnOpReply::Put(reply) => Response::ResponsePut(put(sub_header(reply.revision), reply)),
        TxnOpReply::DeleteRange(reply) => {
            Response::ResponseDeleteRange(delete_range(sub_header(reply.revision), reply))
        }
        TxnOpReply::Txn(reply) => Response::ResponseTxn(txn(sub_header(reply.revision), reply)),
    }
}

fn sub_header(revision: Revision) -> pb::ResponseHeader {
    pb::ResponseHeader { revision, ..Default::default() }
}

pub(super) fn event(event: &Event, prev_kv: bool) -> mvccpb::Event {
    let kind = if event.is_delete { mvccpb::event::EventType::Delete } else { mvccpb::event::EventType::Put };
    mvccpb::Event {
        r#type: kind as i32,
        kv: Some(key_value(event.kv.clone())),
        prev_kv: event.prev.clone().filter(|_| prev_kv).map(key_value),
    }
}
