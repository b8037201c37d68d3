//! Failover to a streaming standby, once in a round: to one that has everything that was confirmed, and to one that
//! lags. In goes which of them, out comes a report. The first must be noticed by nobody; the second by everybody.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Plan, Proxy, Report, Rule, check, checker::check_loss, menu::World, play};
use crate::{
    postgres::{Disk, Postgres},
    process::eventually,
};

/// How the standby follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standby {
    /// The primary confirms nothing that it does not have.
    InStep,
    /// It was cut off a while before the primary dies.
    Behind,
}

/// What is written meanwhile is lost.
const BEHIND_FOR: Duration = Duration::from_secs(2);
const STREAMS_WITHIN: Duration = Duration::from_secs(30);

/// One round on servers of its own; `None` when PostgreSQL is not installed.
pub async fn fail_over(standby: Standby, plan: &Plan) -> Result<Option<Report>> {
    let Some(mut primary) = Postgres::start(Disk::NoFsync)? else { return Ok(None) };
    let stream = Proxy::start(primary.port()).await?;
    // The copy comes through the proxy, which works meanwhile.
    let server = tokio::task::block_in_place(|| primary.standby(stream.port()))?;
    if standby == Standby::InStep {
        primary.execute("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
        primary.execute("postgres", "SELECT pg_reload_conf()").await?;
    }
    streams(&primary, standby).await?;
    let check = match standby {
        Standby::InStep => check,
        Standby::Behind => check_loss,
    };
    let disturb = async |world: &mut World<'_>| {
        tokio::time::sleep(plan.lasts / 2).await;
        if standby == Standby::Behind {
            stream.set(Rule::Cut);
            tokio::time::sleep(BEHIND_FOR).await;
        }
        world.postgres.crash()?;
        server.execute("postgres", "SELECT pg_promote()").await.context("promoting the standby")?;
        world.proxies.iter().for_each(|proxy| proxy.lead_to(server.port()));
        tokio::time::sleep(plan.lasts / 2).await;
        anyhow::Ok(vec![format!("failover to a standby {standby:?}")])
    };
    play(&mut primary, plan, disturb, check).await.map(Some)
}

/// Until the standby follows, and as it is to.
async fn streams(primary: &Postgres, standby: Standby) -> Result<()> {
    let wanted = match standby {
        Standby::InStep => "sync",
        Standby::Behind => "async",
    };
    let is_there = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = '{wanted}') \
         THEN RAISE 'not yet'; END IF; END $$"
    );
    eventually("a standby that streams", STREAMS_WITHIN, || async { primary.execute("postgres", &is_there).await })
        .await
}
