//! Moving in and out: a state as etcd's database file and back, and the sub-commands that carry whole stores over. In
//! go command lines, out come a log or a file, progress on stderr and the result on stdout.

mod content;
mod etcdctl;
mod export;
mod fetch;
mod import;
mod kine;
mod load;
mod progress;
mod read;
pub(crate) mod schema;
mod source;
#[cfg(test)]
mod tests;
pub mod write;

use std::{ffi::OsString, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use futures::future::BoxFuture;

use self::{
    etcdctl::Called,
    fetch::{ClientFlags, Remote},
    import::Imported,
    progress::say,
    read::{EtcdFile, HashCheck},
};
use crate::log::{self, Endpoint, Log, Options};

/// The etcd v3 API on PostgreSQL or an embedded SQLite file: moving whole stores in and out.
#[derive(Parser, Debug)]
#[command(name = "kine-shim", version)]
struct Commands {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Takes over an etcd or a kine, with its revisions, into an empty store that no shim serves yet. Killed midway, it
    /// goes on when started again with the same source
    Import(ImportFlags),
    /// Writes a snapshot file that etcdutl restores. Of an embedded store that a shim has open, use `etcdctl snapshot
    /// save`
    Export(ExportFlags),
}

#[derive(Args, Debug)]
struct Store {
    /// postgres://… or sqlite://FILE
    #[arg(long, env = "KINE_SHIM_ENDPOINT", hide_env_values = true)]
    endpoint: Endpoint,
    /// Authority of the database's certificate
    #[arg(long, alias = "datastore-cafile", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Client certificate shown to the database
    #[arg(long, value_name = "FILE", requires = "datastore_keyfile")]
    datastore_certfile: Option<PathBuf>,
    /// Key of --datastore-certfile
    #[arg(long, value_name = "FILE", requires = "datastore_certfile")]
    datastore_keyfile: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ImportFlags {
    #[command(flatten)]
    target: Store,
    #[command(flatten)]
    source: Sources,
    /// The file is a copy of a member's own database, which has no hash at its end
    #[arg(long, requires = "from_snapshot")]
    skip_hash_check: bool,
    /// Where the snapshot of --from-etcd is kept; taken as it is when it is there already
    #[arg(long, value_name = "FILE", default_value = "kine-shim-import.db")]
    snapshot_file: PathBuf,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Sources {
    /// A snapshot file of etcd
    #[arg(long, value_name = "FILE")]
    from_snapshot: Option<PathBuf>,
    /// A running etcd: URLs, comma separated, of which one is enough. Stop its clients before
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    from_etcd: Vec<String>,
    /// kine's table: postgres://… or sqlite://FILE. Stop kine's clients before
    #[arg(long, value_name = "URL")]
    from_kine: Option<Endpoint>,
}

#[derive(Args, Debug)]
struct ExportFlags {
    #[command(flatten)]
    source: Store,
    /// The file to write
    file: PathBuf,
}

/// Runs a sub-command, or one of etcd's tools that this program is called by; `None` when the first argument names
/// none. The caller goes on to serve.
pub fn run_from_args(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let args: Vec<OsString> = args.into_iter().collect();
    let work: BoxFuture<'static, Result<()>> = match Called::by_name(&args) {
        Some(called) => Box::pin(called.run()),
        None if args.get(1).is_some_and(|name| name == "import" || name == "export") => {
            let commands = Commands::try_parse_from(args).unwrap_or_else(|usage| usage.exit());
            Box::pin(run(commands.command))
        }
        None => return None,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("kine-shim: no runtime: {error}"));
            return Some(ExitCode::FAILURE);
        }
    };
    Some(match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("kine-shim: {error:#}"));
            ExitCode::FAILURE
        }
    })
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Import(flags) => tell("imported", &import_store(flags).await?),
        Command::Export(flags) => {
            if let Endpoint::Sqlite { file } = &flags.source.endpoint {
                ensure!(file.is_file(), "{}: there is no such file", file.display());
            }
            let log = flags.source.open().await?;
            tell("exported", &export::run(&*log, &flags.file).await?);
        }
    }
    Ok(())
}

fn tell(what: &str, moved: &Imported) {
    let Imported { revision, compacted, keys, leases, hash } = moved;
    let compacted = compacted.unwrap_or(-1);
    println!("{what}: {keys} keys, {leases} leases, revision {revision}, compacted {compacted}, HashKV {hash}");
}

impl Store {
    async fn open(&self) -> Result<Arc<dyn Log>> {
        ensure!(self.endpoint != Endpoint::Memory, "--endpoint memory: would be gone at once");
        log::open(&self.endpoint, &self.options()).await.with_context(|| format!("--endpoint {}", self.endpoint))
    }

    fn options(&self) -> Options {
        Options {
            ca_file: self.ca_file.clone(),
            cert_file: self.datastore_certfile.clone(),
            key_file: self.datastore_keyfile.clone(),
            ..Options::default()
        }
    }
}

async fn import_store(flags: ImportFlags) -> Result<Imported> {
    let log = flags.target.open().await?;
    let Sources { from_snapshot, from_etcd, from_kine } = flags.source;
    if let Some(file) = from_snapshot {
        let check = if flags.skip_hash_check { HashCheck::Skipped } else { HashCheck::Required };
        return import::from_file(log, EtcdFile::open(&file, check)?).await;
    }
    if let Some(kine) = from_kine {
        return kine::import_from(log, &kine, &flags.target.options()).await;
    }
    let remote = Remote::connect(&from_etcd, &flags.client).await?;
    let file = flags.snapshot_file;
    if file.exists() {
        say(&format!("using the snapshot that {} holds; remove it to fetch a new one", file.display()));
    } else {
        remote.fetch(&file).await?;
    }
    let imported = import::from_file(log, EtcdFile::open(&file, HashCheck::Required)?).await?;
    remote.compare(&imported).await?;
    Ok(imported)
}
