//! The servers of a run: started with the same flags, restarted where a work wants a fresh one, gone with the run.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tempfile::TempDir;

use super::Plan;
use crate::{
    https::{HttpsClient, client},
    load::{cpu_of, resident_bytes},
    pki::{self, Leaf},
    postgres::{Disk, Postgres},
    process::{Process, free_port, own_program},
};

const READY_WITHIN: Duration = Duration::from_secs(120);

/// On which store the frontend stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// A shim over PostgreSQL.
    Shim,
    /// The original's etcd.
    Etcd,
}

/// Everything is killed and its folder removed on drop, the API servers before their stores.
pub(super) struct Servers {
    original: Option<Side>,
    ours: Option<Side>,
    beside: Option<Side>,
    programs: (PathBuf, PathBuf),
    etcd: (Process, String),
    shim: (Process, String),
    _postgres: Postgres,
    dir: TempDir,
}

/// One API server.
pub(super) struct Side {
    process: Process,
    pub(super) url: String,
    /// From the start of the program to its first "ok".
    pub(super) ready_after: Duration,
    dir: PathBuf,
}

impl Servers {
    pub(super) async fn start(plan: &Plan) -> Result<Servers> {
        let dir = tempfile::tempdir()?;
        let leaf = |name, common_name, organization| Leaf { name, common_name, organization };
        let leaves = [
            leaf("server", "server", None),
            leaf("admin", "admin", Some("system:masters")),
            leaf("accounts", "accounts", None),
        ];
        pki::write(&dir.path().join("pki"), &leaves)?;
        let postgres = Postgres::start(Disk::Fsync)?.context("PostgreSQL is not installed")?;
        let etcd = start_etcd(&plan.etcd, dir.path())?;
        let shim = start_shim(&postgres.database().await?, dir.path())?;
        let ours = plan.frontend.clone().map_or_else(|| own_program("frontend"), Ok)?;
        let programs = (plan.kube_apiserver.clone(), ours);
        Ok(Servers { original: None, ours: None, beside: None, programs, etcd, shim, _postgres: postgres, dir })
    }

    pub(super) async fn original(&mut self) -> Result<&mut Side> {
        if self.original.is_none() {
            self.original = Some(Side::start("original", &self.programs.0, &self.etcd.1, self.dir.path()).await?);
        }
        self.original.as_mut().context("started")
    }

    pub(super) async fn ours(&mut self, store: Store) -> Result<&mut Side> {
        let (side, name, endpoint) = match store {
            Store::Shim => (&mut self.ours, "ours", &self.shim.1),
            Store::Etcd => (&mut self.beside, "beside", &self.etcd.1),
        };
        if side.is_none() {
            *side = Some(Side::start(name, &self.programs.1, endpoint, self.dir.path()).await?);
        }
        side.as_mut().context("started")
    }
}

fn start_etcd(program: &Path, dir: &Path) -> Result<(Process, String)> {
    let (url, peers) = (format!("http://127.0.0.1:{}", free_port()?), format!("http://127.0.0.1:{}", free_port()?));
    let args = [
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        "--quota-backend-bytes=8589934592".to_owned(),
    ];
    Ok((Process::start("etcd", program, args.to_vec(), dir.join("etcd.log"))?, url))
}

fn start_shim(database: &str, dir: &Path) -> Result<(Process, String)> {
    let url = format!("http://127.0.0.1:{}", free_port()?);
    let args = [
        format!("--endpoint={database}?sslmode=disable"),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
    ];
    Ok((Process::start("shim", &own_program("kine-shim")?, args.to_vec(), dir.join("shim.log"))?, url))
}

impl Side {
    async fn start(name: &str, program: &Path, store: &str, dir: &Path) -> Result<Side> {
        let port = free_port()?;
        let pki = |file: &str| dir.join("pki").join(file).display().to_string();
        let args = [
            format!("--etcd-servers={store}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", pki("server.crt")),
            format!("--tls-private-key-file={}", pki("server.key")),
            format!("--client-ca-file={}", pki("ca.crt")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            // Nobody makes the accounts that it asks for.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", pki("accounts.crt")),
            format!("--service-account-signing-key-file={}", pki("accounts.key")),
            // The client is one user on few connections: the bound is not what is measured.
            "--max-requests-inflight=4000".to_owned(),
            "--max-mutating-requests-inflight=2000".to_owned(),
        ];
        let log = dir.join(format!("{name}.log"));
        let begun = Instant::now();
        let process = Process::start(name, program, args.to_vec(), log)?;
        let mut side = Side {
            process,
            url: format!("https://127.0.0.1:{port}"),
            ready_after: Duration::ZERO,
            dir: dir.to_owned(),
        };
        side.wait(begun).await?;
        Ok(side)
    }

    /// The same server as a new process.
    pub(super) async fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        let begun = Instant::now();
        self.process.restart()?;
        self.wait(begun).await
    }

    async fn wait(&mut self, begun: Instant) -> Result<()> {
        let session = self.session()?;
        while !matches!(session.get("/readyz", "*/*").await, Ok(answer) if answer == "ok") {
            self.process.check_alive()?;
            ensure!(begun.elapsed() < READY_WITHIN, "not ready:\n{}", self.process.output());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.ready_after = begun.elapsed();
        Ok(())
    }

    /// One connection of an administrator.
    pub(super) fn session(&self) -> Result<Session> {
        let read = |file: &str| std::fs::read(self.dir.join("pki").join(file));
        let http = client(&read("ca.crt")?, Some((&read("admin.crt")?, &read("admin.key")?)))?;
        Ok(Session { http, url: self.url.clone() })
    }

    pub(super) fn pids(&self) -> [u32; 1] {
        [self.process.id()]
    }

    pub(super) fn cpu(&self) -> Duration {
        cpu_of(&self.pids())
    }

    pub(super) fn resident_mb(&self) -> f64 {
        resident_bytes(&self.pids()) as f64 / 1e6
    }
}

#[derive(Clone)]
pub(super) struct Session {
    http: HttpsClient,
    url: String,
}

pub(super) const JSON: &str = "application/json";
pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

impl Session {
    pub(super) async fn ask(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<Response<Incoming>> {
        self.send(
            Request::builder().method(method).header(header::CONTENT_TYPE, kind).header(header::ACCEPT, JSON),
            path,
            body,
        )
        .await
    }

    pub(super) async fn send(
        &self,
        request: http::request::Builder,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let response = self.http.request(request.uri(format!("{}{path}", self.url)).body(Full::new(body))?).await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::bail!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
        }
        Ok(response)
    }

    /// Asked to the end; what came is thrown away.
    pub(super) async fn must(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<StatusCode> {
        let response = self.ask(method, path, kind, body).await?;
        let status = response.status();
        drain(response).await?;
        Ok(status)
    }

    pub(super) async fn get(&self, path: &str, accept: &str) -> Result<Bytes> {
        let request = Request::builder().header(header::ACCEPT, accept);
        Ok(self.send(request, path, Bytes::new()).await?.into_body().collect().await?.to_bytes())
    }
}

/// Reads an answer to its end and keeps nothing; how long it was.
pub(super) async fn drain(response: Response<Incoming>) -> Result<usize> {
    let (mut body, mut bytes) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(bytes)
}
