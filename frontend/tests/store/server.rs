//! A real etcd v3 server to test against.
//!
//! `STORE_ENDPOINTS` names running ones (a comma between them; their content under the test's own prefixes is theirs to
//! lose); else `ETCD_BIN` or `KINE_SHIM_BIN` names a program, or it is the kine-shim of this build, started with its
//! data in a scratch folder. With none of them a test says loudly that it was skipped.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use frontend::store::{Store, StoreConfig};
use tempfile::TempDir;

/// A server for one test; it ends with it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) endpoints: Vec<String>,
    _process: Option<Arc<Process>>,
}

struct Process {
    child: std::sync::Mutex<Child>,
    _scratch: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

enum Program {
    Etcd(PathBuf),
    Shim(PathBuf),
}

impl Program {
    fn start(&self, url: &str, scratch: &Path) -> Child {
        let mut command = match self {
            Program::Shim(shim) => {
                let mut command = Command::new(shim);
                command.args(["--endpoint", "memory:", "--listen-client-urls", url, "--advertise-client-urls", url]);
                command
            }
            Program::Etcd(etcd) => {
                let peer = format!("http://127.0.0.1:{}", free_port());
                let mut command = Command::new(etcd);
                command.arg("--unsafe-no-fsync").arg("--data-dir").arg(scratch);
                command.args(["--listen-client-urls", url, "--advertise-client-urls", url]);
                command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
                command.args(["--initial-cluster", &format!("default={peer}")]);
                command
            }
        };
        command.current_dir(scratch).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// The shim of the same build, if the whole workspace was built.
fn shim_beside_this_test() -> Option<PathBuf> {
    let shim = std::env::current_exe().ok()?.parent()?.parent()?.join("kine-shim");
    shim.exists().then_some(shim)
}

impl Server {
    pub(crate) fn start() -> Option<Server> {
        if let Ok(list) = std::env::var("STORE_ENDPOINTS") {
            let endpoints = list.split(',').map(str::to_owned).collect();
            return Some(Server { endpoints, _process: None });
        }
        let (program, built_here) = match (variable("ETCD_BIN"), variable("KINE_SHIM_BIN"), shim_beside_this_test()) {
            (Some(etcd), _, _) => (Program::Etcd(etcd), false),
            (None, Some(shim), _) => (Program::Shim(shim), false),
            (None, None, Some(shim)) => (Program::Shim(shim), true),
            (None, None, None) => {
                println!(
                    "SKIPPED store: no kine-shim is built, and STORE_ENDPOINTS, KINE_SHIM_BIN and ETCD_BIN are not set"
                );
                return None;
            }
        };
        let scratch = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let mut child = program.start(&format!("http://{address}"), scratch.path());
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            if let Some(status) = child.try_wait().unwrap() {
                // A program of which nothing is written yet ends well at once.
                if built_here && status.success() {
                    println!("SKIPPED store: kine-shim does not serve yet");
                    return None;
                }
                panic!("the server ended with {status}");
            }
            assert!(started.elapsed() < Duration::from_secs(30), "the server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        let process = Arc::new(Process { child: std::sync::Mutex::new(child), _scratch: scratch });
        Some(Server { endpoints: vec![format!("http://{address}")], _process: Some(process) })
    }

    /// A prefix of the test's own, so that tests can share one server.
    pub(crate) fn config(&self) -> StoreConfig {
        StoreConfig {
            prefix: format!("/test-{:016x}", rand::random::<u64>()),
            ..StoreConfig::new(self.endpoints.clone())
        }
    }

    pub(crate) async fn store(&self) -> Store {
        self.store_with(self.config()).await
    }

    pub(crate) async fn store_with(&self, config: StoreConfig) -> Store {
        let store = Store::connect(config).await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), store.ready()).await.expect("the cache becomes ready").unwrap();
        store
    }
}

/// Asks until it is so.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} does not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
