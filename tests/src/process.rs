//! One running program of ours: started with flags, watched until ready, killed with its owner.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// A child process whose output goes to a file; killed (SIGKILL) when dropped.
pub struct Process {
    name: String,
    command: (PathBuf, Vec<String>),
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn start(name: &str, program: &Path, args: Vec<String>, log: PathBuf) -> Result<Self> {
        let command = (program.to_owned(), args);
        let child = spawn(&command, &log)?;
        Ok(Self { name: name.to_owned(), command, child, log })
    }

    /// What the process wrote so far, both streams.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Held and let go (SIGSTOP, SIGCONT): it does nothing, and others see nothing but silence.
    pub fn hold(&self) -> Result<()> {
        signal("-STOP", &[self.id()])
    }

    pub fn release(&self) -> Result<()> {
        signal("-CONT", &[self.id()])
    }

    /// SIGTERM, then waits for the exit; returns its status code.
    pub fn terminate(&mut self, patience: Duration) -> Result<Option<i32>> {
        self.signal_to_stop()?;
        self.wait(patience)
    }

    /// SIGTERM.
    pub fn signal_to_stop(&self) -> Result<()> {
        signal("-TERM", &[self.id()])
    }

    /// Waits for the exit; returns its status code.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<i32>> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("{} did not stop within {patience:?}:\n{}", self.name, self.output())
    }

    /// Starts the same program again with the same flags.
    pub fn restart(&mut self) -> Result<()> {
        let _ = self.kill();
        self.child = spawn(&self.command, &self.log)?;
        Ok(())
    }

    /// Fails with the process's own output when it has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}:\n{}", self.name, self.output());
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn spawn((program, args): &(PathBuf, Vec<String>), log: &Path) -> Result<Child> {
    let output = File::options().create(true).append(true).open(log)?;
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))
}

/// Those that have ended meanwhile are no failure.
pub fn signal(name: &str, processes: &[u32]) -> Result<()> {
    Command::new("kill").arg(name).args(processes.iter().map(u32::to_string)).stderr(Stdio::null()).status()?;
    Ok(())
}

/// A program of this workspace, from the folder the tests were built into (or from the variable BIN_DIR).
pub fn own_program(name: &str) -> Result<PathBuf> {
    let dir = match std::env::var_os("BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let exe = std::env::current_exe()?;
            let dir = exe.parent().context("no folder")?;
            if dir.ends_with("deps") { dir.parent().context("no folder")?.to_owned() } else { dir.to_owned() }
        }
    };
    let path = dir.join(name);
    if !path.is_file() {
        bail!("{} is not built; run `cargo build --workspace` first", path.display());
    }
    Ok(path)
}

/// Ports below those that Linux gives to outgoing connections (`net.ipv4.ip_local_port_range`), which would otherwise
/// take a port between its choice and the start of the server it was chosen for.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// A loopback port that was free a moment ago and that this process names once. Processes with neighbouring numbers
/// begin far from one another.
pub fn free_port() -> Result<u16> {
    static NAMED: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in 0..count {
        let step = std::process::id().wrapping_mul(97).wrapping_add(NAMED.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(step % count)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of {PORTS:?} is free")
}

/// Repeats `probe` until it succeeds; the last error is the reason given at the deadline.
pub async fn eventually<T, F: Future<Output = Result<T>>>(
    what: &str,
    patience: Duration,
    mut probe: impl FnMut() -> F,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => return Err(error.context(format!("{what} within {patience:?}"))),
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
}
