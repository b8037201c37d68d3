//! Clients of one round: random requests on few keys, at one server until it fails them, then at the next. In goes a
//! seed, out comes what was asked and answered.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use proto::{
    etcdserverpb::{
        Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
        compare::{CompareTarget, TargetUnion},
        kv_client::KvClient,
        request_op::Request,
        response_op::Response,
    },
    mvccpb::KeyValue,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::history::{Answer, Ask, Operation, Outcome, Reading, Record, text};

pub(super) const PREFIX: &str = "/faults/";
const KEYS: usize = 8;
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// After it, nobody knows.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(30);

pub(super) type Kv = KvClient<Channel>;

pub(super) fn connect(url: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(url.to_owned())?.connect_timeout(CONNECT_WITHIN).connect_lazy())
}

pub(super) struct Client {
    pub(super) number: usize,
    pub(super) urls: Vec<String>,
    pub(super) seed: u64,
    pub(super) began: Instant,
    pub(super) stop: CancellationToken,
    /// The oldest revision to read.
    pub(super) base: i64,
    /// The highest that was compacted at.
    pub(super) compacted: Arc<AtomicI64>,
}

impl Client {
    pub(super) async fn run(self) -> Result<Vec<Operation>> {
        let mut rng = StdRng::seed_from_u64(self.seed ^ (self.number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let channels = self.urls.iter().map(|url| connect(url)).collect::<Result<Vec<_>>>()?;
        let (mut server, mut operations) = (self.number % channels.len(), Vec::new());
        let (mut revision, mut known) = (self.base, BTreeMap::new());
        while !self.stop.is_cancelled() {
            let oldest = self.compacted.load(Ordering::Relaxed).max(self.base);
            let ask = self.choose(&mut rng, operations.len(), oldest..=revision, &known);
            let mut kv = KvClient::new(channels[server].clone());
            let asked = self.began.elapsed();
            let outcome = match tokio::time::timeout(ANSWER_WITHIN, send(&mut kv, &ask)).await {
                Ok(Ok(answer)) => Outcome::Answered(answer),
                // What says of itself that it was not done.
                Ok(Err(status)) if matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted) => {
                    Outcome::Refused
                }
                Ok(Err(_)) | Err(_) => Outcome::Unknown,
            };
            let answered = self.began.elapsed();
            match &outcome {
                Outcome::Answered(answer) => {
                    revision = revision.max(answer.revision);
                    known.extend(answer.found.iter().map(|(key, record)| (key.clone(), record.modified)));
                }
                Outcome::Refused => {}
                Outcome::Unknown => {
                    server = (server + 1) % channels.len();
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
            operations.push(Operation { asked, answered, ask, outcome });
        }
        Ok(operations)
    }

    fn choose(
        &self,
        rng: &mut StdRng,
        turn: usize,
        revisions: std::ops::RangeInclusive<i64>,
        known: &BTreeMap<String, i64>,
    ) -> Ask {
        let key = |rng: &mut StdRng| format!("{PREFIX}{}", rng.random_range(0..KEYS));
        let value = format!("{}-{turn}", self.number);
        let reading = match rng.random_range(0..10) {
            0..6 => Reading::Linearizable,
            6..8 => Reading::Serializable,
            _ if revisions.is_empty() => Reading::Linearizable,
            _ => Reading::At(rng.random_range(revisions)),
        };
        match rng.random_range(0..100) {
            0..35 => Ask::Put { key: key(rng), value },
            35..45 => Ask::Delete { key: key(rng) },
            45..65 => {
                let key = key(rng);
                let expected = known.get(&key).copied().unwrap_or_default();
                Ask::Swap { key, expected, value }
            }
            65..72 => {
                let first = rng.random_range(0..KEYS);
                let keys = [first, (first + 1) % KEYS].map(|number| format!("{PREFIX}{number}"));
                Ask::Pair { keys, value }
            }
            72..92 => Ask::Get { key: key(rng), reading },
            _ => Ask::List { reading },
        }
    }
}

async fn send(kv: &mut Kv, ask: &Ask) -> Result<Answer, Status> {
    match ask {
        Ask::Put { key, value } => {
            let put = PutRequest { prev_kv: true, ..put(key, value) };
            let response = kv.put(put).await?.into_inner();
            let found = response.prev_kv.iter().map(named).collect();
            Ok(Answer { revision: at(response.header)?, applied: true, found })
        }
        Ask::Delete { key } => {
            let request = DeleteRangeRequest { key: key.clone().into(), prev_kv: true, ..Default::default() };
            let response = kv.delete_range(request).await?.into_inner();
            let found = response.prev_kvs.iter().map(named).collect();
            Ok(Answer { revision: at(response.header)?, applied: response.deleted > 0, found })
        }
        Ask::Swap { key, expected, value } => swap(kv, key, *expected, value).await,
        Ask::Pair { keys, value } => {
            let success = keys.iter().map(|key| RequestOp { request: Some(Request::RequestPut(put(key, value))) });
            let request = TxnRequest { success: success.collect(), ..Default::default() };
            let response = kv.txn(request).await?.into_inner();
            Ok(Answer { revision: at(response.header)?, applied: true, found: BTreeMap::new() })
        }
        Ask::Get { key, reading } => read(kv, key, Vec::new(), *reading).await,
        Ask::List { reading } => read(kv, PREFIX, prefix_end(), *reading).await,
    }
}

async fn swap(kv: &mut Kv, key: &str, expected: i64, value: &str) -> Result<Answer, Status> {
    let compare = Compare {
        key: key.to_owned().into(),
        target: CompareTarget::Mod as i32,
        target_union: Some(TargetUnion::ModRevision(expected)),
        ..Default::default()
    };
    let get = RangeRequest { key: key.to_owned().into(), ..Default::default() };
    let request = TxnRequest {
        compare: vec![compare],
        success: vec![RequestOp { request: Some(Request::RequestPut(put(key, value))) }],
        failure: vec![RequestOp { request: Some(Request::RequestRange(get)) }],
    };
    let response = kv.txn(request).await?.into_inner();
    let mut found = BTreeMap::new();
    for response in &response.responses {
        if let Some(Response::ResponseRange(range)) = &response.response {
            found.extend(range.kvs.iter().map(named));
        }
    }
    Ok(Answer { revision: at(response.header)?, applied: response.succeeded, found })
}

async fn read(kv: &mut Kv, key: &str, range_end: Vec<u8>, reading: Reading) -> Result<Answer, Status> {
    let request = RangeRequest {
        key: key.to_owned().into(),
        range_end: range_end.into(),
        serializable: reading == Reading::Serializable,
        revision: if let Reading::At(revision) = reading { revision } else { 0 },
        ..Default::default()
    };
    let response = kv.range(request).await?.into_inner();
    Ok(Answer { revision: at(response.header)?, applied: false, found: response.kvs.iter().map(named).collect() })
}

pub(super) fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() }
}

/// The end of the range of all keys of a round.
pub(super) fn prefix_end() -> Vec<u8> {
    b"/faults0".to_vec()
}

fn at(header: Option<ResponseHeader>) -> Result<i64, Status> {
    Ok(header.context("no header").map_err(|error| Status::data_loss(error.to_string()))?.revision)
}

fn named(kv: &KeyValue) -> (String, Record) {
    (text(&kv.key), Record::from(kv))
}
