//! The servers that requests are handed on to: kubelets, pods and services, and how they are trusted.
//!
//! In: files of certificates, which are read anew when they change. Out: clients. Not here: where a server is.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    client::{CallError, Client, Identity, Peer},
    config::Kubelet,
    request::status::ApiError,
};

/// How often files are looked at, and only when a client is asked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Clients of all backends. Built once, by the wiring.
pub struct Backends {
    flags: Kubelet,
    kubelets: Mutex<Kept>,
    /// Pods and services are known by their addresses: no certificate can be expected to name them.
    proxied: Client,
}

/// Clients of kubelets, and how the files looked from which they were made.
struct Kept {
    looked_at: Instant,
    stamps: Vec<Option<SystemTime>>,
    checked: Client,
    unchecked: Client,
}

impl Backends {
    /// An error tells what is wrong with files of the flags.
    pub fn new(flags: &Kubelet) -> Result<Backends, CallError> {
        let proxied = Client::new(&Peer { insecure: true, ..Peer::default() })?;
        Ok(Backends { flags: flags.clone(), kubelets: Mutex::new(Kept::read(flags)?), proxied })
    }

    /// The kinds of addresses of a node, those first that are tried first.
    pub(super) fn preferred_addresses(&self) -> &[String] {
        &self.flags.preferred_address_types
    }

    pub(super) fn proxied(&self) -> Client {
        self.proxied.clone()
    }

    /// A client of kubelets whose certificates are checked, where an authority is known.
    pub(super) fn kubelet(&self) -> Client {
        self.current(|kept| kept.checked.clone())
    }

    /// A client that takes any kubelet's word.
    pub(super) fn unchecked_kubelet(&self) -> Client {
        self.current(|kept| kept.unchecked.clone())
    }

    fn current(&self, which: impl FnOnce(&Kept) -> Client) -> Client {
        let mut kept = self.kubelets.lock();
        let is_due = kept.looked_at.elapsed() >= LOOK_EVERY;
        if is_due {
            kept.looked_at = Instant::now();
        }
        if is_due && kept.stamps != stamps(&self.flags) {
            match Kept::read(&self.flags) {
                Ok(new) => *kept = new,
                Err(error) => tracing::warn!(%error, "files for calling kubelets cannot be used; the old ones stay"),
            }
        }
        which(&kept)
    }
}

fn files(flags: &Kubelet) -> impl Iterator<Item = &PathBuf> {
    [&flags.ca_file, &flags.cert_file, &flags.key_file].into_iter().flatten()
}

fn stamps(flags: &Kubelet) -> Vec<Option<SystemTime>> {
    files(flags).map(|file| file.metadata().and_then(|data| data.modified()).ok()).collect()
}

impl Kept {
    fn read(flags: &Kubelet) -> Result<Kept, CallError> {
        let stamps = stamps(flags);
        let read = |file: &Option<PathBuf>| match file {
            None => Ok(None),
            Some(file) => std::fs::read(file)
                .map(Some)
                .map_err(|error| CallError(format!("cannot read {}: {error}", file.display()))),
        };
        let ca = read(&flags.ca_file)?;
        let pair = read(&flags.cert_file)?.zip(read(&flags.key_file)?);
        let identity = pair.map(|(certificates, key)| Identity { certificates, key });
        let peer = Peer { insecure: ca.is_none(), ca: ca.unwrap_or_default(), identity, ..Peer::default() };
        let checked = Client::new(&peer)?;
        let unchecked = Client::new(&Peer { insecure: true, ca: Vec::new(), ..peer })?;
        Ok(Kept { looked_at: Instant::now(), stamps, checked, unchecked })
    }
}

/// What a backend's connection came to, where the original has no status of its own for it.
pub(super) fn not_dialled(CallError(why): CallError) -> ApiError {
    ApiError::unknown(format!("error dialing backend: {why}"))
}
