//! A throw-away PostgreSQL for tests: its own folder, a free loopback port, gone with the process that started it,
//! however that ends. In goes nothing but the programs of an installed PostgreSQL, out come URLs of fresh databases.

use std::{
    ffi::OsString,
    fs,
    io::Write,
    net::TcpStream,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::process::free_port;

const READY_WITHIN: Duration = Duration::from_secs(60);
const USER: &str = "postgres";

/// Runs the server, ends it as a power cut would and starts it again as it is told, and removes its folder as soon as
/// its own standard input ends: the test process holds the other end of that pipe, so even its SIGKILL is noticed.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
bin=$1; data=$2; shift 2
start() { "$bin/postgres" -D "$data/data" "$@" >>"$data/log" 2>&1 </dev/null & server=$!; }
end() { kill -QUIT "$server" 2>/dev/null; wait "$server"; }
start "$@"
while read -r word; do
    case $word in
    crash) end ;;
    start) start "$@" ;;
    esac
done
end
rm -rf "$data"/*
rmdir "$data" 2>/dev/null
"#;

/// How durable the server is. Tests of logic need no disk; figures do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    Fsync,
    NoFsync,
}

/// A running server; stopped and deleted on drop.
pub struct Postgres {
    watchdog: Child,
    port: u16,
    databases: AtomicU32,
    bin: PathBuf,
    dir: TempDir,
}

/// The server that all cases of one test program share (fsync off); `None` after saying loudly that PostgreSQL is
/// absent. With REQUIRE_POSTGRES=1 its absence is a failure.
pub fn shared(case: &str) -> Option<&'static Postgres> {
    static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
    let server = SHARED.get_or_init(|| match Postgres::start(Disk::NoFsync) {
        Ok(server) => server,
        Err(error) => panic!("PostgreSQL is installed but does not start: {error:#}"),
    });
    if server.is_none() {
        let reason = "no PostgreSQL (initdb) in PATH or /usr/lib/postgresql/*/bin";
        assert!(std::env::var_os("REQUIRE_POSTGRES").is_none(), "{case}: {reason}");
        crate::skipped(case, reason);
    }
    server.as_ref()
}

