//! A test bench as envtest makes one: a folder with `etcd` and `kube-apiserver`, and pairs of them, started with the
//! flags that envtest passes. The programs may also be the originals.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    https::{self, HttpsClient},
    pki::{self, Leaf},
    process::{Process, free_port, own_program},
};

/// An original on a loaded machine takes its time.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// As often as a probe costs little.
const POLL: Duration = Duration::from_millis(5);

/// Our two programs under their other names, as `deploy/testbench` lays them out, for the life of this.
pub fn folder() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let names =
        [("etcd", "kine-shim"), ("etcdctl", "kine-shim"), ("etcdutl", "kine-shim"), ("kube-apiserver", "frontend")];
    for (name, program) in names {
        let (program, named) = (own_program(program)?, folder.path().join(name));
        // Of another file system than the programs' a link cannot be.
        fs::hard_link(&program, &named).or_else(|_| fs::copy(&program, &named).map(|_| ()))?;
    }
    fs::write(folder.path().join("testbench"), "")?;
    Ok(folder)
}

/// A control plane of a test. Killed and its folder removed on drop.
pub struct Pair {
    pub etcd: Process,
    pub apiserver: Process,
    pub url: String,
    /// URL of the store.
    pub store: String,
    /// Before the first of the two was started.
    pub started: Instant,
    dir: TempDir,
}

impl Pair {
    /// Starts the two programs of `bench`; `etcd_flags` come after envtest's.
    pub fn start(bench: &Path, etcd_flags: &[String]) -> Result<Self> {
        Self::start_with(bench, etcd_flags, &[])
    }

    /// Flags for both.
    pub fn start_with(bench: &Path, etcd_flags: &[String], apiserver_flags: &[String]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let leaf = |name, common_name, organization| Leaf { name, common_name, organization };
        let leaves = [
            // By this name an API server finds it in --cert-dir.
            leaf("apiserver", "apiserver", None),
            leaf("admin", "admin", Some("system:masters")),
            leaf("accounts", "accounts", None),
        ];
        pki::write(dir.path(), &leaves)?;
        let file = |name: &str| dir.path().join(name).display().to_string();
        let store = format!("http://127.0.0.1:{}", free_port()?);
        let port = free_port()?;
        let mut etcd = vec![
            format!("--advertise-client-urls={store}"),
            format!("--data-dir={}", file("data")),
            format!("--listen-client-urls={store}"),
            format!("--listen-peer-urls=http://127.0.0.1:{}", free_port()?),
            "--unsafe-no-fsync=true".to_owned(),
        ];
        etcd.extend_from_slice(etcd_flags);
        let mut apiserver = vec![
            "--allow-privileged=true".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", dir.path().display()),
            format!("--client-ca-file={}", file("ca.crt")),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            format!("--etcd-servers={store}"),
            format!("--secure-port={port}"),
            format!("--service-account-issuer=https://127.0.0.1:{port}/"),
            format!("--service-account-key-file={}", file("accounts.crt")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        ];
        apiserver.extend_from_slice(apiserver_flags);
        let started = Instant::now();
        let start = |name: &str, flags| Process::start(name, &bench.join(name), flags, dir.path().join(name));
        let (etcd, apiserver) = (start("etcd", etcd)?, start("kube-apiserver", apiserver)?);
        Ok(Self { etcd, apiserver, url: format!("https://127.0.0.1:{port}"), store, started, dir })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until `/readyz` says ok; returns how long after the start that was.
    pub async fn ready(&mut self) -> Result<Duration> {
        let (client, url) = (self.admin_client()?, format!("{}/readyz", self.url).parse::<http::Uri>()?);
        loop {
            let answered = client.get(url.clone()).await;
            if answered.is_ok_and(|response| response.status() == 200) {
                return Ok(self.started.elapsed());
            }
            self.etcd.check_alive()?;
            self.apiserver.check_alive()?;
            ensure!(self.started.elapsed() < READY_WITHIN, "not ready in time:\n{}", self.apiserver.output());
            tokio::time::sleep(POLL).await;
        }
    }

    /// An HTTPS client of system:masters.
    pub fn admin_client(&self) -> Result<HttpsClient> {
        let pem = |name: &str| fs::read(self.path(name)).with_context(|| format!("reading {name}"));
        https::client(&pem("ca.crt")?, Some((&pem("admin.crt")?, &pem("admin.key")?)))
    }

    /// The same identity for kube-rs.
    pub async fn kube_config(&self) -> Result<kube::Config> {
        let file = |name: &str| self.path(name).display().to_string();
        let kubeconfig: kube::config::Kubeconfig = serde_json::from_value(json!({
            "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": self.url, "certificate-authority": file("ca.crt")}}],
            "users": [{"name": "admin", "user": {"client-certificate": file("admin.crt"), "client-key": file("admin.key")}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "admin"}}],
        }))?;
        Ok(kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?)
    }

    pub fn pids(&self) -> [u32; 2] {
        [self.etcd.id(), self.apiserver.id()]
    }
}
