//! exec and attach for WebSocket clients of `v5.channel.k8s.io`: each channel of theirs becomes a SPDY stream to the
//! kubelet, which is what every kubelet speaks.
//!
//! In: messages whose first byte is a channel (0 to 2 for stdin, stdout and stderr, 3 for how it ended, 4 for the size
//! of the terminal, 255 to close another one). Out: the same from the kubelet, and at the end one Status on channel 3.
//! Two loops share the work: one reads the client and alone writes to the kubelet, the other reads the kubelet and
//! alone writes to the client, so that each direction is held back by its own reader and by nothing else. Not here:
//! older protocols, which kubelets speak themselves (`upgrade`).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    sync::mpsc,
    time::Instant,
};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::{
    channels::{Channels, ERROR, Message, Part, RESIZE, STDERR, STDIN, STDOUT, STREAM_TYPES, channel_of, stream_of},
    location::Location,
    outcome,
    spdy::{self, Received as FromKubelet, Sent as ToKubelet},
    upgrade::{Answered, ask, halves, own_connection},
    websocket::{self, Received as FromClient, Sent as ToClient},
};
use crate::{
    api::schema::Object,
    request::{Request, body::Body, status::ApiError},
};

pub(super) const PROTOCOL: &str = "v5.channel.k8s.io";
/// What is offered to kubelets, the best first. Older ones than the second have no codes of exit.
const KUBELET_PROTOCOLS: [&str; 2] = [PROTOCOL, "v4.channel.k8s.io"];

/// A kubelet that says nothing for so long, not even to pings, is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10 * 60);
/// The kubelet takes each stream within this.
const REPLY_MAX: Duration = Duration::from_secs(30);
const PING_EVERY: Duration = Duration::from_secs(5);
/// A client that does not read gets its last words within this, or not at all.
const LAST_WORDS_MAX: Duration = Duration::from_secs(10);
/// How much a kubelet may say about how it ended.
const OUTCOME_BYTES_MAX: usize = 64 * 1024;
const CHUNK_BYTES: usize = 32 * 1024;

type Io = TokioIo<Upgraded>;
type ClientIn = FramedRead<ReadHalf<Io>, websocket::Frames>;
type ClientOut = FramedWrite<WriteHalf<Io>, websocket::Frames>;
type KubeletIn = FramedRead<ReadHalf<Io>, spdy::Frames>;
type KubeletOut = FramedWrite<WriteHalf<Io>, spdy::Frames>;

/// Answers the client at once; whether the kubelet can be reached is told on channel 3.
pub(super) fn serve(request: Request, location: Location, options: &Object) -> Result<Response<Body>, ApiError> {
    let response = match websocket::accept(&request, &[PROTOCOL]) {
        Ok((response, _)) => response,
        Err(refusal) => return Ok(*refusal),
    };
    let channels = Channels::of(options);
    let client = own_connection(request.upgrade)?;
    request.session.begin(async move {
        let Ok(client) = client.await else { return };
        run(client, location, channels).await;
    });
    Ok(response)
}

async fn run(client: Upgraded, location: Location, channels: Channels) {
    let (reader, writer) = halves(client);
    let mut client_in = FramedRead::with_capacity(reader, websocket::Frames::default(), CHUNK_BYTES);
    let mut client_out = FramedWrite::new(writer, websocket::Frames::default());
    // Tells the client that it is connected.
    let first = [STDOUT, STDERR, ERROR].into_iter().find(|channel| channels.has(*channel)).unwrap_or(ERROR);
    if client_out.send(ToClient::Binary(Some(first), Bytes::new())).await.is_err() {
        return;
    }
    let ended = match connect(location, channels).await {
        Ok(kubelet) => exchange(&mut client_in, &mut client_out, kubelet, channels).await,
        Err(error) => Ended::With(outcome::failure(&error)),
    };
    let last_words = async {
        if let Ended::With(status) = ended {
            client_out.send(ToClient::Binary(Some(ERROR), status.into())).await?;
        }
        client_out.send(ToClient::Close).await?;
        client_out.get_mut().shutdown().await
    };
    // Who is gone cannot be told.
    let _ = tokio::time::timeout(LAST_WORDS_MAX, last_words).await;
}

/// How a session ended.
enum Ended {
    /// With what the client is told.
    With(Vec<u8>),
    /// The client left, or broke the protocol.
    Left,
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    for protocol in KUBELET_PROTOCOLS {
        headers.append(HeaderName::from_static("x-stream-protocol-version"), HeaderValue::from_static(protocol));
    }
    headers
}

/// A kubelet that took all streams.
struct Kubelet {
    reader: KubeletIn,
    writer: KubeletOut,
    /// What came while streams were opened.
    early: Vec<FromKubelet>,
}

