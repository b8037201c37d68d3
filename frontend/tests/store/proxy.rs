//! A TCP proxy that loses what it is told to lose.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What happens to the connection on which a request with the marker is seen, once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The request is lost.
    Request,
    /// The request arrives, its reply is lost.
    Reply,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

struct Shared {
    target: String,
    marker: Mutex<Option<(Vec<u8>, Cut)>>,
    refusing: AtomicBool,
    /// Takes everything, answers nothing.
    stalled: AtomicBool,
    /// Ends all present connections.
    sever: Mutex<CancellationToken>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
        self.shared.sever.lock().unwrap().cancel();
    }
}

impl Proxy {
    /// Before the server at this URL.
    pub(crate) async fn start(url: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: url.trim_start_matches("http://").to_owned(),
            marker: Mutex::new(None),
            refusing: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            sever: Mutex::new(CancellationToken::new()),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (accepting, inner, ended) = (shared.clone(), tasks.clone(), stop.clone());
        tasks.spawn(async move {
            while let Some(Ok((client, _))) = ended.run_until_cancelled(listener.accept()).await {
                let severed = accepting.sever.lock().unwrap().clone();
                if accepting.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                let shared = accepting.clone();
                inner.spawn(async move { severed.run_until_cancelled(carry(client, &shared)).await });
            }
        });
        Proxy { address, shared, tasks, stop }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn cut(&self, marker: &str, cut: Cut) {
        *self.shared.marker.lock().unwrap() = Some((marker.as_bytes().to_vec(), cut));
    }

    /// Breaks all connections and takes no new ones, until `mend`.
    pub(crate) fn sever(&self) {
        self.shared.refusing.store(true, Ordering::SeqCst);
        std::mem::take(&mut *self.shared.sever.lock().unwrap()).cancel();
    }

    /// From now on nothing is answered, though every connection stays.
    pub(crate) fn stall(&self) {
        self.shared.stalled.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.shared.refusing.store(false, Ordering::SeqCst);
    }

    /// How many tasks it runs: the listener and its connections.
    pub(crate) fn connections(&self) -> usize {
        self.tasks.len().saturating_sub(1)
    }
}

async fn carry(mut client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut server = TcpStream::connect(&shared.target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let request = &up[..read?];
                if request.is_empty() {
                    return Ok(());
                }
                let cut = {
                    let mut marker = shared.marker.lock().unwrap();
                    let seen = |(text, _): &(Vec<u8>, Cut)| request.windows(text.len()).any(|part| part == text);
                    if marker.as_ref().is_some_and(seen) { marker.take() } else { None }
                };
                match cut {
                    Some((_, Cut::Request)) => return Ok(()),
                    Some((_, Cut::Reply)) => {
                        server.write_all(request).await?;
                        // Long enough for the server to act on it: what it answers is read and lost.
                        let lose = async { while server.read(&mut down).await.is_ok_and(|count| count > 0) {} };
                        let _ = tokio::time::timeout(Duration::from_millis(300), lose).await;
                        return Ok(());
                    }
                    None => server.write_all(request).await?,
                }
            }
            read = server.read(&mut down) => {
                let reply = &down[..read?];
                if reply.is_empty() {
                    return Ok(());
                }
                if !shared.stalled.load(Ordering::SeqCst) {
                    client.write_all(reply).await?;
                }
            }
        }
    }
}
