//! --quota-backend-bytes: what would make the store grow past it is refused and raises the alarm NOSPACE, which all
//! shims obey until it is disarmed. What the alarm refuses is decided in `state`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use proto::{etcdserverpb as pb, etcdserverpb::request_op::Request};

use crate::shim::Shim;

/// What etcd reckons a key's metadata and a lease to cost.
const KEY_COST: usize = 256;
pub(super) const LEASE_COST: usize = 64;

/// Between two looks at the size; what was written since is added.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn cost_of_put(put: &pb::PutRequest) -> usize {
    KEY_COST + put.key.len() + put.value.len()
}

/// Of the dearer branch.
pub(super) fn cost_of_txn(txn: &pb::TxnRequest) -> usize {
    let cost = |op: &pb::RequestOp| match &op.request {
        Some(Request::RequestPut(put)) => cost_of_put(put),
        Some(Request::RequestTxn(txn)) => cost_of_txn(txn),
        _ => 0,
    };
    let branch = |ops: &[pb::RequestOp]| ops.iter().map(cost).sum::<usize>();
    branch(&txn.success).max(branch(&txn.failure))
}

/// The limit and the size as far as known. The default has no limit.
#[derive(Clone, Debug, Default)]
pub struct Quota(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// 0: none.
    limit_bytes: i64,
    measured: AtomicI64,
    /// Let pass since the last measurement began.
    passed: AtomicI64,
}

impl Quota {
    /// No limit at or below 0. etcd's own default of 2 GiB guards a file that is mapped into memory; a database has no
    /// such limit.
    pub fn new(limit_bytes: i64) -> Self {
        Self(Arc::new(Inner { limit_bytes: limit_bytes.max(0), ..Inner::default() }))
    }

    /// As etcd shows it: -1 is none.
    pub fn shown(&self) -> i64 {
        if self.0.limit_bytes == 0 { -1 } else { self.0.limit_bytes }
    }

    /// Follows the size of the store; runs until dropped.
    pub async fn run(self, shim: Shim) {
        if self.0.limit_bytes == 0 {
            return std::future::pending().await;
        }
        loop {
            self.measure(&shim).await;
            tokio::time::sleep(MEASURE_INTERVAL).await;
        }
    }

    pub async fn measure(&self, shim: &Shim) {
        let passed = self.0.passed.load(Ordering::Relaxed);
        match shim.size().await {
            Ok(size) => {
                self.0.measured.store(size.total_bytes, Ordering::Relaxed);
                self.0.passed.fetch_sub(passed, Ordering::Relaxed);
            }
            Err(fault) => tracing::debug!(%fault, "the size of the store is not known"),
        }
    }

    pub(super) fn takes(&self, cost: usize) -> bool {
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        if self.0.limit_bytes == 0 || cost == 0 {
            return true;
        }
        let used = self.0.measured.load(Ordering::Relaxed).saturating_add(self.0.passed.load(Ordering::Relaxed));
        let fits = used.saturating_add(cost) < self.0.limit_bytes;
        if fits {
            self.0.passed.fetch_add(cost, Ordering::Relaxed);
        }
        fits
    }
}
