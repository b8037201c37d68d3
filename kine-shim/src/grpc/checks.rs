//! What can be refused by looking at a request alone: empty keys, contradicting options, too many operations, a key
//! written twice by one Txn. The order of checks is etcd's, since it decides which error a client sees.

use std::collections::HashSet;

use bytes::Bytes;
use proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    range_request::{SortOrder, SortTarget},
    request_op::Request,
};

use super::errors::Invalid;

pub(super) fn range(request: &RangeRequest) -> Result<(), Invalid> {
    if request.key.is_empty() {
        return Err(Invalid::EmptyKey);
    }
    if SortOrder::try_from(request.sort_order).is_err() || SortTarget::try_from(request.sort_target).is_err() {
        return Err(Invalid::SortOption);
    }
    Ok(())
}

pub(super) fn put(request: &PutRequest) -> Result<(), Invalid> {
    if request.key.is_empty() {
        return Err(Invalid::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(Invalid::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Invalid::LeaseProvided);
    }
    Ok(())
}

pub(super) fn delete_range(request: &DeleteRangeRequest) -> Result<(), Invalid> {
    if request.key.is_empty() { Err(Invalid::EmptyKey) } else { Ok(()) }
}

pub(super) fn txn(request: &TxnRequest, max_ops: usize) -> Result<(), Invalid> {
    shape(request, max_ops)?;
    Written::by(&request.success)?;
    Written::by(&request.failure)?;
    Ok(())
}

/// A nested Txn gets what its parent left of `max_ops`; so the depth is bounded, too.
fn shape(request: &TxnRequest, max_ops: usize) -> Result<(), Invalid> {
    let ops = request.compare.len().max(request.success.len()).max(request.failure.len());
    let left = max_ops.checked_sub(ops).ok_or(Invalid::TooManyOps)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Invalid::EmptyKey);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete_range(request)?,
            Some(Request::RequestTxn(request)) => shape(request, left)?,
            None => return Err(Invalid::EmptyOp),
        }
    }
    Ok(())
}

/// What one branch may write, whichever way the Txns in it go.
#[derive(Default)]
struct Written {
    puts: HashSet<Bytes>,
    deletes: Vec<(Bytes, Option<Bytes>)>,
}

impl Written {
    /// etcd's rule in etcd's order: this level's deletes, then what nested Txns write, then this level's puts. The
    /// branches of one nested Txn exclude each other, so they may put the same key. A delete from a key on ("\0")
    /// overlaps nothing, as in etcd.
    fn by(ops: &[RequestOp]) -> Result<Self, Invalid> {
        let mut written = Self::default();
        for op in ops {
            if let Some(Request::RequestDeleteRange(delete)) = &op.request {
                let end = (!delete.range_end.is_empty()).then(|| delete.range_end.clone());
                written.deletes.push((delete.key.clone(), end));
            }
        }
        for op in ops {
            if let Some(Request::RequestTxn(txn)) = &op.request {
                written.nest(Self::by(&txn.success)?, Self::by(&txn.failure)?)?;
            }
        }
        for op in ops {
            if let Some(Request::RequestPut(put)) = &op.request {
                written.put(&put.key)?;
            }
        }
        Ok(written)
    }

    fn nest(&mut self, success: Self, failure: Self) -> Result<(), Invalid> {
        for key in &success.puts {
            self.put(key)?;
        }
        for key in failure.puts.difference(&success.puts) {
            self.put(key)?;
        }
        self.deletes.extend(success.deletes);
        self.deletes.extend(failure.deletes);
        Ok(())
    }

    fn put(&mut self, key: &Bytes) -> Result<(), Invalid> {
        let is_deleted = self.deletes.iter().any(|(start, end)| match end {
            None => key == start,
            Some(end) => key >= start && key < end,
        });
        if is_deleted || !self.puts.insert(key.clone()) { Err(Invalid::DuplicateKey) } else { Ok(()) }
    }
}
