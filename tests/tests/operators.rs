//! What docs/operators.md tells to do, done: backups by PostgreSQL's own tools and by etcd's snapshot come back with
//! every revision.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use proto::etcdserverpb::{
    DeleteRangeRequest, HashKvRequest, LeaseGrantRequest, PutRequest, RangeRequest, SnapshotRequest,
    kv_client::KvClient, lease_client::LeaseClient, maintenance_client::MaintenanceClient,
};
use tests::{plain::PlainShim, postgres, process::own_program};
use tonic::transport::{Channel, Endpoint};

async fn connect(shim: &PlainShim) -> Result<Channel> {
    Ok(Endpoint::from_shared(shim.url.clone())?.connect().await?)
}

/// Some history: puts, a lease, deletions.
async fn fill(channel: &Channel) -> Result<()> {
    let mut kv = KvClient::new(channel.clone());
    let lease = LeaseGrantRequest { ttl: 3600, id: 7 };
    LeaseClient::new(channel.clone()).lease_grant(lease).await?;
    for number in 0..200 {
        let key = format!("/k/{}", number % 60);
        let lease = if number % 10 == 0 { 7 } else { 0 };
        let value = format!("value {number}").into();
        kv.put(PutRequest { key: key.into(), value, lease, ..Default::default() }).await?;
    }
    kv.delete_range(DeleteRangeRequest { key: "/k/1".into(), range_end: "/k/2".into(), ..Default::default() }).await?;
    Ok(())
}

/// Hash and revision.
async fn state(channel: &Channel) -> Result<(u32, i64)> {
    // Not before everything is applied.
    KvClient::new(channel.clone()).range(RangeRequest { key: "/k/1".into(), ..Default::default() }).await?;
    let hash = MaintenanceClient::new(channel.clone()).hash_kv(HashKvRequest { revision: 0 }).await?.into_inner();
    Ok((hash.hash, hash.header.context("no header")?.revision))
}

fn run(program: &Path, args: &[&str]) -> Result<()> {
    let output = Command::new(program).args(args).output().with_context(|| program.display().to_string())?;
    ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_the_running_database_is_a_backup() -> Result<()> {
    let Some(server) = postgres::shared("a_dump_of_the_running_database_is_a_backup") else { return Ok(()) };
    let (from, to, folder) = (server.database().await?, server.database().await?, tempfile::tempdir()?);
    let shim = PlainShim::start(&from, &[]).await?;
    let channel = connect(&shim).await?;
    fill(&channel).await?;
    let before = state(&channel).await?;
    let file = folder.path().join("dump");
    let file = file.to_str().context("a name")?;
    run(&server.program("pg_dump"), &["--format=custom", "--schema=kine_shim", &format!("--file={file}"), &from])?;
    // What comes later is not in it.
    KvClient::new(channel).put(PutRequest { key: "later".into(), ..Default::default() }).await?;
    run(&server.program("pg_restore"), &["--no-owner", &format!("--dbname={to}"), file])?;
    let restored = PlainShim::start(&to, &[]).await?;
    let channel = connect(&restored).await?;
    ensure!(state(&channel).await? == before, "{:?}, {before:?}", state(&channel).await?);
    let put = KvClient::new(channel).put(PutRequest { key: "next".into(), ..Default::default() }).await?;
    ensure!(put.into_inner().header.context("no header")?.revision == before.1 + 1, "revisions go on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_a_backup() -> Result<()> {
    let Some(server) = postgres::shared("a_snapshot_is_a_backup") else { return Ok(()) };
    let (from, to, folder) = (server.database().await?, server.database().await?, tempfile::tempdir()?);
    let shim = PlainShim::start(&from, &[]).await?;
    let channel = connect(&shim).await?;
    fill(&channel).await?;
    let before = state(&channel).await?;
    let file = folder.path().join("snapshot");
    let mut pieces = MaintenanceClient::new(channel).snapshot(SnapshotRequest {}).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(piece) = tokio::time::timeout(Duration::from_secs(30), pieces.message()).await?? {
        bytes.extend(piece.blob);
    }
    std::fs::write(&file, bytes)?;
    let file = file.to_str().context("a name")?;
    run(&own_program("kine-shim")?, &["import", &format!("--endpoint={to}"), "--from-snapshot", file])?;
    let restored = PlainShim::start(&to, &[]).await?;
    let after = state(&connect(&restored).await?).await?;
    ensure!(after == before, "{after:?}, {before:?}");
    Ok(())
}
