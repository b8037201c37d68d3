//! What tools that start an `etcd` of their own do with `etcdctl` and `etcdutl`: save a snapshot of a running server,
//! and restore one into a data directory, ours, that a server called `etcd` then serves. In goes a command line, out
//! comes a file or a data directory.
//!
//! Not here: everything else that the two can. etcd's own etcdctl works with a server of ours, too.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::{
    fetch::{ClientFlags, Remote},
    import::{self, Imported},
    read::{EtcdFile, HashCheck},
};
use crate::{
    config::STATE_FILE,
    grpc::ETCD_VERSION,
    log::{self, Endpoint, Options},
};

const ETCDS_OWN: &str = "This program takes the place of etcd's own for snapshots alone. etcd's etcdctl and etcdutl work with \
                         the same servers and snapshot files.";

#[derive(Parser, Debug)]
#[command(after_help = ETCDS_OWN)]
struct Etcdctl {
    /// Servers, of which one is enough
    #[arg(long, global = true, env = "ETCDCTL_ENDPOINTS", value_delimiter = ',', default_value = "127.0.0.1:2379")]
    endpoints: Vec<String>,
    #[command(flatten)]
    client: ClientFlags,
    #[command(subcommand)]
    command: Of<Save>,
}

#[derive(Parser, Debug)]
#[command(after_help = ETCDS_OWN)]
struct Etcdutl {
    #[command(subcommand)]
    command: Of<Restore>,
}

#[derive(Subcommand, Debug)]
enum Of<T: Subcommand> {
    /// Snapshots of a server's whole history
    Snapshot {
        #[command(subcommand)]
        command: T,
    },
    /// Says which version this is
    Version,
}

#[derive(Subcommand, Debug)]
enum Save {
    /// Saves a snapshot of a running server
    Save { file: PathBuf },
}

#[derive(Subcommand, Debug)]
enum Restore {
    /// Restores a snapshot into a new data directory
    Restore(RestoreFlags),
}

#[derive(Args, Debug)]
struct RestoreFlags {
    file: PathBuf,
    /// The data directory to make
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Name of the member; the data directory is NAME.etcd without --data-dir
    #[arg(long, default_value = "default")]
    name: String,
    /// The file is a copy of a member's own database, which has no hash at its end
    #[arg(long)]
    skip_hash_check: bool,
    /// Taken and not needed: shims of one store find each other there
    #[arg(long, hide = true)]
    initial_cluster: Option<String>,
    /// Taken and not needed
    #[arg(long, hide = true)]
    initial_cluster_token: Option<String>,
    /// Taken and not needed
    #[arg(long, hide = true)]
    initial_advertise_peer_urls: Option<String>,
}

/// A command line of one of the two programs.
pub(super) enum Called {
    Etcdctl(Vec<OsString>),
    Etcdutl(Vec<OsString>),
}

impl Called {
    /// By the name that the program was started by.
    pub(super) fn by_name(args: &[OsString]) -> Option<Self> {
        match Path::new(args.first()?).file_name()?.to_str()? {
            "etcdctl" => Some(Self::Etcdctl(args.to_vec())),
            "etcdutl" => Some(Self::Etcdutl(args.to_vec())),
            _ => None,
        }
    }

    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Etcdctl(args) => {
                let Etcdctl { endpoints, client, command } = parsed("etcdctl", args);
                match command {
                    Of::Snapshot { command: Save::Save { file } } => save(&endpoints, &client, &file).await,
                    Of::Version => version("etcdctl"),
                }
            }
            Self::Etcdutl(args) => {
                let Etcdutl { command } = parsed("etcdutl", args);
                match command {
                    Of::Snapshot { command: Restore::Restore(flags) } => restore(flags).await,
                    Of::Version => version("etcdutl"),
                }
            }
        }
    }
}

/// What is wrong is told and ends the program, as clap does it.
fn parsed<T: CommandFactory + FromArgMatches>(name: &'static str, args: Vec<OsString>) -> T {
    let command = T::command().name(name).version(ETCD_VERSION);
    let matches = command.try_get_matches_from(args).and_then(|matches| T::from_arg_matches(&matches));
    matches.unwrap_or_else(|usage| usage.exit())
}

fn version(name: &str) -> Result<()> {
    println!("{name} version: {ETCD_VERSION}\nAPI version: 3.6");
    Ok(())
}

async fn save(endpoints: &[String], client: &ClientFlags, file: &Path) -> Result<()> {
    Remote::connect(endpoints, client).await?.fetch(file).await?;
    println!("Snapshot saved at {}", file.display());
    Ok(())
}

async fn restore(flags: RestoreFlags) -> Result<()> {
    let RestoreFlags { file, data_dir, name, skip_hash_check, .. } = flags;
    let check = if skip_hash_check { HashCheck::Skipped } else { HashCheck::Required };
    let source = EtcdFile::open(&file, check)?;
    let data_dir = data_dir.unwrap_or_else(|| PathBuf::from(format!("{name}.etcd")));
    let is_free = fs::read_dir(&data_dir).map_or(true, |mut entries| entries.next().is_none());
    ensure!(is_free, "data-dir {} is not empty", data_dir.display());
    let target = Endpoint::Sqlite { file: data_dir.join(STATE_FILE) };
    let log = log::open(&target, &Options::default()).await.with_context(|| target.to_string())?;
    let Imported { revision, keys, .. } = import::from_file(log, source).await?;
    println!("restored {} into {}: {keys} keys, revision {revision}", file.display(), data_dir.display());
    Ok(())
}
