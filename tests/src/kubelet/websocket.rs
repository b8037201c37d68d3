//! A kubelet's streams over WebSocket, as clients of v4 and older ask for them: the first byte of a message is its
//! channel, in base64 a digit.

use anyhow::Result;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::process::{self, Channels, STDIN};

const QUEUE_MAX: usize = 16;

/// How messages are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Binary,
    Base64,
}

impl Encoding {
    fn message(self, channel: u8, bytes: &[u8]) -> Message {
        match self {
            Encoding::Binary => Message::binary([&[channel], bytes].concat()),
            Encoding::Base64 => Message::text(format!("{channel}{}", BASE64_STANDARD.encode(bytes))),
        }
    }

    fn read(self, message: Message) -> Option<(u8, Bytes)> {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            _ => return None,
        };
        let (channel, rest) = bytes.split_first()?;
        Some(match self {
            Encoding::Binary => (*channel, bytes.slice(1..)),
            Encoding::Base64 => (channel.wrapping_sub(b'0'), BASE64_STANDARD.decode(rest).ok()?.into()),
        })
    }
}

async fn open<S>(io: S) -> WebSocketStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    WebSocketStream::from_raw_socket(io, Role::Server, None).await
}

pub(super) async fn exec<S>(io: S, command: Vec<String>, encoding: Encoding) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sink, mut messages) = open(io).await.split();
    let (stdin, fed) = mpsc::channel(QUEUE_MAX);
    let (said, mut to_say) = mpsc::channel(QUEUE_MAX);
    tokio::spawn(async move { process::run(&command, Channels { stdin: fed, out: said }).await });
    loop {
        tokio::select! {
            message = messages.next() => match message.transpose()? {
                Some(message) => match encoding.read(message) {
                    Some((STDIN, bytes)) if !bytes.is_empty() => drop(stdin.send(bytes).await),
                    _ => {}
                },
                None => return Ok(()),
            },
            said = to_say.recv() => match said {
                Some((channel, Some(bytes))) => sink.send(encoding.message(channel, &bytes)).await?,
                Some((_, None)) => {}
                None => return Ok(sink.close().await?),
            },
        }
    }
}

/// Channel 2n carries the n-th port's bytes, channel 2n+1 its errors; each begins with the port.
pub(super) async fn port_forward<S>(io: S, ports: Vec<u16>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sink, mut messages) = open(io).await.split();
    let (said, mut to_say) = mpsc::channel(QUEUE_MAX);
    let mut connections = Vec::new();
    for (number, port) in ports.iter().enumerate() {
        let channel = number as u8 * 2;
        for channel in [channel, channel + 1] {
            sink.send(Encoding::Binary.message(channel, &port.to_le_bytes())).await?;
        }
        let (bytes, received) = mpsc::channel(QUEUE_MAX);
        connections.push(bytes);
        tokio::spawn(to_port(*port, channel, received, said.clone()));
    }
    drop(said);
    loop {
        tokio::select! {
            message = messages.next() => match message.transpose()? {
                Some(message) => {
                    let Some((channel, bytes)) = Encoding::Binary.read(message) else { continue };
                    let connection = connections.get(usize::from(channel / 2)).filter(|_| !bytes.is_empty());
                    if let Some(connection) = connection {
                        let _ = connection.send(bytes).await;
                    }
                }
                None => return Ok(()),
            },
            said = to_say.recv() => match said {
                Some((channel, bytes)) => sink.send(Encoding::Binary.message(channel, &bytes)).await?,
                None => return close(sink).await,
            },
        }
    }
}

async fn close<S>(mut sink: SplitSink<WebSocketStream<S>, Message>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Ok(sink.close().await?)
}

async fn to_port(port: u16, channel: u8, mut received: mpsc::Receiver<Bytes>, said: mpsc::Sender<(u8, Bytes)>) {
    let (mut reader, mut writer) = match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(connection) => connection.into_split(),
        Err(error) => {
            let why = format!("an error occurred forwarding {port}: {error}");
            let _ = said.send((channel + 1, why.into())).await;
            return;
        }
    };
    let up = tokio::spawn(async move {
        while let Some(bytes) = received.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut chunk = BytesMut::with_capacity(32 * 1024);
    while let Ok(1..) = reader.read_buf(&mut chunk).await {
        if said.send((channel, chunk.split().freeze())).await.is_err() {
            break;
        }
        chunk.reserve(32 * 1024);
    }
    up.abort();
}
