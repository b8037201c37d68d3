//! One shim on loopback, without certificates: for what any etcd client may connect to.

use std::time::Duration;

use anyhow::{Context, Result};
use proto::etcdserverpb::{RangeRequest, kv_client::KvClient};
use tempfile::TempDir;

use crate::process::{Process, eventually, free_port, own_program};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct PlainShim {
    pub url: String,
    pub process: Process,
    /// Its own; gone with it.
    pub dir: TempDir,
}

impl PlainShim {
    /// Waits for an answer.
    pub async fn start(store: &str, flags: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let url = format!("http://127.0.0.1:{}", free_port()?);
        let (store, listen) = (format!("--endpoint={store}"), format!("--listen-client-urls={url}"));
        let args = [&[&*store, &*listen], flags].concat().into_iter().map(str::to_owned).collect();
        let mut process = Process::start("shim", &own_program("kine-shim")?, args, dir.path().join("log"))?;
        let asked = || async {
            let request = RangeRequest { key: "ready".into(), ..Default::default() };
            KvClient::connect(url.clone()).await?.range(request).await?;
            anyhow::Ok(())
        };
        let answer = eventually("an answer of the shim", PATIENCE, asked).await;
        process.check_alive()?;
        answer.with_context(|| process.output())?;
        Ok(Self { url, process, dir })
    }
}
