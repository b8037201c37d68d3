//! A failover to a streaming standby under load: to one that has all that was acknowledged, after which nothing may be
//! missing and nothing jumps; to one that lags, after which the loss must be noticed: every watcher is told, and no
//! revision is given out twice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Client, Operation, Proxy, RECOVERED_WITHIN, Rule, Session, Shims, Watcher, asking, counts, finish, flat, hashes,
    history::{Ask, Heard, History, Outcome, Violations},
    judge::{judge, merged},
    outputs, ready, start, watchers_of, watching,
};
use crate::{
    postgres::{Disk, Postgres},
    process::eventually,
};

const NAME: &str = "standby";
const BEFORE: Duration = Duration::from_secs(3);
/// How long what the primary commits does not reach the standby that lags.
const LAG: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(3);
/// A jump is so wide that no lag is wider.
const JUMP_MIN: i64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standby {
    /// Every commit waits for it.
    KeepsUp,
    Lags,
}

pub struct Failover {
    pub answered: usize,
    pub unknown: usize,
    /// Acknowledged writes that the new primary does not have.
    pub lost: usize,
    pub jumped: bool,
    /// From the promotion until every shim served.
    pub recovered: Duration,
    pub violations: Violations,
}

pub async fn failover(standby: Standby, seed: u64) -> Result<Failover> {
    let primary = Postgres::start(Disk::NoFsync)?.context("PostgreSQL is not installed")?;
    let replication = Proxy::start(primary.port()).await?;
    // pg_basebackup waits for its answer: not on a thread that the proxy needs.
    let port = replication.port();
    let (mut primary, second) = tokio::task::spawn_blocking(move || {
        let second = primary.standby(NAME, port);
        (primary, second)
    })
    .await?;
    let second = second?;
    if standby == Standby::KeepsUp {
        let name = format!("ALTER SYSTEM SET synchronous_standby_names = '{NAME}'");
        primary.execute("postgres", &name).await?;
        primary.execute("postgres", "SELECT pg_reload_conf()").await?;
    }
    let url = primary.database().await?;
    let (database, folder) = (url.rsplit('/').next().unwrap_or_default().to_owned(), tempfile::tempdir()?);
    let shims = start(primary.port(), &database, 2, &folder).await?;
    let base = ready(&shims.urls).await.with_context(|| outputs(&shims.processes))?;

    let (began, stop) = (Instant::now(), CancellationToken::new());
    let (told, last) = watch::channel(None);
    let heard: Arc<AtomicI64> = Arc::new(AtomicI64::new(base));
    let watchers: Vec<Watcher> = watchers_of(&shims.urls, base, began, &last, &heard);
    let watchers = watching(watchers);
    let clients = asking(6, |number| Client {
        number,
        urls: shims.urls.clone(),
        seed,
        began,
        stop: stop.clone(),
        base,
        compacted: Arc::default(),
    });
    tokio::time::sleep(BEFORE).await;
    let promoted = promote(standby, &mut primary, &second, &replication, &shims).await?;
    ready(&shims.urls).await.with_context(|| outputs(&shims.processes))?;
    let recovered = promoted.elapsed();
    tokio::time::sleep(AFTER).await;
    stop.cancel();
    let mut operations: Vec<Operation> = flat(clients).await?;
    let (written, revision) = finish(&shims.urls, began).await?;
    operations.push(written);
    told.send_replace(Some(revision));
    let sessions: Vec<Session> = flat(watchers).await.with_context(|| outputs(&shims.processes))?;
    let (answered, unknown) = counts(&operations);
    let history = History { base, last: revision, compacted: 0, operations, sessions };
    let jumped = heard.load(Ordering::Relaxed) > base + JUMP_MIN;
    let mut violations = match standby {
        Standby::KeepsUp => judge(&history),
        Standby::Lags => after_a_loss(&history),
    };
    violations.extend(hashes(&shims.urls, revision).await?);
    let lost = lost(&history);
    Ok(Failover { answered, unknown, lost, jumped, recovered, violations })
}

