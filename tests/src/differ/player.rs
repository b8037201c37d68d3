//! Plays steps against one server, one after the other, without looking into the messages more than waiting for them
//! needs.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use proto::etcdserverpb as pb;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

use super::recording::{Kind, Outcome, Step};

pub const WATCH: &str = "/etcdserverpb.Watch/Watch";
pub const AUTHENTICATE: &str = "/etcdserverpb.Auth/Authenticate";

/// A stream has one watcher from its beginning that never sees an event: progress is answered for streams with watchers
/// only.
pub const KEEPER: i64 = 1 << 40;
const KEEPER_KEY: &[u8] = b"~keeper";

const PATIENCE: Duration = Duration::from_secs(30);
/// An etcd drops a progress request that comes while a watcher still catches up; so it is asked again.
const PROGRESS_AGAIN: Duration = Duration::from_millis(50);

/// One server.
pub struct Player {
    channel: Channel,
    tokens: HashMap<String, String>,
    streams: BTreeMap<u32, WatchStream>,
}

struct WatchStream {
    requests: mpsc::Sender<Bytes>,
    responses: Streaming<Bytes>,
}

impl Player {
    pub async fn connect(endpoint: &str) -> Result<Self> {
        const WINDOW: u32 = 16 << 20;
        let endpoint = Endpoint::from_shared(endpoint.to_owned())?;
        let endpoint = endpoint.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        Ok(Self { channel: endpoint.connect().await?, tokens: HashMap::new(), streams: BTreeMap::new() })
    }

    /// Revisions are compared exactly, so nobody may have written before.
    pub async fn ensure_fresh(&mut self) -> Result<()> {
        let mut client = pb::maintenance_client::MaintenanceClient::new(self.channel.clone());
        let revision = client.status(pb::StatusRequest {}).await?.into_inner().header.context("no header")?.revision;
        ensure!(revision == 1, "the server is not fresh: its revision is {revision}");
        Ok(())
    }

    pub async fn play(&mut self, step: &Step) -> Result<Outcome> {
        let playing = async {
            match step.kind() {
                Kind::Unary => self.unary(step).await,
                Kind::First => self.first(step).await,
                Kind::WatchAnswered => self.watch(step, true).await,
                Kind::WatchUnanswered => self.watch(step, false).await,
                Kind::WatchDrain => self.drain(step).await,
                Kind::WatchClose => {
                    self.streams.remove(&step.stream);
                    Ok(Outcome::default())
                }
                Kind::UntilLeaseGone => self.until_lease_gone(step).await,
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, playing).await;
        let outcome = outcome.with_context(|| format!("no answer within {PATIENCE:?}"))??;
        ensure!(outcome.text != "transport error", "the server is gone");
        Ok(outcome)
    }

    fn client(&self) -> Grpc<Channel> {
        Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX)
    }

    fn request<M>(&self, step: &Step, message: M) -> Result<Request<M>> {
        let mut request = Request::new(message);
        if !step.user.is_empty() {
            // A name without a login goes with a token that was never given out.
            let token = self.tokens.get(&step.user).map_or("none", String::as_str);
            request.metadata_mut().insert("token", token.parse()?);
        }
        Ok(request)
    }

    async fn unary(&mut self, step: &Step) -> Result<Outcome> {
        let mut client = self.client();
        client.ready().await?;
        let request = self.request(step, step.body.clone())?;
        let answer = client.unary(request, step.path.parse()?, Raw).await;
        if step.path == AUTHENTICATE
            && let Ok(response) = &answer
        {
            let request = pb::AuthenticateRequest::decode(step.body.clone())?;
            let response = pb::AuthenticateResponse::decode(response.get_ref().clone())?;
            self.tokens.insert(request.name, response.token);
        }
        Ok(outcome(answer.map(|response| vec![response.into_inner()])))
    }

    async fn first(&mut self, step: &Step) -> Result<Outcome> {
        let mut client = self.client();
        client.ready().await?;
        // The request stream stays open: its end might end the call before the answer.
        let requests = StreamExt::chain(tokio_stream::once(step.body.clone()), tokio_stream::pending());
        let answer = client.streaming(self.request(step, requests)?, step.path.parse()?, Raw).await;
        let first = match answer {
            Ok(response) => response.into_inner().message().await,
            Err(status) => Err(status),
        };
        Ok(outcome(first.map(|message| message.into_iter().collect())))
    }

