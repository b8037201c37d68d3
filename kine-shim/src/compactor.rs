//! Compaction by itself (etcd's --auto-compaction-*): history older than asked for is given up. Several shims of one
//! store may each do it: what one has compacted the other is refused, which is fine.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    config::Compaction,
    model::{Error, Op, Refusal, Revision},
    shim::Shim,
};

/// How often revisions are noted and compaction is considered, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(300);
/// A retention is looked at so many times over its length.
const LOOKS_PER_RETENTION: u32 = 10;

/// Runs until dropped.
pub async fn run(shim: Shim, compaction: Compaction) {
    match compaction {
        Compaction::Never => std::future::pending().await,
        Compaction::Keep(time) => by_time(shim, time).await,
        Compaction::KeepRevisions(revisions) => by_revision(shim, revisions).await,
    }
}

async fn by_time(shim: Shim, keep: Duration) {
    let mut noted: VecDeque<(Instant, Revision)> = VecDeque::new();
    loop {
        noted.push_back((Instant::now(), shim.snapshot().revision()));
        let mut reached = None;
        while noted.front().is_some_and(|(at, _)| at.elapsed() >= keep) {
            reached = noted.pop_front();
        }
        if let Some((_, revision)) = reached {
            compact(&shim, revision).await;
        }
        sleep((keep / LOOKS_PER_RETENTION).clamp(Duration::from_secs(1), LOOK_INTERVAL)).await;
    }
}

async fn by_revision(shim: Shim, keep: i64) {
    loop {
        sleep(LOOK_INTERVAL).await;
        compact(&shim, shim.snapshot().revision().saturating_sub(keep)).await;
    }
}

async fn compact(shim: &Shim, revision: Revision) {
    if revision <= shim.snapshot().compacted().max(1) {
        return;
    }
    match shim.write(Op::Compact { revision }).await {
        Ok(_) => tracing::info!(revision, "compacted"),
        Err(Error::Refused(Refusal::Compacted)) => {}
        Err(error) => tracing::warn!(revision, %error, "not compacted; the next look tries again"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{log::memory::MemoryLog, model::Put, settings::ShimConfig};

    async fn put(shim: &Shim) -> Revision {
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"v"));
        let put = Put::of(key, value);
        shim.write(Op::Put(put)).await.expect("put").0
    }

    async fn compacted_after(compaction: Compaction, before: Duration, after: Duration) -> (Revision, Revision) {
        let config = ShimConfig { seed: Some(1), ..Default::default() };
        let shim = Shim::start(Arc::new(MemoryLog::new()), config).await.expect("start");
        let old = put(&shim).await;
        let compactor = tokio::spawn(run(shim.clone(), compaction));
        sleep(before).await;
        for _ in 0..10 {
            put(&shim).await;
        }
        sleep(after).await;
        compactor.abort();
        let compacted = shim.snapshot().compacted();
        shim.stop().await;
        (old, compacted)
    }

    #[tokio::test(start_paused = true)]
    async fn history_older_than_asked_for_is_given_up() {
        let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
        let (old, compacted) = compacted_after(Compaction::Keep(hour), 30 * minute, 45 * minute).await;
        assert_eq!(compacted, old, "only what was there an hour ago");
        let (_, compacted) = compacted_after(Compaction::Keep(hour), 30 * minute, 10 * minute).await;
        assert!(compacted <= 1, "nothing is old enough: {compacted}");
        let (old, compacted) = compacted_after(Compaction::KeepRevisions(4), minute, 10 * minute).await;
        assert_eq!(compacted, old + 6);
    }
}
