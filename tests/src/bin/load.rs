//! The load tool: presses any etcd-compatible server or any Kubernetes API server and prints what it saw.

use std::time::Duration;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tests::load::{access, beside, etcd, idle, kube, leases, pairs, watchers};

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
        /// Seconds between laying down the keys and reading them, for the database to write them out
        #[arg(long, default_value_t = 30.0)]
        rest: f64,
    },
    /// Many watchers: an event delivered is an operation
    Watchers {
        #[arg(long)]
        endpoint: String,
        #[arg(long, default_value_t = 10_000)]
        watchers: usize,
        /// That share the watchers
        #[arg(long, default_value_t = 1)]
        prefixes: usize,
        #[arg(long, default_value_t = 1_000)]
        streams: usize,
        #[arg(long, default_value_t = 10)]
        connections: usize,
        /// Each waits until its write was seen by all
        #[arg(long, default_value_t = 1)]
        writers: usize,
        #[arg(long, default_value_t = 1024)]
        value_bytes: usize,
        #[arg(long)]
        prev_kv: bool,
    },
    /// Many leases: granted, kept alive, left alone, expired
    Leases {
        /// Keep-alives go to all in turn
        #[arg(long, value_delimiter = ',', required = true)]
        endpoints: Vec<String>,
        #[arg(long, default_value_t = 100_000)]
        leases: usize,
        #[arg(long, default_value_t = 60)]
        ttl: i64,
        #[arg(long, default_value_t = 256)]
        granters: usize,
        #[arg(long, default_value_t = 8)]
        streams: usize,
        /// Keep-alives a stream sends before the first is answered
        #[arg(long, default_value_t = 64)]
        ahead: usize,
        /// Every n-th lease has a key
        #[arg(long, default_value_t = 10)]
        key_every: usize,
    },
    /// Connections that say nothing, and one client that puts
    Idle {
        #[arg(long)]
        endpoint: String,
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
    /// Pairs of etcd and kube-apiserver as test benches start them: start, rest, stop
    Pairs {
        /// Folders with the two programs
        #[arg(long = "bench", required = true)]
        benches: Vec<PathBuf>,
        /// How many start in the same moment, one run each
        #[arg(long, value_delimiter = ',', default_value = "1,10,40")]
        at_once: Vec<usize>,
        /// Where ours keep their data, {} for the number of the pair [default: a folder each]
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
    },
    /// What authentication, authorization and admission take, by the servers' own figures
    Access {
        /// One after the other; --pids are theirs, in this order
        #[arg(long, value_delimiter = ',', required = true)]
        servers: Vec<String>,
        #[arg(long)]
        ca: PathBuf,
        /// A bearer token of an administrator
        #[arg(long)]
        token: String,
        #[arg(long, default_value_t = 10_000)]
        bindings: usize,
        /// Requests for each figure
        #[arg(long, default_value_t = 2_000)]
        requests: usize,
    },
    /// The frontend beside a kube-apiserver, in one run: a table of figures with their ratios
    Beside {
        #[arg(long, env = "KUBE_APISERVER")]
        kube_apiserver: PathBuf,
        #[arg(long, env = "ETCD")]
        etcd: PathBuf,
        /// Another frontend than the one built with this program
        #[arg(long, env = "FRONTEND")]
        frontend: Option<PathBuf>,
        /// Only these of empty, create, get, patch, patch-one, apply, watch, reconnect, list, gzip, start, large-list
        #[arg(long, value_delimiter = ',')]
        works: Vec<String>,
        /// Pods of the large lists
        #[arg(long, default_value_t = 50_000)]
        pods: usize,
        #[arg(long, default_value_t = 2_000)]
        watchers: usize,
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
        Target::Pairs { benches, at_once, endpoint } => {
            pairs::run(pairs::Plan { benches, at_once, seconds, endpoint }).await
        }
        Target::Beside { kube_apiserver, etcd, frontend, works, pods, watchers } => {
            beside::run(beside::Plan { kube_apiserver, etcd, frontend, works, seconds, pods, watchers }).await
        }
        Target::Etcd { endpoints, keys, value_bytes, works, rest } => {
            let rest = Duration::from_secs_f64(rest);
            etcd::run(etcd::Plan { endpoints, pids, clients, seconds, keys, value_bytes, works, rest }).await
        }
        Target::Watchers { endpoint, watchers, prefixes, streams, connections, writers, value_bytes, prev_kv } => {
            watchers::run(watchers::Plan {
                endpoint,
                pids,
                watchers,
                prefixes,
                streams,
                connections,
                writers,
                value_bytes,
                prev_kv,
                seconds,
            })
            .await
        }
        Target::Leases { endpoints, leases, ttl, granters, streams, ahead, key_every } => {
            leases::run(leases::Plan {
                endpoints,
                pids,
                leases,
                ttl,
                clients: granters,
                streams,
                ahead,
                key_every,
                seconds,
            })
            .await
        }
        Target::Idle { endpoint, connections } => idle::run(idle::Plan { endpoint, pids, connections, seconds }).await,
        Target::Access { servers, ca, token, bindings, requests } => {
            access::run(access::Plan { servers, ca, token, pids, bindings, requests }).await
        }
        Target::Kube { server, ca, cert, key, objects } => {
            kube::run(kube::Plan { server, ca, cert, key, pids, clients, seconds, objects }).await
        }
    }
}
