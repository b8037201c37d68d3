//! From the wire's requests to the model's operations. The requests have passed [`super::checks`].

use proto::{
    etcdserverpb as pb,
    etcdserverpb::{
        compare::{CompareResult as WireResult, CompareTarget as WireTarget, TargetUnion},
        range_request as wire,
        request_op::Request,
    },
};

use super::errors::Invalid;
use crate::model::{
    Compare, CompareResult, CompareTarget, DeleteRange, KeyRange, Put, Range, ReadAt, SortOrder, SortTarget, Txn, TxnOp,
};

/// Outside a Txn, where a revision below 0 means the latest.
pub(super) fn range(request: pb::RangeRequest) -> Range {
    let at = if request.revision > 0 { ReadAt::Revision(request.revision) } else { ReadAt::Latest };
    Range { at, ..range_in_txn(request) }
}

fn range_in_txn(request: pb::RangeRequest) -> Range {
    let sort_target = match request.sort_target() {
        wire::SortTarget::Key => SortTarget::Key,
        wire::SortTarget::Version => SortTarget::Version,
        wire::SortTarget::Create => SortTarget::Create,
        wire::SortTarget::Mod => SortTarget::Mod,
        wire::SortTarget::Value => SortTarget::Value,
    };
    let sort_order = match request.sort_order() {
        wire::SortOrder::None => SortOrder::None,
        wire::SortOrder::Ascend => SortOrder::Ascend,
        wire::SortOrder::Descend => SortOrder::Descend,
    };
    Range {
        range: KeyRange::from_wire(request.key, request.range_end),
        at: if request.revision == 0 { ReadAt::Latest } else { ReadAt::Revision(request.revision) },
        // A limit below 0 is none.
        limit: usize::try_from(request.limit).unwrap_or(0),
        sort_target,
        sort_order,
        keys_only: request.keys_only,
        count_only: request.count_only,
        mod_revisions: (request.min_mod_revision, request.max_mod_revision),
        create_revisions: (request.min_create_revision, request.max_create_revision),
    }
}

pub(super) fn put(request: pb::PutRequest) -> Put {
    Put {
        key: request.key,
        value: request.value,
        lease: request.lease,
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    }
}

pub(super) fn delete_range(request: pb::DeleteRangeRequest) -> DeleteRange {
    DeleteRange { range: KeyRange::from_wire(request.key, request.range_end), prev_kv: request.prev_kv }
}

pub(super) fn txn(request: pb::TxnRequest) -> Result<Txn, Invalid> {
    let ops = |ops: Vec<pb::RequestOp>| ops.into_iter().map(txn_op).collect::<Result<Vec<_>, _>>();
    Ok(Txn {
        compare: request.compare.into_iter().map(compare).collect(),
        success: ops(request.success)?,
        failure: ops(request.failure)?,
    })
}

pub(super) fn txn_op(op: pb::RequestOp) -> Result<TxnOp, Invalid> {
    Ok(match op.request {
        Some(Request::RequestRange(request)) => TxnOp::Range(range_in_txn(request)),
        Some(Request::RequestPut(request)) => TxnOp::Put(put(request)),
        Some(Request::RequestDeleteRange(request)) => TxnOp::DeleteRange(delete_range(request)),
        Some(Request::RequestTxn(request)) => TxnOp::Txn(txn(request)?),
        None => return Err(Invalid::EmptyOp),
    })
}

fn compare(compare: pb::Compare) -> Compare {
    let result = match WireResult::try_from(compare.result) {
        Ok(WireResult::Equal) => CompareResult::Equal,
        Ok(WireResult::Greater) => CompareResult::Greater,
        Ok(WireResult::Less) => CompareResult::Less,
        Ok(WireResult::NotEqual) => CompareResult::NotEqual,
        Err(_) => CompareResult::Anything,
    };
    // An operand of another kind than the target reads as 0, or as no bytes.
    let target = match (WireTarget::try_from(compare.target), compare.target_union) {
        (Ok(WireTarget::Version), Some(TargetUnion::Version(version))) => CompareTarget::Version(version),
        (Ok(WireTarget::Version), _) => CompareTarget::Version(0),
        (Ok(WireTarget::Create), Some(TargetUnion::CreateRevision(revision))) => CompareTarget::Create(revision),
        (Ok(WireTarget::Create), _) => CompareTarget::Create(0),
        (Ok(WireTarget::Mod), Some(TargetUnion::ModRevision(revision))) => CompareTarget::Mod(revision),
        (Ok(WireTarget::Mod), _) => CompareTarget::Mod(0),
        (Ok(WireTarget::Value), Some(TargetUnion::Value(value))) => CompareTarget::Value(value),
        (Ok(WireTarget::Value), _) => CompareTarget::Value(Default::default()),
        (Ok(WireTarget::Lease), Some(TargetUnion::Lease(lease))) => CompareTarget::Lease(lease),
        (Ok(WireTarget::Lease), _) => CompareTarget::Lease(0),
        (Err(_), _) => CompareTarget::Nothing,
    };
    Compare { range: KeyRange::from_wire(compare.key, compare.range_end), result, target }
}
