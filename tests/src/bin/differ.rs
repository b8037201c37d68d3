//! The differential tool: records what an etcd answers, replays a recording against another server, or compares two
//! servers live. Every server must be fresh (revision 1): revisions are compared exactly.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use tests::differ::{self, compare, generate::THEMES, recording};

#[derive(Parser)]
#[command(about = "Compares what etcd-compatible servers answer to seeded random requests")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays a theme against a fresh server and writes requests and answers
    Record {
        #[arg(long)]
        endpoint: String,
        #[command(flatten)]
        plan: Plan,
        #[arg(long)]
        out: PathBuf,
    },
    /// Plays a recording against a fresh server and prints what differs
    Replay {
        #[arg(long)]
        endpoint: String,
        file: PathBuf,
        /// Stop after so many
        #[arg(long)]
        requests: Option<usize>,
        /// Print the requests
        #[arg(long)]
        show: bool,
        /// Differences to print before giving up
        #[arg(long, default_value_t = 5)]
        most: usize,
    },
    /// Plays a theme against two fresh servers and prints what differs
    Live {
        /// The first is right
        #[arg(long, num_args = 2, required = true)]
        endpoints: Vec<String>,
        #[command(flatten)]
        plan: Plan,
        #[arg(long, default_value_t = 5)]
        most: usize,
    },
}

#[derive(Args)]
struct Plan {
    /// kv, txn, lease, expiry, watch, operator or auth
    #[arg(long, value_parser = names())]
    theme: String,
    #[arg(long, default_value_t = rand::random())]
    seed: u64,
    #[arg(long, default_value_t = 1000)]
    requests: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let found = match Arguments::parse().command {
        Command::Record { endpoint, plan, out } => {
            let exchanges = differ::record(&plan.into(), &endpoint).await?;
            recording::save(&out, &exchanges)?;
            println!("{} exchanges, {} bytes", exchanges.len(), std::fs::metadata(&out)?.len());
            return Ok(());
        }
        Command::Replay { endpoint, file, requests, show, most } => {
            let mut exchanges = recording::load(&file)?;
            exchanges.truncate(requests.unwrap_or(usize::MAX));
            for (number, exchange) in exchanges.iter().enumerate().filter(|_| show) {
                println!("{number} {}", compare::asked(&exchange.step));
            }
            differ::replay(&exchanges, &endpoint, most).await?
        }
        Command::Live { endpoints, plan, most } => {
            let plan = differ::Plan::from(plan);
            println!("{plan:?}");
            differ::live(&plan, &endpoints[0], &endpoints[1], most).await?
        }
    };
    ensure!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    println!("no difference");
    Ok(())
}

impl From<Plan> for differ::Plan {
    fn from(Plan { theme, seed, requests }: Plan) -> Self {
        Self { theme, seed, requests }
    }
}

fn names() -> Vec<&'static str> {
    THEMES.iter().map(|(name, _)| *name).collect()
}