/// What a client is told of a kubelet that cannot be asked.
fn not_asked(url: &str, error: ApiError) -> ApiError {
    match error.message.strip_prefix("error dialing backend: ") {
        Some(why) => ApiError::internal(format!("error sending request: Post {url:?}: {why}")),
        None => ApiError::internal(error.message),
    }
}

async fn connect(location: Location, channels: Channels) -> Result<Kubelet, ApiError> {
    let mut headers = headers();
    if let Ok(host) = HeaderValue::from_str(&location.authority) {
        headers.insert(header::HOST, host);
    }
    let url = location.url();
    let connection = match ask(location, Method::POST, headers).await {
        Ok(Answered::Switches(_, connection)) => connection,
        Ok(Answered::Refuses(response)) => return Err(refusal(response).await),
        Err(error) => return Err(not_asked(&url, error)),
    };
    let connection = connection.await.map_err(|error| ApiError::internal(error.to_string()))?;
    let (reader, writer) = halves(connection);
    let mut kubelet = Kubelet {
        reader: FramedRead::with_capacity(reader, spdy::Frames::default(), CHUNK_BYTES),
        writer: FramedWrite::new(writer, spdy::Frames::default()),
        early: Vec::new(),
    };
    for channel in [ERROR, STDIN, STDOUT, STDERR, RESIZE] {
        if channels.has(channel) {
            kubelet.open(channel).await.map_err(ApiError::internal)?;
        }
    }
    Ok(kubelet)
}

/// What a kubelet refuses with: its Status, or its words.
async fn refusal(response: Response<Body>) -> ApiError {
    let (mut body, mut said) = (response.into_body(), BytesMut::new());
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.into_data().unwrap_or_default();
        if said.len() + bytes.len() > OUTCOME_BYTES_MAX {
            break;
        }
        said.extend_from_slice(&bytes);
    }
    match outcome::status(&said) {
        Some(status) => status,
        None => {
            let words = String::from_utf8_lossy(&said);
            ApiError::internal(format!("unable to upgrade connection: {}", words.trim()))
        }
    }
}

impl Kubelet {
    /// Opens the stream of a channel and waits until the kubelet took it.
    async fn open(&mut self, channel: u8) -> Result<(), String> {
        let stream = stream_of(channel);
        let kind = STREAM_TYPES[usize::from(channel)];
        let sent = self.writer.send(ToKubelet::Open(stream, &[("streamtype", kind)])).await;
        sent.map_err(|error| format!("error sending request: {error}"))?;
        let taken = async {
            loop {
                match self.reader.next().await {
                    Some(Ok(FromKubelet::Reply(taken))) if taken == stream => return Ok(()),
                    Some(Ok(FromKubelet::Reset(reset))) if reset == stream => return Err("Stream reset".to_owned()),
                    Some(Ok(early)) if self.early.len() < EARLY_MAX => self.early.push(early),
                    Some(Ok(_)) => return Err("the kubelet sends before its streams are open".to_owned()),
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("Stream removed before receiving a reply".to_owned()),
                }
            }
        };
        let taken = tokio::time::timeout(REPLY_MAX, taken).await;
        taken.unwrap_or_else(|_| Err("Timed out waiting for stream".to_owned()))
    }
}

/// So many pieces may come before all streams are open.
const EARLY_MAX: usize = 64;

/// What the loop that reads the kubelet has for the one that writes to it.
enum Errand {
    Answer(u32),
    /// The kubelet reads no more of stdin.
    StdinClosed,
}

async fn exchange(client_in: &mut ClientIn, client_out: &mut ClientOut, kubelet: Kubelet, channels: Channels) -> Ended {
    let Kubelet { reader, mut writer, early } = kubelet;
    // Errands that find no room are left out: a kubelet that asks so often needs no answer.
    let (errands, to_do) = mpsc::channel(8);
    let (pongs, to_answer) = mpsc::channel(8);
    let mut outputs = Outputs { client: client_out, channels, errands, to_answer, outcome: BytesMut::new(), open: 0 };
    outputs.open = [STDOUT, STDERR, ERROR].into_iter().filter(|channel| channels.has(*channel)).count();
    let ended = tokio::select! {
        ended = outputs.run(reader, early) => ended,
        () = inputs(client_in, &mut writer, channels, to_do, pongs) => Ended::Left,
    };
    // A process that reads stdin sees its end; the rest of the kubelet's words are for nobody.
    let farewell = async {
        if channels.has(STDIN) {
            writer.send(ToKubelet::Fin(stream_of(STDIN))).await?;
        }
        writer.get_mut().shutdown().await
    };
    let _ = tokio::time::timeout(LAST_WORDS_MAX, farewell).await;
    ended
}

