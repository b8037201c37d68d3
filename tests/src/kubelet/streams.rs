//! A kubelet's streams over SPDY: exec, attach and port forwarding.

use std::collections::HashMap;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_util::codec::Framed;

use super::{
    process::{self, Channels, ERROR, RESIZE, STDERR, STDIN, STDOUT},
    spdy::{Fin, Frame, Frames, Headers},
};

/// Frames that wait to be written.
const QUEUE_MAX: usize = 16;

fn header<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// Writes what the streams of a connection have to say.
fn writer<S>(mut sink: SplitSink<Framed<S, Frames>, Frame>) -> mpsc::Sender<Frame>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (frames, mut queue) = mpsc::channel::<Frame>(QUEUE_MAX);
    tokio::spawn(async move {
        while let Some(frame) = queue.recv().await {
            if sink.send(frame).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    });
    frames
}

/// Runs `command` when the client has opened the streams it asked for.
pub(super) async fn exec<S>(io: S, command: Vec<String>, wanted: &[u8]) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, mut frames) = Framed::new(io, Frames::default()).split();
    let out = writer(sink);
    let (stdin, fed) = mpsc::channel(QUEUE_MAX);
    let (said, mut to_say) = mpsc::channel(QUEUE_MAX);
    let mut streams: HashMap<u8, u32> = HashMap::new();
    let mut stdin = Some(stdin);
    let mut begin = Some((command, Channels { stdin: fed, out: said }));
    loop {
        tokio::select! {
            frame = frames.next() => match frame.transpose()? {
                Some(Frame::Open(stream, headers)) => {
                    let channel = match header(&headers, "streamtype") {
                        "stdin" => STDIN,
                        "stdout" => STDOUT,
                        "stderr" => STDERR,
                        "resize" => RESIZE,
                        _ => ERROR,
                    };
                    streams.insert(channel, stream);
                    out.send(Frame::Reply(stream)).await?;
                    if wanted.iter().all(|channel| streams.contains_key(channel)) && let Some((command, channels)) = begin.take() {
                        tokio::spawn(async move { process::run(&command, channels).await });
                    }
                }
                Some(Frame::Data(stream, bytes, fin)) if streams.get(&STDIN) == Some(&stream) => {
                    if let Some(stdin) = &stdin && !bytes.is_empty() {
                        let _ = stdin.send(bytes).await;
                    }
                    if fin == Fin::Yes {
                        stdin = None;
                    }
                }
                Some(Frame::Ping(number)) if number % 2 == 1 => out.send(Frame::Ping(number)).await?,
                Some(_) => {}
                None => return Ok(()),
            },
            said = to_say.recv() => {
                // All is said: the connection ends with its writer.
                let Some((channel, bytes)) = said else { return Ok(()) };
                let Some(stream) = streams.get(&channel) else { continue };
                let frame = match bytes {
                    Some(bytes) => Frame::Data(*stream, bytes, Fin::No),
                    None => Frame::Data(*stream, Bytes::new(), Fin::Yes),
                };
                out.send(frame).await?;
            }
        }
    }
}

/// Pairs of streams, one for data and one for errors, to ports of this host.
pub(super) async fn port_forward<S>(io: S) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, mut frames) = Framed::new(io, Frames::default()).split();
    let out = writer(sink);
    let mut errors: HashMap<String, u32> = HashMap::new();
    let mut connections: HashMap<u32, mpsc::Sender<Bytes>> = HashMap::new();
    while let Some(frame) = frames.next().await.transpose()? {
        match frame {
            Frame::Open(stream, headers) => {
                out.send(Frame::Reply(stream)).await?;
                let request = header(&headers, "requestid").to_owned();
                if header(&headers, "streamtype") == "error" {
                    errors.insert(request, stream);
                    continue;
                }
                let port = header(&headers, "port").parse()?;
                let (bytes, received) = mpsc::channel(QUEUE_MAX);
                connections.insert(stream, bytes);
                let error = errors.remove(&request).unwrap_or_default();
                tokio::spawn(to_port(port, Pair { data: stream, error }, received, out.clone()));
            }
            Frame::Data(stream, bytes, fin) => {
                if let Some(connection) = connections.get(&stream).filter(|_| !bytes.is_empty()) {
                    let _ = connection.send(bytes).await;
                }
                if fin == Fin::Yes {
                    connections.remove(&stream);
                }
            }
            Frame::Reset(stream) => drop(connections.remove(&stream)),
            Frame::Ping(number) if number % 2 == 1 => out.send(Frame::Ping(number)).await?,
            _ => {}
        }
    }
    Ok(())
}

struct Pair {
    data: u32,
    error: u32,
}

async fn to_port(port: u16, streams: Pair, mut received: mpsc::Receiver<Bytes>, out: mpsc::Sender<Frame>) {
    let connected = TcpStream::connect(("127.0.0.1", port)).await;
    let (mut reader, mut writer) = match connected {
        Ok(connection) => connection.into_split(),
        Err(error) => {
            let why = format!("an error occurred forwarding {port}: {error}");
            let _ = out.send(Frame::Data(streams.error, why.into(), Fin::Yes)).await;
            let _ = out.send(Frame::Data(streams.data, Bytes::new(), Fin::Yes)).await;
            return;
        }
    };
    let up = async move {
        while let Some(bytes) = received.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    };
    let down = async {
        let mut chunk = BytesMut::with_capacity(32 * 1024);
        while let Ok(1..) = reader.read_buf(&mut chunk).await {
            if out.send(Frame::Data(streams.data, chunk.split().freeze(), Fin::No)).await.is_err() {
                return;
            }
            chunk.reserve(32 * 1024);
        }
    };
    let up = tokio::spawn(up);
    down.await;
    for stream in [streams.data, streams.error] {
        let _ = out.send(Frame::Data(stream, Bytes::new(), Fin::Yes)).await;
    }
    up.abort();
}
