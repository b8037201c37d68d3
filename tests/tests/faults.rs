//! A short round of faults with real processes; many rounds are for `cargo run -p tests --bin faults`.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{
    faults::{MENU, Plan, Standby, fail_over, round},
    postgres::{Disk, Postgres},
    skipped,
};

#[tokio::test(flavor = "multi_thread")]
async fn faults_lose_nothing_and_repeat_nothing() -> Result<()> {
    let Some(mut postgres) = Postgres::start(Disk::NoFsync)? else {
        ensure!(std::env::var_os("REQUIRE_POSTGRES").is_none(), "no PostgreSQL");
        skipped("faults_lose_nothing_and_repeat_nothing", "no PostgreSQL");
        return Ok(());
    };
    let plan = Plan { seed: 1, lasts: Duration::from_secs(20), shims: 3, clients: 8, menu: MENU.to_vec() };
    let report = round(&mut postgres, &plan).await?;
    println!("{report}");
    ensure!(report.violations.is_empty(), "{:#?}", report.violations);
    ensure!(report.answered > 100, "only {} answers", report.answered);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_noticed_where_something_was_lost_and_nowhere_else() -> Result<()> {
    for standby in [Standby::InStep, Standby::Behind] {
        let plan = Plan { seed: 1, lasts: Duration::from_secs(6), shims: 3, clients: 8, menu: Vec::new() };
        let Some(report) = fail_over(standby, &plan).await? else {
            ensure!(std::env::var_os("REQUIRE_POSTGRES").is_none(), "no PostgreSQL");
            skipped("a_failover_is_noticed_where_something_was_lost_and_nowhere_else", "no PostgreSQL");
            return Ok(());
        };
        println!("{standby:?}: {report}");
        ensure!(report.violations.is_empty(), "{standby:?}: {:#?}", report.violations);
        ensure!(report.answered > 30, "only {} answers", report.answered);
    }
    Ok(())
}
