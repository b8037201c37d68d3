//! A TCP proxy between a shim and its database that can hold, lose, delay and cut what passes, and lead elsewhere.

use std::time::Duration;

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Pass,
    /// Each piece is that late.
    Delay(Duration),
    /// Nothing passes, and nothing is lost.
    Hold,
    /// What the server answers does not pass; what it is asked does.
    HoldAnswers,
    /// Connections end, and new ones too.
    Cut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    rule: Rule,
    /// Where it leads.
    port: u16,
}

pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Leads to a loopback port.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (state, seen) = watch::channel(State { rule: Rule::Pass, port: target });
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, seen.clone()));
            }
        });
        Ok(Self { port, state, accepting })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, rule: Rule) {
        self.state.send_modify(|state| state.rule = rule);
    }

    /// From now on to another server; who is connected is cut off.
    pub fn lead_to(&self, port: u16) {
        self.state.send_modify(|state| state.port = port);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(client: TcpStream, mut state: watch::Receiver<State>) {
    let port = state.borrow().port;
    let Some(_) = allowed(&mut state, port, true).await else { return };
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Either's end ends both: half a connection is of no use to PostgreSQL's protocol.
    tokio::select! {
        () = pump(from_client, to_server, state.clone(), port, true) => {}
        () = pump(from_server, to_client, state, port, false) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    port: u16,
    is_question: bool,
) {
    let (mut piece, mut cutting) = (vec![0; 16 << 10], state.clone());
    loop {
        let count = tokio::select! {
            read = from.read(&mut piece) => match read {
                Ok(count) if count > 0 => count,
                _ => return,
            },
            () = cut(&mut cutting, port) => return,
        };
        let Some(delay) = allowed(&mut state, port, is_question).await else { return };
        tokio::time::sleep(delay).await;
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}

/// Waits until a piece may pass; `None` when the connection is cut.
async fn allowed(state: &mut watch::Receiver<State>, port: u16, is_question: bool) -> Option<Duration> {
    let passes = |state: &State| match state.rule {
        _ if state.port != port => Some(None),
        Rule::Cut => Some(None),
        Rule::Pass => Some(Some(Duration::ZERO)),
        Rule::Delay(by) => Some(Some(by)),
        Rule::HoldAnswers if is_question => Some(Some(Duration::ZERO)),
        Rule::Hold | Rule::HoldAnswers => None,
    };
    let state = *state.wait_for(|state| passes(state).is_some()).await.ok()?;
    passes(&state)?
}

async fn cut(state: &mut watch::Receiver<State>, port: u16) {
    // Without its owner nothing changes any more.
    if state.wait_for(|state| state.rule == Rule::Cut || state.port != port).await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Echoes, and tells how many connections it had.
    async fn echo() -> (u16, watch::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (count, seen) = watch::channel(0);
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        (port, seen)
    }

    #[tokio::test]
    async fn what_is_held_passes_later_and_what_is_cut_never() {
        let (first, _) = echo().await;
        let (second, mut asked_second) = echo().await;
        let proxy = Proxy::start(first).await.unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        let mut byte = [0];
        client.write_all(b"a").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        for rule in [Rule::Hold, Rule::HoldAnswers] {
            proxy.set(rule);
            client.write_all(b"b").await.unwrap();
            let early = tokio::time::timeout(Duration::from_millis(50), client.read_exact(&mut byte)).await;
            assert!(early.is_err(), "{rule:?}");
            proxy.set(Rule::Delay(Duration::from_millis(1)));
            client.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, *b"b");
        }
        proxy.set(Rule::Cut);
        assert!(client.read_exact(&mut byte).await.is_err());
        proxy.set(Rule::Pass);
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        client.write_all(b"c").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        proxy.lead_to(second);
        assert!(client.read_exact(&mut byte).await.is_err(), "who is connected elsewhere is cut off");
        let _client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        asked_second.wait_for(|count| *count == 1).await.unwrap();
    }
}