    async fn until_lease_gone(&mut self, step: &Step) -> Result<Outcome> {
        loop {
            let outcome = self.unary(step).await?;
            let Some(response) = outcome.responses.first() else { return Ok(outcome) };
            if pb::LeaseTimeToLiveResponse::decode(response.clone())?.ttl < 0 {
                return Ok(outcome);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn watch(&mut self, step: &Step, is_answered: bool) -> Result<Outcome> {
        if !self.streams.contains_key(&step.stream) {
            let stream = self.open(step).await?;
            self.streams.insert(step.stream, stream);
        }
        let stream = self.stream(step)?;
        if !step.body.is_empty() {
            stream.requests.send(step.body.clone()).await.context("the watch stream is closed")?;
        }
        let mut seen = Vec::new();
        let mut waits = is_answered;
        while waits {
            let response = stream.next(&mut seen).await?;
            waits = !response.created && !response.canceled;
        }
        Ok(outcome(Ok(seen)))
    }

    /// What answers a progress request comes after everything else the stream has to say.
    async fn drain(&mut self, step: &Step) -> Result<Outcome> {
        let Ok(stream) = self.stream(step) else { return Ok(Outcome::default()) };
        let ask = pb::watch_request::RequestUnion::ProgressRequest(pb::WatchProgressRequest {});
        let ask = Bytes::from(pb::WatchRequest { request_union: Some(ask) }.encode_to_vec());
        let mut seen = Vec::new();
        loop {
            stream.requests.send(ask.clone()).await.context("the watch stream is closed")?;
            let again = Instant::now() + PROGRESS_AGAIN;
            loop {
                let left = again.saturating_duration_since(Instant::now());
                let Ok(response) = tokio::time::timeout(left, stream.next(&mut seen)).await else { break };
                let response = response?;
                if is_progress(&response) && response.header.is_some_and(|header| header.revision >= step.revision) {
                    return Ok(outcome(Ok(seen)));
                }
            }
        }
    }

    fn stream(&mut self, step: &Step) -> Result<&mut WatchStream> {
        self.streams.get_mut(&step.stream).context("no such watch stream")
    }

    async fn open(&self, step: &Step) -> Result<WatchStream> {
        let (requests, queue) = mpsc::channel(16);
        let create = pb::WatchCreateRequest { key: KEEPER_KEY.into(), watch_id: KEEPER, ..Default::default() };
        let create = pb::watch_request::RequestUnion::CreateRequest(create);
        requests.send(pb::WatchRequest { request_union: Some(create) }.encode_to_vec().into()).await?;
        let mut client = self.client();
        client.ready().await?;
        let request = self.request(step, ReceiverStream::new(queue))?;
        let responses = client.streaming(request, WATCH.parse()?, Raw).await?.into_inner();
        let mut stream = WatchStream { requests, responses };
        let created = stream.next(&mut Vec::new()).await?;
        ensure!(created.created && !created.canceled, "the stream's own watcher was refused: {created:?}");
        Ok(stream)
    }
}

impl WatchStream {
    async fn next(&mut self, seen: &mut Vec<Bytes>) -> Result<pb::WatchResponse> {
        let Some(message) = self.responses.message().await? else { bail!("the server ended the watch stream") };
        seen.push(message.clone());
        Ok(pb::WatchResponse::decode(message)?)
    }
}

/// An answer to a progress request of the whole stream.
pub fn is_progress(response: &pb::WatchResponse) -> bool {
    response.watch_id == -1 && !response.created && !response.canceled
}

fn outcome(answer: Result<Vec<Bytes>, Status>) -> Outcome {
    match answer {
        Ok(responses) => Outcome { responses, ..Outcome::default() },
        Err(status) => Outcome { code: status.code().into(), text: status.message().to_owned(), responses: Vec::new() },
    }
}

/// Messages as they are on the wire.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
