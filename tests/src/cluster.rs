//! A small control plane for a test: shims on one store, frontends on the shims, certificates between all of them.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::{
    pki::{self, Leaf},
    process::{Process, free_port, own_program},
};

const READY_WITHIN: Duration = Duration::from_secs(60);
const WINDOW: u32 = 16 << 20;
const POLL: Duration = Duration::from_millis(25);

/// What to start. `endpoint` is the shims' `--endpoint`; `None` means a SQLite file in the cluster's own folder.
pub struct Spec {
    pub endpoint: Option<String>,
    pub shims: usize,
    pub frontends: usize,
}

pub struct Shim {
    pub process: Process,
    pub url: String,
}

pub struct Frontend {
    pub process: Process,
    pub url: String,
    pub kubeconfig: PathBuf,
}

/// Everything is killed and its folder removed on drop.
pub struct Cluster {
    pub shims: Vec<Shim>,
    pub frontends: Vec<Frontend>,
    dir: TempDir,
}

impl Cluster {
    /// Starts everything and waits until each part says that it is ready.
    pub async fn start(spec: Spec) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let leaf = |name, common_name, organization| Leaf { name, common_name, organization };
        pki::write(
            &dir.path().join("pki"),
            &[
                leaf("shim", "shim", None),
                leaf("frontend", "frontend", None),
                leaf("admin", "admin", Some("system:masters")),
                leaf("nobody", "nobody", Some("people")),
                leaf("kubelet", "system:node:here", Some("system:nodes")),
                // Its key signs service account tokens.
                leaf("accounts", "accounts", None),
            ],
        )?;
        let mut cluster = Self { shims: Vec::new(), frontends: Vec::new(), dir };
        let store = spec.endpoint.unwrap_or_else(|| format!("sqlite://{}", cluster.path("store.db").display()));
        for _ in 0..spec.shims {
            cluster.add_shim(&store)?;
        }
        for shim in 0..cluster.shims.len() {
            cluster.shim_ready(shim).await?;
        }
        for _ in 0..spec.frontends {
            cluster.add_frontend(&own_program("frontend")?, "Node,RBAC", &[])?;
        }
        for frontend in 0..cluster.frontends.len() {
            cluster.frontend_ready(frontend).await?;
        }
        Ok(cluster)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn add_shim(&mut self, store: &str) -> Result<()> {
        let (number, port) = (self.shims.len(), free_port()?);
        let url = format!("https://127.0.0.1:{port}");
        let args = [
            format!("--endpoint={store}"),
            format!("--name=shim-{number}"),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            format!("--cert-file={}", self.file("pki/shim.crt")),
            format!("--key-file={}", self.file("pki/shim.key")),
            format!("--trusted-ca-file={}", self.file("pki/ca.crt")),
            "--client-cert-auth".to_owned(),
        ];
        let log = self.path(&format!("shim-{number}.log"));
        let process = Process::start(&format!("shim {number}"), &own_program("kine-shim")?, args.to_vec(), log)?;
        self.shims.push(Shim { process, url });
        Ok(())
    }

    /// Starts one more API server, ours or an original, on the shims, and waits until it is ready.
    pub async fn start_api_server(&mut self, program: &Path) -> Result<()> {
        self.add_frontend(program, "Node,RBAC", &[])?;
        self.frontend_ready(self.frontends.len() - 1).await
    }

    /// Starts one more frontend with authorizers and flags of its own, and says where it is.
    pub async fn start_frontend(&mut self, authorizers: &str, flags: &[String]) -> Result<String> {
        self.add_frontend(&own_program("frontend")?, authorizers, flags)?;
        let last = self.frontends.len() - 1;
        self.frontend_ready(last).await?;
        Ok(self.frontends[last].url.clone())
    }