async fn promote(
    standby: Standby,
    primary: &mut Postgres,
    second: &Postgres,
    replication: &Proxy,
    shims: &Shims,
) -> Result<Instant> {
    if standby == Standby::Lags {
        replication.set(Rule::Hold);
        tokio::time::sleep(LAG).await;
    }
    replication.set(Rule::Cut);
    primary.crash()?;
    second.execute("postgres", "SELECT pg_promote()").await?;
    if standby == Standby::KeepsUp {
        // It has no standby of its own to wait for.
        second.execute("postgres", "ALTER SYSTEM RESET synchronous_standby_names").await?;
        second.execute("postgres", "SELECT pg_reload_conf()").await?;
    }
    let promoted = Instant::now();
    shims.proxies.iter().for_each(|proxy| proxy.lead_to(second.port()));
    eventually("a primary", RECOVERED_WITHIN, || async {
        second.execute("postgres", "DO $$ BEGIN ASSERT NOT pg_is_in_recovery(); END $$").await
    })
    .await?;
    Ok(promoted)
}

/// What remains promised: nobody hears two things of one revision, watchers that heard what was lost are told, and what
/// is acknowledged afterwards is there.
fn after_a_loss(history: &History) -> Violations {
    let mut wrong = Violations::new();
    let events = merged(history, &mut wrong);
    for session in &history.sessions {
        let is_told =
            |heard: &Heard| matches!(heard, Heard::Canceled { compacted } if *compacted > history.base + JUMP_MIN);
        let crossed = session.heard.windows(2).any(|pair| {
            let at = |heard: &Heard| match heard {
                Heard::Events { revision, .. } | Heard::Progress { revision } => *revision,
                Heard::Created { .. } | Heard::Canceled { .. } => 0,
            };
            at(&pair[0].1) > 0 && at(&pair[0].1) < history.base + JUMP_MIN && at(&pair[1].1) > history.base + JUMP_MIN
        });
        if crossed {
            wrong.insert(format!("{} went over the loss without being told", session.name));
        }
        let of_watcher = || history.sessions.iter().filter(|other| other.name == session.name);
        if !of_watcher().flat_map(|session| &session.heard).any(|(_, heard)| is_told(heard)) {
            wrong.insert(format!("{} was never told of the loss", session.name));
        }
    }
    for operation in &history.operations {
        if let Outcome::Answered(answer) = &operation.outcome
            && answer.applied
            && answer.revision > history.base + JUMP_MIN
            && !events.contains_key(&answer.revision)
        {
            wrong.insert(format!("{:?} was acknowledged after the loss and nobody heard of it", operation.ask));
        }
    }
    wrong
}

/// Acknowledged values below the jump of which no event is known, or which later reads contradict.
fn lost(history: &History) -> usize {
    let mut ignored = Violations::new();
    let events = merged(history, &mut ignored);
    let written: BTreeMap<i64, &Ask> = history
        .operations
        .iter()
        .filter_map(|operation| match &operation.outcome {
            Outcome::Answered(answer) if answer.applied => Some((answer.revision, &operation.ask)),
            _ => None,
        })
        .collect();
    written.keys().filter(|revision| !events.contains_key(revision)).count()
}

impl std::fmt::Display for Failover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} answers, {} unknown, {} acknowledged writes nobody heard of, jumped: {}, serving again after {:.1} s, {} violations",
            self.answered,
            self.unknown,
            self.lost,
            self.jumped,
            self.recovered.as_secs_f64(),
            self.violations.len()
        )
    }
}

/// Whether it came out as it must.
pub fn check(standby: Standby, failover: &Failover) -> Result<()> {
    ensure!(failover.violations.is_empty(), "{:#?}", failover.violations);
    ensure!(failover.jumped == (standby == Standby::Lags), "{standby:?}, jumped: {}", failover.jumped);
    Ok(())
}
