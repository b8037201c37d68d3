//! Somebody who is faster: an etcd server in front of another one. It carries every request on, and before the chosen
//! conditional write it makes one of its own, which the other then refuses.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use proto::etcdserverpb::{
    self as pb,
    kv_client::KvClient,
    kv_server::{Kv, KvServer},
    watch_client::WatchClient,
    watch_server::{Watch, WatchServer},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Server, server::TcpIncoming},
};

/// What is written at a key that the other wants to create, from the key and the other's value.
pub(crate) type Intrude = fn(key: &str, value: &[u8]) -> Vec<u8>;

#[derive(Default)]
struct Plan {
    seen: usize,
    strike: Option<(usize, Intrude)>,
    struck: Option<String>,
}

pub(crate) struct Rival {
    pub(crate) url: String,
    plan: Arc<Mutex<Plan>>,
    stop: CancellationToken,
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rival {
    pub(crate) async fn start(before: &str) -> Rival {
        let channel = Channel::from_shared(before.to_owned()).unwrap().connect().await.unwrap();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let front =
            Front { kv: KvClient::new(channel.clone()), watch: WatchClient::new(channel), plan: Arc::clone(&plan) };
        let stop = CancellationToken::new();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let serving = Server::builder()
            .add_service(KvServer::new(front.clone()))
            .add_service(WatchServer::new(front))
            .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        tokio::spawn(serving);
        Rival { url, plan, stop }
    }

    /// Is faster than the write that follows after so many.
    pub(crate) fn strike(&self, at: usize, intrude: Intrude) {
        *self.plan.lock() = Plan { strike: Some((at, intrude)), ..Plan::default() };
    }

    /// Lets everything pass from now on. The key at which it was faster.
    pub(crate) fn rest(&self) -> Option<String> {
        std::mem::take(&mut *self.plan.lock()).struck
    }
}

#[derive(Clone)]
struct Front {
    kv: KvClient<Channel>,
    watch: WatchClient<Channel>,
    plan: Arc<Mutex<Plan>>,
}

impl Front {
    /// The way to be faster than this write, if it is the chosen one.
    fn chosen(&self, key: &Bytes) -> Option<Intrude> {
        let mut plan = self.plan.lock();
        let at = plan.seen;
        plan.seen += 1;
        let (_, intrude) = plan.strike.filter(|(strike, _)| *strike == at)?;
        plan.struck = Some(String::from_utf8_lossy(key).into_owned());
        Some(intrude)
    }

    /// Changes the key that a write depends on: a value that is there is written once more, an absent one is made.
    async fn be_faster(&self, txn: &pb::TxnRequest) -> Result<(), Status> {
        let Some(compare) = txn.compare.first() else { return Ok(()) };
        let Some(intrude) = self.chosen(&compare.key) else { return Ok(()) };
        let mut kv = self.kv.clone();
        let range = pb::RangeRequest { key: compare.key.clone(), ..Default::default() };
        let current = kv.range(range).await?.into_inner().kvs.into_iter().next();
        let value = match (current, txn.success.first().and_then(|op| op.request.as_ref())) {
            (Some(current), _) => current.value,
            (None, Some(pb::request_op::Request::RequestPut(put))) => {
                intrude(&String::from_utf8_lossy(&put.key), &put.value).into()
            }
            (None, _) => return Ok(()),
        };
        kv.put(pb::PutRequest { key: compare.key.clone(), value, ..Default::default() }).await.map(|_| ())
    }
}

#[tonic::async_trait]
impl Kv for Front {
    type RangeStreamStream = Pin<Box<dyn Stream<Item = Result<pb::RangeStreamResponse, Status>> + Send>>;

    async fn range(&self, request: Request<pb::RangeRequest>) -> Result<Response<pb::RangeResponse>, Status> {
        self.kv.clone().range(request.into_inner()).await
    }

    async fn range_stream(&self, _: Request<pb::RangeRequest>) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented("not carried on"))
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Result<Response<pb::PutResponse>, Status> {
        self.kv.clone().put(request.into_inner()).await
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        self.kv.clone().delete_range(request.into_inner()).await
    }

    async fn txn(&self, request: Request<pb::TxnRequest>) -> Result<Response<pb::TxnResponse>, Status> {
        let txn = request.into_inner();
        self.be_faster(&txn).await?;
        self.kv.clone().txn(txn).await
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        self.kv.clone().compact(request.into_inner()).await
    }
}

#[tonic::async_trait]
impl Watch for Front {
    type WatchStream = Streaming<pb::WatchResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let requests = request.into_inner().take_while(|request| std::future::ready(request.is_ok()));
        let requests = requests.filter_map(|request| std::future::ready(request.ok()));
        self.watch.clone().watch(requests).await
    }
}