    fn add_frontend(&mut self, program: &Path, authorizers: &str, flags: &[String]) -> Result<()> {
        let (number, port) = (self.frontends.len(), free_port()?);
        let url = format!("https://127.0.0.1:{port}");
        // Each frontend prefers a shim of its own and knows the others.
        let mut servers: Vec<&str> = self.shims.iter().map(|shim| shim.url.as_str()).collect();
        let count = servers.len().max(1);
        servers.rotate_left(number % count);
        let args = [
            format!("--etcd-servers={}", servers.join(",")),
            format!("--etcd-cafile={}", self.file("pki/ca.crt")),
            format!("--etcd-certfile={}", self.file("pki/frontend.crt")),
            format!("--etcd-keyfile={}", self.file("pki/frontend.key")),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", self.file("pki/frontend.crt")),
            format!("--tls-private-key-file={}", self.file("pki/frontend.key")),
            format!("--client-ca-file={}", self.file("pki/ca.crt")),
            format!("--kubelet-certificate-authority={}", self.file("pki/ca.crt")),
            format!("--kubelet-client-certificate={}", self.file("pki/frontend.crt")),
            format!("--kubelet-client-key={}", self.file("pki/frontend.key")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            format!("--authorization-mode={authorizers}"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", self.file("pki/accounts.crt")),
            format!("--service-account-signing-key-file={}", self.file("pki/accounts.key")),
        ];
        let log = self.path(&format!("frontend-{number}.log"));
        let args = args.into_iter().chain(flags.iter().cloned()).collect();
        let process = Process::start(&format!("frontend {number}"), program, args, log)?;
        let kubeconfig = self.path(&format!("kubeconfig-{number}"));
        std::fs::write(&kubeconfig, self.kubeconfig(&url, "admin"))?;
        self.frontends.push(Frontend { process, url, kubeconfig });
        Ok(())
    }

    fn kubeconfig(&self, server: &str, user: &str) -> String {
        let (ca, crt, key) =
            (self.file("pki/ca.crt"), self.file(&format!("pki/{user}.crt")), self.file(&format!("pki/{user}.key")));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters:\n- name: test\n  cluster:\n    server: {server}\n    certificate-authority: {ca}\n\
             users:\n- name: {user}\n  user:\n    client-certificate: {crt}\n    client-key: {key}\n\
             contexts:\n- name: test\n  context:\n    cluster: test\n    user: {user}\n"
        )
    }

    fn pem(&self, name: &str) -> Result<Vec<u8>> {
        std::fs::read(self.path(name)).with_context(|| format!("reading {name}"))
    }

    /// A gRPC channel to one shim, with a client certificate.
    pub async fn channel(&self, shim: usize) -> Result<Channel> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.pem("pki/ca.crt")?))
            .identity(Identity::from_pem(self.pem("pki/frontend.crt")?, self.pem("pki/frontend.key")?));
        // Wide windows: the h2 crate gives up a connection on which too many small frames wait to be read, and counts
        // by window.
        let endpoint = Endpoint::from_shared(self.shims[shim].url.clone())?.tls_config(tls)?;
        let endpoint = endpoint.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        Ok(endpoint.connect().await?)
    }

    /// Waits until a shim answers a linearizable read.
    pub async fn shim_ready(&mut self, shim: usize) -> Result<()> {
        let probe = async |cluster: &Self| {
            let mut kv = proto::etcdserverpb::kv_client::KvClient::new(cluster.channel(shim).await?);
            kv.range(proto::etcdserverpb::RangeRequest { key: "ready".into(), ..Default::default() }).await?;
            anyhow::Ok(())
        };
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(error) = probe(self).await {
            still_starting(&mut self.shims[shim].process, deadline, error)?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until a frontend says ok on /readyz.
    pub async fn frontend_ready(&mut self, frontend: usize) -> Result<()> {
        let client = self.admin_client()?;
        let url: http::Uri = format!("{}/readyz", self.frontends[frontend].url).parse()?;
        let probe = async || {
            let response = client.get(url.clone()).await?;
            ensure!(response.status() == 200, "/readyz answered {}", response.status());
            Ok(())
        };
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(error) = probe().await {
            still_starting(&mut self.frontends[frontend].process, deadline, error)?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// An HTTPS client of system:masters.
    pub fn admin_client(&self) -> Result<HttpsClient> {
        let (chain, key) = (self.pem("pki/admin.crt")?, self.pem("pki/admin.key")?);
        crate::https::client(&self.pem("pki/ca.crt")?, Some((&chain, &key)))
    }

    /// An anonymous HTTPS client that trusts the cluster's authority.
    pub fn https_client(&self) -> Result<HttpsClient> {
        crate::https::client(&self.pem("pki/ca.crt")?, None)
    }
}

pub use crate::https::HttpsClient;

/// A failed probe is fine while the process lives and the deadline is ahead; else its own output is the best reason.
fn still_starting(process: &mut Process, deadline: Instant, error: anyhow::Error) -> Result<()> {
    process.check_alive()?;
    ensure!(Instant::now() < deadline, "not ready within {READY_WITHIN:?}: {error:#}\n{}", process.output());
    Ok(())
}
