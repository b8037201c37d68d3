//! What an etcd 3.6 answered to seeded random requests, replayed against the shim on each of its logs: every answer
//! must be the same, field by field. The recordings were made by `differ record`, one theme and one fresh etcd each;
//! see `tests::differ`.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Result, ensure};
use tests::{
    differ::{self, player::Player, recording},
    plain::PlainShim,
    postgres,
};

/// Differences shown of one recording.
const SHOWN: usize = 3;

#[tokio::test]
async fn answers_are_those_of_an_etcd_in_memory() -> Result<()> {
    replay(async || Ok("memory:".to_owned())).await
}

#[tokio::test]
async fn answers_are_those_of_an_etcd_on_sqlite() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let number = std::cell::Cell::new(0);
    replay(async || {
        number.set(number.get() + 1);
        Ok(format!("sqlite://{}", dir.path().join(format!("{}.db", number.get())).display()))
    })
    .await
}

#[tokio::test]
async fn answers_are_those_of_an_etcd_on_postgres() -> Result<()> {
    let Some(postgres) = postgres::shared("answers_are_those_of_an_etcd_on_postgres") else { return Ok(()) };
    replay(async || postgres.database().await).await
}

/// Each recording against a shim of its own on a fresh store.
async fn replay(store: impl AsyncFn() -> Result<String>) -> Result<()> {
    let (mut requests, mut found) = (0, Vec::new());
    for file in recordings()? {
        let (exchanges, started) = (recording::load(&file)?, Instant::now());
        requests += exchanges.len();
        // A build that is not optimised needs seconds for a password at etcd's default.
        let shim = PlainShim::start(&store().await?, &["--log-level=error", "--bcrypt-cost=4"]).await?;
        Player::connect(&shim.url).await?.ensure_fresh().await?;
        let differences = differ::replay(&exchanges, &shim.url, SHOWN).await?;
        println!("{}: {:?}", file.display(), started.elapsed());
        found.extend(differences.into_iter().map(|difference| format!("{}, {difference}", file.display())));
    }
    println!("{requests} requests replayed");
    ensure!(requests > 0, "there are no recordings");
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

fn recordings() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in Path::new(env!("CARGO_MANIFEST_DIR")).join("data").read_dir()? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rec"));
    files.sort();
    Ok(files)
}
