//! A running etcd (or a running shim) as a source: its snapshot, fetched into a file that a second try finds again, and
//! its word on what the hash must be.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use proto::{
    etcdserverpb as pb,
    etcdserverpb::{auth_client::AuthClient, maintenance_client::MaintenanceClient},
};
use sha2::{Digest, Sha256};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    import::Imported,
    progress::{Progress, say},
};

/// Names are etcdctl's.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct ClientFlags {
    /// Authority of the servers' certificates
    #[arg(long, global = true, env = "ETCDCTL_CACERT", value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Client certificate shown to the servers
    #[arg(long, global = true, env = "ETCDCTL_CERT", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Key of --cert
    #[arg(long, global = true, env = "ETCDCTL_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// NAME:PASSWORD of a user with the root role, where authentication is enabled
    #[arg(long, global = true, env = "ETCDCTL_USER", hide_env_values = true, value_name = "NAME:PASSWORD")]
    user: Option<String>,
}

pub(super) struct Remote {
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

impl Remote {
    /// The first of the servers that answers.
    pub(super) async fn connect(urls: &[String], flags: &ClientFlags) -> Result<Self> {
        let mut failed = Vec::new();
        for url in urls {
            match connect(url, flags).await {
                Ok(channel) => return Self::authenticated(channel, flags).await.with_context(|| url.clone()),
                Err(error) => failed.push(format!("{url}: {error:#}")),
            }
        }
        bail!("no server can be reached: {}", failed.join("; "))
    }

    async fn authenticated(channel: Channel, flags: &ClientFlags) -> Result<Self> {
        let Some(user) = &flags.user else { return Ok(Self { channel, token: None }) };
        let (name, password) = user.split_once(':').context("--user is NAME:PASSWORD")?;
        let request = pb::AuthenticateRequest { name: name.to_owned(), password: password.to_owned() };
        let answer = AuthClient::new(channel.clone()).authenticate(request).await.context("cannot authenticate")?;
        Ok(Self { channel, token: Some(answer.into_inner().token.parse()?) })
    }

    fn client(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    /// Fetches a snapshot into `path`, which appears only whole.
    pub(super) async fn fetch(&self, path: &Path) -> Result<()> {
        let part = path.with_extension("part");
        let named = || format!("{}", part.display());
        let mut file = File::create(&part).with_context(named)?;
        let mut pieces = self.client().snapshot(self.request(pb::SnapshotRequest {})).await?.into_inner();
        let (mut progress, mut sum) = (Progress::of("fetching a snapshot"), Sha256::new());
        // The last piece is the hash of all before it: each is summed when the next has come.
        let mut last: Option<bytes::Bytes> = None;
        while let Some(piece) = pieces.message().await.context("the snapshot broke off")? {
            file.write_all(&piece.blob).with_context(named)?;
            progress.count(piece.blob.len(), 0);
            progress.tell();
            if let Some(last) = last.replace(piece.blob) {
                sum.update(&last);
            }
        }
        let is_whole = last.is_some_and(|hash| hash.as_ref() == sum.finalize().as_slice());
        ensure!(is_whole, "the snapshot came incomplete");
        file.sync_all().with_context(named)?;
        fs::rename(&part, path).with_context(named)?;
        progress.done();
        Ok(())
    }

    /// Compares the server's HashKV at the imported revision. It may have compacted meanwhile; then its hash says
    /// nothing here.
    pub(super) async fn compare(&self, imported: &Imported) -> Result<()> {
        let request = self.request(pb::HashKvRequest { revision: imported.revision });
        let answer = match self.client().hash_kv(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                say(&format!("the server's own hash was not compared: {}", status.message()));
                return Ok(());
            }
        };
        if answer.compact_revision != imported.compacted.unwrap_or(-1) {
            say("the server's own hash was not compared: it has compacted meanwhile");
            return Ok(());
        }
        ensure!(answer.hash == imported.hash, "the server's HashKV is {}, ours {}", answer.hash, imported.hash);
        say("the server's HashKV is the same");
        Ok(())
    }
}

async fn connect(url: &str, flags: &ClientFlags) -> Result<Channel> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("{}", path.display()));
    let mut endpoint = Endpoint::from_shared(url.clone())?;
    if url.starts_with("https://") {
        let mut tls = ClientTlsConfig::new();
        if let Some(ca) = &flags.cacert {
            tls = tls.ca_certificate(Certificate::from_pem(read(ca)?));
        }
        if let (Some(cert), Some(key)) = (&flags.cert, &flags.key) {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok(endpoint.initial_stream_window_size(1 << 20).initial_connection_window_size(1 << 20).connect().await?)
}