impl Postgres {
    /// Starts a server of its own; `None` when PostgreSQL is not installed.
    pub fn start(disk: Disk) -> Result<Option<Self>> {
        let Some(bin) = programs() else { return Ok(None) };
        Self::make(bin, disk, |init, data| {
            init.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER, "-D"]);
            init.arg(data);
            "initdb"
        })
        .map(Some)
    }

    /// A standby that streams what this server writes, reached at `port`: whoever stands there can cut it off.
    pub fn standby(&self, port: u16) -> Result<Self> {
        Self::make(self.bin.clone(), Disk::NoFsync, |init, data| {
            init.args([
                "--no-sync",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--host=127.0.0.1",
                "--username",
                USER,
            ]);
            init.args(["--port", &port.to_string(), "--pgdata"]).arg(data);
            "pg_basebackup"
        })
    }

    /// `init` names the program that makes the data folder, and its arguments.
    fn make(bin: PathBuf, disk: Disk, init: impl FnOnce(&mut Command, &Path) -> &'static str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("test-postgres-").tempdir()?;
        let user = server_user()?;
        if let Some(user) = &user {
            chown(dir.path(), Some(user.uid), Some(user.gid))?;
        }
        let mut arguments = Command::new("");
        let program = init(&mut arguments, &dir.path().join("data"));
        let mut init = as_user(user.as_ref(), &bin.join(program));
        let init = init.args(arguments.get_args()).current_dir("/").stdin(Stdio::null()).output()?;
        ensure!(init.status.success(), "{program}: {}", String::from_utf8_lossy(&init.stderr));

        let port = free_port()?;
        let mut server = as_user(user.as_ref(), Path::new("/bin/sh"));
        server.args(["-c", WATCHDOG, "watchdog"]).arg(&bin).arg(dir.path());
        server.args(["-p", &port.to_string(), "-k"]).arg(dir.path());
        let fsync = if disk == Disk::Fsync { "fsync=on" } else { "fsync=off" };
        for setting in ["listen_addresses=127.0.0.1", "max_connections=200", "shared_buffers=256MB", fsync] {
            server.args(["-c", setting]);
        }
        // Its own process group: an interrupt at the terminal must not stop the server before the tests.
        let server = server.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let watchdog = server.process_group(0).spawn().context("starting PostgreSQL")?;
        let server = Self { watchdog, port, databases: AtomicU32::new(0), bin, dir };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            let mut probe = Command::new(self.bin.join("pg_isready"));
            probe.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if probe.status()?.success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("PostgreSQL is not ready after {READY_WITHIN:?}:\n{}", self.output())
    }

    /// An immediate shutdown: what is not in the write-ahead log is gone.
    pub fn crash(&mut self) -> Result<()> {
        self.tell("crash")?;
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            ensure!(Instant::now() < deadline, "PostgreSQL does not stop:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    pub fn start_again(&mut self) -> Result<()> {
        self.tell("start")?;
        self.wait_until_ready()
    }

    fn tell(&mut self, word: &str) -> Result<()> {
        let watchdog = self.watchdog.stdin.as_mut().context("no watchdog")?;
        Ok(writeln!(watchdog, "{word}")?)
    }

    /// The server and its sessions, as they are now.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let pid = fs::read_to_string(self.dir.path().join("data/postmaster.pid"))?;
        let parent: u32 = pid.lines().next().context("no pid")?.parse()?;
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        Ok([parent].into_iter().chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect())
    }

    /// One of PostgreSQL's own programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// What the server logged so far.
    pub fn output(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates an empty database and returns its URL.
    pub async fn database(&self) -> Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}")).await?;
        Ok(self.url(&name))
    }

    /// Turns TLS on, with a certificate and its key in PEM. New connections are offered it.
    pub async fn offer_tls(&self, cert: &[u8], key: &[u8]) -> Result<()> {
        let user = server_user()?;
        for (name, pem) in [("server.crt", cert), ("server.key", key)] {
            let path = self.dir.path().join("data").join(name);
            fs::write(&path, pem)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            if let Some(user) = &user {
                chown(&path, Some(user.uid), Some(user.gid))?;
            }
        }
        self.execute("postgres", "ALTER SYSTEM SET ssl = on").await?;
        self.execute("postgres", "SELECT pg_reload_conf()").await
    }

    /// Runs statements in a database as its superuser.
    pub async fn execute(&self, database: &str, statements: &str) -> Result<()> {
        execute(&self.url(database), statements).await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Runs statements on a connection of their own.
pub async fn execute(url: &str, statements: &str) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let outcome = client.batch_execute(statements).await;
    drop(client);
    connection.await??;
    Ok(outcome?)
}

/// The folder of PostgreSQL's programs: PATH first, then Debian's folders, the newest version first.
fn programs() -> Option<PathBuf> {
    let in_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut versions: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    versions.sort_by_key(|path| std::cmp::Reverse(number(path)));
    let candidates = in_path.chain(versions.into_iter().map(|version| version.join("bin")));
    candidates.into_iter().find(|bin| ["initdb", "postgres", "pg_isready"].iter().all(|name| bin.join(name).is_file()))
}

pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// PostgreSQL refuses to run as root: whom to run it as, `None` for ourselves.
pub(crate) fn server_user() -> Result<Option<User>> {
    let own = Command::new("id").arg("-u").output().context("id")?;
    if String::from_utf8_lossy(&own.stdout).trim() != "0" {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let user = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(|id| id.parse().ok());
        Some(User { uid: ids.next()??, gid: ids.next()?? })
    };
    Ok(Some(user("postgres").or_else(|| user("nobody")).context("neither a user postgres nor nobody")?))
}

pub(crate) fn as_user(user: Option<&User>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    let flag = |name: &str, id: u32| OsString::from(format!("--{name}={id}"));
    command.args([flag("reuid", user.uid), flag("regid", user.gid), "--clear-groups".into(), "--".into()]);
    command.arg(program);
    command
}
