//! kine's table as a source. In go its rows in the order of their ids, out come entries; where the rows come from
//! stands in [`postgres`] and [`sqlite`]. A row's id is its revision, so revisions, create revisions and the compacted
//! revision are kept. What kine does differently from etcd:
//!
//! - It counts no versions (its clients read 0, but for one key): here a key's versions are counted from the rows that
//!   are left.
//! - Its lease is a number of seconds, and each key ends by itself. Here keys of one TTL share leases, as
//!   kube-apiserver has it; all get their full time again.
//! - Rows named `gap-…` fill holes in the ids, and `compact_rev_key` is its own; neither is data. What API servers
//!   store under that key it keeps under another name, with the version in front of the value.
//!
//! Source: github.com/k3s-io/kine 0.16, pkg/drivers/generic, pkg/logstructured, pkg/server/compact.go.

mod convert;
mod postgres;
mod sqlite;

use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::{
    import::{self, Imported},
    progress::say,
    source::{self, Feed},
};
use crate::log::{Endpoint, Log, Options};

pub(super) async fn import_from(log: Arc<dyn Log>, endpoint: &Endpoint, options: &Options) -> Result<Imported> {
    let (feed, steps) = Feed::new();
    let named = || format!("--from-kine {endpoint}");
    match endpoint {
        Endpoint::Memory => bail!("--from-kine is postgres://… or sqlite://FILE"),
        Endpoint::Postgres { url } => {
            let table = postgres::Table::open(url, options).await.with_context(named)?;
            let name = table.facts.name();
            let reading = tokio::spawn(table.run(feed));
            run(log, &name, steps, reading).await
        }
        Endpoint::Sqlite { file } => {
            let table = sqlite::Table::open(file).with_context(named)?;
            let name = table.facts.name();
            let reading = tokio::task::spawn_blocking(move || table.run(feed));
            run(log, &name, steps, reading).await
        }
    }
}

async fn run(
    log: Arc<dyn Log>,
    name: &str,
    steps: source::Steps,
    reading: tokio::task::JoinHandle<()>,
) -> Result<Imported> {
    say(&format!("importing {name}"));
    let imported = import::run(log, name, steps).await;
    reading.await.context("the reader ended badly")?;
    imported
}
