//! How a shim works: sizes, times and bounds, with the clock and the seed that a test may choose. Where the values come
//! from is not here (see `config`).

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Milliseconds since 1970, for people and for the jump of an incarnation. Order never depends on it.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl WallClock {
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new(|| {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
        })
    }
}

#[derive(Clone, Debug)]
pub struct ShimConfig {
    /// Seeds the ids of batches; `None` draws from the operating system.
    pub seed: Option<u64>,
    pub wall_clock: WallClock,
    /// Appends on their way at once.
    pub pipeline_depth: usize,
    /// Operations that must wait before they are sent ahead of an answer that is due: few are answered sooner, and cost
    /// less, as one batch behind it (measured with 16 clients: 1.5 times the writes).
    pub ahead_min: usize,
    /// How long the writers that a batch answered are awaited before the next goes without them.
    pub group_commit: Duration,
    /// Operations that may wait; more are answered "too many requests".
    pub mailbox: usize,
    /// Of their keys and values, those on their way included.
    pub mailbox_bytes: usize,
    /// Bounds of one batch; a single larger operation still goes alone.
    pub batch_entries: usize,
    pub batch_bytes: usize,
    /// How much of the log one read brings.
    pub page_bytes: usize,
    /// Rows that one trim deletes.
    pub trim_rows: usize,
    /// How often an idle shim looks for what others wrote.
    pub poll: Duration,
    /// How long a caller waits before it is told that the outcome is unknown (a write) or that there is none (a read).
    pub patience: Duration,
    /// Silence of the database after which a shim no longer says that it serves: three elections' time of a default
    /// etcd.
    pub silence_max: Duration,
    /// Of `progress_notify` watchers.
    pub progress_interval: Duration,
    /// That watchers find ready made; who is further behind reads the history.
    pub watch_revisions: usize,
    /// Rows loaded so far, for who waits for the start.
    pub loaded_rows: Arc<AtomicU64>,
    #[cfg(test)]
    pub(crate) broken: Option<BrokenRule>,
}

impl Default for ShimConfig {
    fn default() -> Self {
        Self {
            seed: None,
            wall_clock: WallClock::default(),
            pipeline_depth: 4,
            ahead_min: 32,
            group_commit: Duration::from_millis(4),
            mailbox: 4096,
            mailbox_bytes: 128 << 20,
            batch_entries: 1024,
            batch_bytes: 4 << 20,
            page_bytes: 4 << 20,
            trim_rows: 1_000,
            poll: Duration::from_millis(100),
            patience: Duration::from_secs(7),
            silence_max: Duration::from_secs(3),
            progress_interval: Duration::from_secs(600),
            watch_revisions: 16_384,
            loaded_rows: Arc::default(),
            #[cfg(test)]
            broken: None,
        }
    }
}

impl ShimConfig {
    /// Whether a test wants this rule broken.
    #[cfg(test)]
    pub(crate) fn breaks(&self, rule: BrokenRule) -> bool {
        self.broken == Some(rule)
    }

    #[cfg(not(test))]
    pub(crate) fn breaks(&self, _: BrokenRule) -> bool {
        false
    }
}

/// Rules that the simulation breaks on purpose, to show that it would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokenRule {
    ReleaseRefusalsEarly,
    AnswerBeforeCommit,
    RetryBlindly,
    BelieveResubmissionNotApplied,
    IgnoreFailover,
    TrustStandby,
    ReadWithoutIndex,
    ExpireWithoutMark,
    /// Expires a lease though the count of renewals may have been lost since it was looked at.
    IgnoreLostRenewals,
    /// Submits a batch over which the database fails for ever.
    NeverBar,
    /// Lets every operation of a batch pay for the one over which the database fails.
    FailTogether,
    /// Believes after a failover that nothing was lost because it lost nothing itself.
    AskNoWitness,
    /// Asks again and again whether the head that a refusal was evaluated on is still the head.
    StarveCompares,
    /// Answers what another shim has done before it can be seen here.
    AnswerAhead,
}
