//! The load tool: presses any etcd-compatible server or any Kubernetes API server and prints what it saw.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tests::load::{etcd, kube};

#[derive(Parser)]
#[command(about = "Throughput, latency and server CPU of any etcd-compatible server or Kubernetes API server")]
struct Arguments {
    #[command(subcommand)]
    target: Target,
    /// Concurrent clients, one run each
    #[arg(long, global = true, value_delimiter = ',', default_value = "1,16,256")]
    clients: Vec<usize>,
    /// Seconds a run
    #[arg(long, global = true, default_value_t = 5.0)]
    seconds: f64,
    /// Server processes whose CPU time is counted
    #[arg(long, global = true, value_delimiter = ',')]
    pids: Vec<u32>,
}

#[derive(Subcommand)]
enum Target {
    /// Puts, gets, pages of 500, counts, write-to-event
    Etcd {
        /// The first is written to; the second is watched for events from another server
        #[arg(long, value_delimiter = ',', required = true)]
        endpoints: Vec<String>,
        #[arg(long, default_value_t = 50_000)]
        keys: usize,
        #[arg(long, default_value_t = 1024)]
        value_bytes: usize,
        /// Only these of put, get, page, count, event
        #[arg(long, value_delimiter = ',')]
        works: Vec<String>,
    },
    /// Creates, gets, merge patches and lists of ConfigMaps
    Kube {
        #[arg(long)]
        server: String,
        #[arg(long)]
        ca: PathBuf,
        #[arg(long)]
        cert: PathBuf,
        #[arg(long)]
        key: PathBuf,
        /// Objects laid down for gets, patches and lists
        #[arg(long, default_value_t = 1000)]
        objects: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { target, clients, seconds, pids } = Arguments::parse();
    match target {
        Target::Etcd { endpoints, keys, value_bytes, works } => {
            etcd::run(etcd::Plan { endpoints, pids, clients, seconds, keys, value_bytes, works }).await
        }
        Target::Kube { server, ca, cert, key, objects } => {
            kube::run(kube::Plan { server, ca, cert, key, pids, clients, seconds, objects }).await
        }
    }
}
