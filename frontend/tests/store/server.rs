//! A real etcd v3 server to test against.
//!
//! `STORE_ENDPOINTS` names running ones (a comma between them; their content under the test's own prefixes is theirs to
//! lose); else `KINE_SHIM_BIN` or `ETCD_BIN` names a program, started with its data in a scratch folder. With none of
//! them a test says loudly that it was skipped.

use std::{
    net::TcpListener,
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

impl Server {
    pub(crate) fn start() -> Option<Server> {
        if let Ok(list) = std::env::var("STORE_ENDPOINTS") {
            let endpoints = list.split(',').map(str::to_owned).collect();
            return Some(Server { endpoints, _process: None });
        }
        let scratch = tempfile::tempdir().unwrap();
        let (client, peer) = (free_port(), free_port());
        let url = format!("http://127.0.0.1:{client}");
        let mut command = if let Ok(shim) = std::env::var("KINE_SHIM_BIN") {
            let mut command = Command::new(shim);
            command.arg("--endpoint").arg("memory:").arg("--listen-client-urls").arg(&url);
            command
        } else if let Ok(etcd) = std::env::var("ETCD_BIN") {
            let peer = format!("http://127.0.0.1:{peer}");
            let mut command = Command::new(etcd);
            command.arg("--data-dir").arg(scratch.path()).arg("--unsafe-no-fsync");
            command.arg("--listen-client-urls").arg(&url).arg("--advertise-client-urls").arg(&url);
            command.arg("--listen-peer-urls").arg(&peer).arg("--initial-advertise-peer-urls").arg(&peer);
            command.arg("--initial-cluster").arg(format!("default={peer}"));
            command
        } else {
            eprintln!("SKIPPED: none of STORE_ENDPOINTS, KINE_SHIM_BIN, ETCD_BIN is set");
            return None;
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = Arc::new(Process { child: std::sync::Mutex::new(child), _scratch: scratch });
        Some(Server { endpoints: vec![url], _process: Some(process) })
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
