//! A PgBouncer in transaction mode before a throw-away PostgreSQL: consecutive transactions of one client run in
//! different sessions of the server. Gone with the process that started it.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Child, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    postgres::{Postgres, as_user, server_user},
    process::free_port,
};

const READY_WITHIN: Duration = Duration::from_secs(20);

/// As PostgreSQL's: ends what it started, and removes its folder, as soon as its own standard input ends.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
dir=$1; shift
"$@" >/dev/null 2>&1 </dev/null &
pooler=$!
read -r _
kill -KILL "$pooler" 2>/dev/null
rm -rf "$dir"/*
rmdir "$dir" 2>/dev/null
"#;

pub struct Pooler {
    watchdog: Child,
    port: u16,
    dir: TempDir,
}

/// The pooler of [`crate::postgres::shared`]; `None` after saying loudly what is absent.
pub fn shared(case: &str) -> Option<(&'static Postgres, &'static Pooler)> {
    static SHARED: OnceLock<Option<Pooler>> = OnceLock::new();
    let server = crate::postgres::shared(case)?;
    let pooler = SHARED.get_or_init(|| match Pooler::start(server) {
        Ok(pooler) => pooler,
        Err(error) => panic!("PgBouncer is installed but does not start: {error:#}"),
    });
    if pooler.is_none() {
        crate::skipped(case, "no pgbouncer in PATH or /usr/sbin");
    }
    Some((server, pooler.as_ref()?))
}

impl Pooler {
    /// `None` when PgBouncer is not installed.
    fn start(server: &Postgres) -> Result<Option<Self>> {
        let sbin = Path::new("/usr/sbin/pgbouncer");
        let found = crate::find_program("PGBOUNCER", &["pgbouncer"]);
        let Some(program) = found.or_else(|| sbin.is_file().then(|| sbin.to_owned())) else { return Ok(None) };
        let (dir, port) = (tempfile::Builder::new().prefix("test-pooler-").tempdir()?, free_port()?);
        let config = dir.path().join("pgbouncer.ini");
        // Fewer sessions than one log has connections: they are really shared.
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr=127.0.0.1\n\
             listen_port={port}\nunix_socket_dir=\nauth_type=any\npool_mode=transaction\ndefault_pool_size=3\n\
             max_client_conn=500\nlogfile={}\n",
            server.port(),
            dir.path().join("log").display()
        );
        fs::write(&config, text)?;
        let user = server_user()?;
        if let Some(user) = &user {
            chown(dir.path(), Some(user.uid), Some(user.gid))?;
            chown(&config, Some(user.uid), Some(user.gid))?;
        }
        let mut command = as_user(user.as_ref(), Path::new("/bin/sh"));
        command
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(dir.path())
            .arg(program)
            .arg(&config)
            .current_dir("/")
            .process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Self { watchdog: command.spawn().context("starting PgBouncer")?, port, dir };
        let deadline = Instant::now() + READY_WITHIN;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("PgBouncer is not ready:\n{}", fs::read_to_string(pooler.dir.path().join("log"))?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(pooler))
    }

    /// The same database, through the pooler.
    pub fn url(&self, direct: &str) -> String {
        let database = direct.rsplit('/').next().unwrap_or_default();
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}