/// From the client to the kubelet, until the client leaves or breaks the protocol.
async fn inputs(
    client: &mut ClientIn,
    kubelet: &mut KubeletOut,
    channels: Channels,
    mut to_do: mpsc::Receiver<Errand>,
    pongs: mpsc::Sender<Bytes>,
) {
    let mut pings = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    let mut ping = 1_u32;
    let mut open = channels;
    let mut message = Message::default();
    loop {
        let sent = tokio::select! {
            received = client.next() => match received {
                Some(Ok(FromClient::Piece { first, last, bytes, .. })) => match message.take(first, last, bytes) {
                    Some(Part::Data(channel, bytes)) if matches!(channel, STDIN | RESIZE) && open.has(channel) => {
                        kubelet.send(ToKubelet::Data(stream_of(channel), bytes)).await
                    }
                    Some(Part::Close(channel)) if matches!(channel, STDIN | RESIZE) && open.has(channel) => {
                        open.0[usize::from(channel)] = false;
                        kubelet.send(ToKubelet::Fin(stream_of(channel))).await
                    }
                    Some(Part::Wrong) => return,
                    _ => Ok(()),
                },
                Some(Ok(FromClient::Ping(bytes))) => {
                    // A client that asks faster than it reads the answers misses some.
                    let _ = pongs.try_send(bytes);
                    Ok(())
                }
                Some(Ok(FromClient::Close)) | None => return,
                Some(Err(error)) => {
                    tracing::debug!(%error, "a WebSocket client breaks the protocol");
                    return;
                }
            },
            errand = to_do.recv() => match errand {
                Some(Errand::Answer(number)) => kubelet.send(ToKubelet::Ping(number)).await,
                Some(Errand::StdinClosed) if open.has(STDIN) => {
                    open.0[usize::from(STDIN)] = false;
                    kubelet.send(ToKubelet::Fin(stream_of(STDIN))).await
                }
                Some(Errand::StdinClosed) => Ok(()),
                None => return,
            },
            _ = pings.tick() => {
                ping = ping.wrapping_add(2);
                kubelet.send(ToKubelet::Ping(ping)).await
            }
        };
        // The other loop learns from the kubelet's own end how it went.
        if sent.is_err() {
            return std::future::pending().await;
        }
    }
}

/// From the kubelet to the client.
struct Outputs<'a> {
    client: &'a mut ClientOut,
    channels: Channels,
    errands: mpsc::Sender<Errand>,
    to_answer: mpsc::Receiver<Bytes>,
    outcome: BytesMut,
    /// Streams of the kubelet that have not ended.
    open: usize,
}

impl Outputs<'_> {
    /// Until all that the kubelet has to say is said.
    async fn run(&mut self, mut kubelet: KubeletIn, early: Vec<FromKubelet>) -> Ended {
        let mut closed = Channels([false; 5]);
        let mut early = early.into_iter();
        while self.open > 0 {
            let received = match early.next() {
                Some(early) => Ok(early),
                None => tokio::select! {
                    Some(bytes) = self.to_answer.recv() => {
                        if self.client.send(ToClient::Pong(bytes)).await.is_err() {
                            return Ended::Left;
                        }
                        continue;
                    }
                    received = tokio::time::timeout(SILENCE_MAX, kubelet.next()) => match received {
                        Ok(Some(received)) => received.map_err(|error| error.to_string()),
                        Ok(None) => Err("unexpected EOF".to_owned()),
                        Err(_) => Err("i/o timeout".to_owned()),
                    },
                },
            };
            match received {
                Ok(FromKubelet::Data(stream, bytes)) => match channel_of(stream) {
                    Some(ERROR) if self.outcome.len() + bytes.len() <= OUTCOME_BYTES_MAX => {
                        self.outcome.extend_from_slice(&bytes);
                    }
                    Some(channel @ (STDOUT | STDERR)) if self.channels.has(channel) && !bytes.is_empty() => {
                        let sent = self.client.send(ToClient::Binary(Some(channel), bytes)).await;
                        if sent.is_err() {
                            return Ended::Left;
                        }
                    }
                    _ => {}
                },
                Ok(FromKubelet::Fin(stream) | FromKubelet::Reset(stream)) => match channel_of(stream) {
                    Some(STDIN) => drop(self.errands.try_send(Errand::StdinClosed)),
                    Some(channel @ (STDOUT | STDERR | ERROR)) if self.channels.has(channel) && !closed.has(channel) => {
                        closed.0[usize::from(channel)] = true;
                        self.open -= 1;
                    }
                    _ => {}
                },
                // Ours have odd numbers; those are answers.
                Ok(FromKubelet::Ping(number)) if number % 2 == 0 => drop(self.errands.try_send(Errand::Answer(number))),
                Ok(FromKubelet::Ping(_) | FromKubelet::Reply(_) | FromKubelet::GoAway) => {}
                Err(why) => {
                    let error = ApiError::internal(format!("error reading from error stream: {why}"));
                    return Ended::With(outcome::failure(&error));
                }
            }
        }
        Ended::With(outcome::of_kubelet(&self.outcome))
    }
}
