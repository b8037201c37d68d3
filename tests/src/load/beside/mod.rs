//! The frontend beside a kube-apiserver, in one run: the same works on both, row by row, and a table of the figures
//! with their ratios. kube-apiserver stands on an etcd; the frontend on a shim over PostgreSQL with fsync on, and, for
//! the works that read a large store, on that same etcd.

mod figures;
mod pods;
mod servers;
mod streams;
mod works;

use std::path::PathBuf;

use anyhow::{Result, bail};

use figures::row;
use servers::{Servers, Store};
use works::Work;

pub struct Plan {
    pub kube_apiserver: PathBuf,
    pub etcd: PathBuf,
    /// The frontend; none: the one that was built with this program.
    pub frontend: Option<PathBuf>,
    /// Only these; empty: all.
    pub works: Vec<String>,
    pub seconds: f64,
    /// Pods that the large lists are made of.
    pub pods: usize,
    pub watchers: usize,
}

/// Prints a row for every figure of every work.
pub async fn run(plan: Plan) -> Result<()> {
    let known: Vec<&str> = Work::ALL.iter().map(|work| work.name()).collect();
    if let Some(unknown) = plan.works.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no work {unknown}; there are {}", known.join(", "));
    }
    let mut servers = Servers::start(&plan).await?;
    println!("{}", figures::head());
    for work in Work::ALL {
        if !plan.works.is_empty() && !plan.works.iter().any(|name| name == work.name()) {
            continue;
        }
        let store = if work.reads_a_large_store() { Store::Etcd } else { Store::Shim };
        let original = work.measure(&plan, servers.original().await?).await?;
        let ours = work.measure(&plan, servers.ours(store).await?).await?;
        for (theirs, ours) in original.iter().zip(&ours) {
            println!("{}", row(work.name(), theirs, ours));
        }
    }
    Ok(())
}
