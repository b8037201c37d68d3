//! Connections between the shims of one store, on which operations go to the shim that wrote last and batches come back
//! (see `sequencer::forward`, which decides what travels). In go an address to listen on and the list of members, out
//! come ways between shims. Everything is right without them, only slower: whoever cannot be reached is not waited for.

mod frames;
mod identity;
mod link;
mod operations;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use self::identity::Identity;
use crate::{
    log::{Member, Peer},
    members::Members,
    shim::Shim,
};

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How often the list of members is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Connections that others may open, and that are opened to others.
const CONNECTIONS_MAX: usize = 64;

/// This shim as the others reach it.
pub struct Door {
    listener: TcpListener,
    identity: Identity,
    peer: Peer,
}

impl Door {
    /// Listens; `host` is told to the others unless the address is one of this machine's own.
    pub async fn open(address: &str, host: Option<&str>, writer: Uuid) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let address = match host.filter(|_| bound.ip().is_unspecified()) {
            Some(host) => format!("{host}:{}", bound.port()),
            None => bound.to_string(),
        };
        let identity = Identity::make().map_err(io::Error::other)?;
        let peer = Peer { writer, address, certificate: identity.digest() };
        Ok(Self { listener, identity, peer })
    }

    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Serves the others and connects to them, until dropped.
    pub async fn run(self, shim: Shim, members: Members, own: Member) {
        let (accepting, connecting) = (self.accept(&shim, &members, &own), self.connect(&shim, &members));
        tokio::join!(accepting, connecting);
    }

    async fn accept(&self, shim: &Shim, members: &Members, own: &Member) {
        let acceptor = match self.identity.server() {
            Ok(config) => TlsAcceptor::from(Arc::new(config)),
            Err(error) => return tracing::error!(%error, "no connections from other shims"),
        };
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (slot, accepted) = (slots.clone().acquire_owned().await, self.listener.accept().await);
            while connections.try_join_next().is_some() {}
            let (Ok(slot), Ok((stream, from))) = (slot, accepted) else {
                sleep(LOOK_EVERY).await;
                continue;
            };
            let (acceptor, shim, members, own) = (acceptor.clone(), shim.clone(), members.clone(), own.clone());
            connections.spawn(async move {
                let _slot = slot;
                let ended = admit(stream, &acceptor, &shim, &members, &own).await;
                tracing::debug!(%from, ?ended, "a connection from another shim ended");
            });
        }
    }

    /// Keeps a connection to every other shim that can be reached.
    async fn connect(&self, shim: &Shim, members: &Members) {
        let mut links: BTreeMap<Uuid, AbortOnDropHandle<()>> = BTreeMap::new();
        loop {
            let known = members.known();
            let peers = known.iter().filter_map(|member| member.peer.as_ref());
            let others: Vec<&Peer> = peers.filter(|peer| peer.writer != self.peer.writer).collect();
            links.retain(|writer, link| !link.is_finished() && others.iter().any(|peer| peer.writer == *writer));
            for peer in others {
                if links.len() < CONNECTIONS_MAX && !links.contains_key(&peer.writer) {
                    let link = self.reach(shim.clone(), peer.clone());
                    links.insert(peer.writer, AbortOnDropHandle::new(tokio::spawn(link)));
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn reach(&self, shim: Shim, peer: Peer) -> impl Future<Output = ()> + Send + 'static {
        let config = self.identity.client(&peer.certificate);
        async move {
            let opened = async {
                let stream = TcpStream::connect(&peer.address).await?;
                stream.set_nodelay(true)?;
                let connector = TlsConnector::from(Arc::new(config.map_err(io::Error::other)?));
                let name = Identity::server_name().ok_or(io::ErrorKind::InvalidInput)?;
                connector.connect(name, stream).await
            };
            let ended = match timeout(HANDSHAKE_WITHIN, opened).await {
                Ok(Ok(stream)) => {
                    tracing::info!(address = peer.address, "connected to another shim of this store");
                    link::follow(stream, &shim, peer.writer).await
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            };
            tracing::debug!(address = peer.address, ?ended, "no connection to another shim");
        }
    }
}

/// Serves who shows the certificate of a member; one that has just come may not be known yet.
async fn admit(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    shim: &Shim,
    members: &Members,
    own: &Member,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await??;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(identity::digest);
    let is_known = || {
        let known = members.known();
        known.iter().filter_map(|member| member.peer.as_ref()).any(|peer| Some(&peer.certificate) == shown.as_ref())
    };
    if !is_known() {
        members.hear(shim, own).await;
    }
    if !is_known() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "no shim of this store has this certificate"));
    }
    link::serve(stream, shim).await
}
