//! The works: each is done on one API server and comes to the same figures on all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use futures::future::try_join_all;
use http::{Method, Request, header};
use serde_json::json;

use super::{
    Plan,
    figures::{Figure, less, more},
    pods::pod,
    servers::{JSON, PROTOBUF, Session, Side, drain},
    streams,
};
use crate::load::{Measured, press};

const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
/// Clients of one connection.
const CLIENTS_PER_SESSION: usize = 16;
/// Pods that the works on single objects take turns on.
const KNOWN: usize = 1000;
const LIST: usize = 10_000;
const REPEATS: usize = 5;
const AT_ONCE: usize = 8;
/// Writes and caches of the start have settled by then.
const REST: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Empty,
    Create,
    Get,
    Patch,
    PatchOne,
    Apply,
    Watch,
    Reconnect,
    List,
    Gzip,
    Start,
    LargeList,
}

impl Work {
    pub(super) const ALL: [Work; 12] = [
        Work::Empty,
        Work::Create,
        Work::Get,
        Work::Patch,
        Work::PatchOne,
        Work::Apply,
        Work::Watch,
        Work::Reconnect,
        Work::List,
        Work::Gzip,
        Work::Start,
        Work::LargeList,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Work::Empty => "empty",
            Work::Create => "create",
            Work::Get => "get",
            Work::Patch => "patch",
            Work::PatchOne => "patch-one",
            Work::Apply => "apply",
            Work::Watch => "watch",
            Work::Reconnect => "reconnect",
            Work::List => "list",
            Work::Gzip => "gzip",
            Work::Start => "start",
            Work::LargeList => "large-list",
        }
    }

    pub(super) fn reads_a_large_store(self) -> bool {
        matches!(self, Work::List | Work::Gzip | Work::Start | Work::LargeList)
    }

    pub(super) async fn measure(self, plan: &Plan, side: &mut Side) -> Result<Vec<Figure>> {
        match self {
            Work::Empty => empty(side).await,
            Work::Create | Work::Get | Work::Patch | Work::PatchOne | Work::Apply => singles(self, plan, side).await,
            Work::Watch => streams::watch(plan, side).await,
            Work::Reconnect => streams::reconnect(plan, side).await,
            Work::List => list(side).await,
            Work::Gzip => gzip(side).await,
            Work::Start => start(plan, side).await,
            Work::LargeList => large_list(plan, side).await,
        }
    }
}

async fn empty(side: &mut Side) -> Result<Vec<Figure>> {
    side.restart().await?;
    let ready = side.ready_after;
    tokio::time::sleep(REST).await;
    Ok(vec![less("ready s", ready.as_secs_f64(), 1.0), less("resident MB", side.resident_mb(), 4.0)])
}

/// A namespace of so many pods, made if it is not there whole.
pub(super) async fn filled(side: &Side, namespace: &str, pods: usize) -> Result<String> {
    let collection = format!("/api/v1/namespaces/{namespace}/pods");
    let first = side.session()?;
    let body = Bytes::from(json!({"metadata": {"name": namespace}}).to_string());
    let _ = first.must(Method::POST, "/api/v1/namespaces", JSON, body).await;
    let last = format!("{collection}/pod-{:05}", pods - 1);
    if first.get(&last, JSON).await.is_ok() {
        return Ok(collection);
    }
    let clients = 64;
    let making = (0..clients).map(|client| {
        let (session, collection) = (side.session(), collection.clone());
        async move {
            let session = session?;
            for number in (client..pods).step_by(clients) {
                let body = Bytes::from(pod(&format!("pod-{number:05}")).to_string());
                // What an interrupted run has left is there already.
                let _ = session.must(Method::POST, &collection, JSON, body).await;
            }
            anyhow::Ok(())
        }
    });
    try_join_all(making).await?;
    first.get(&last, JSON).await?;
    Ok(collection)
}

struct Single {
    work: Work,
    run: u32,
    collection: String,
    sessions: Vec<Session>,
}

impl Single {
    async fn once(&self, client: usize, sequence: u64) -> Result<()> {
        let session = &self.sessions[client % self.sessions.len()];
        let known = |number: usize| format!("{}/pod-{:05}", self.collection, number % KNOWN);
        let mark = format!("{}-{client}-{sequence}", self.run);
        let patch = || Bytes::from(json!({"metadata": {"annotations": {"mark": mark}}}).to_string());
        match self.work {
            Work::Create => {
                let body = Bytes::from(pod(&format!("new-{:08x}-{client}-{sequence}", self.run)).to_string());
                session.must(Method::POST, &self.collection, JSON, body).await?;
            }
            Work::Get => {
                session.must(Method::GET, &known(client * 31 + sequence as usize), JSON, Bytes::new()).await?;
            }
            Work::Patch => {
                session.must(Method::PATCH, &known(client), MERGE, patch()).await?;
            }
            Work::PatchOne => {
                session.must(Method::PATCH, &known(0), MERGE, patch()).await?;
            }
            _ => {
                let name = format!("pod-{:05}", client % KNOWN);
                let mut body = pod(&name);
                body["metadata"]["annotations"]["applied"] = mark.clone().into();
                let path = format!("{}/{name}?fieldManager=second&force=true", self.collection);
                session.must(Method::PATCH, &path, APPLY, Bytes::from(body.to_string())).await?;
            }
        }
        Ok(())
    }
}

async fn singles(work: Work, plan: &Plan, side: &Side) -> Result<Vec<Figure>> {
    let collection = filled(side, "load", KNOWN).await?;
    let clients = match work {
        Work::PatchOne => 32,
        Work::Apply => 16,
        _ => 64,
    };
    let sessions = (0..clients / CLIENTS_PER_SESSION).map(|_| side.session()).collect::<Result<Vec<_>>>()?;
    let press = async |seconds: f64| -> Result<Measured> {
        // Names of a run of its own: the one before has made some.
        let (collection, sessions) = (collection.clone(), sessions.clone());
        let single = Arc::new(Single { work, run: rand::random(), collection, sessions });
        press(work.name(), clients, Duration::from_secs_f64(seconds), &side.pids(), move |client, sequence| {
            let single = single.clone();
            async move { single.once(client, sequence).await }
        })
        .await
    };
    press(plan.seconds / 4.0).await?;
    let measured = press(plan.seconds).await?;
    let (rate, cpu) = match work {
        Work::Create => (3.0, 4.0),
        Work::Get => (4.0, 5.0),
        Work::Patch => (4.0, 4.0),
        Work::PatchOne => (20.0, 4.0),
        _ => (3.0, 3.0),
    };
    Ok(vec![
        more("per second", measured.per_second(), rate),
        less("server CPU us", measured.server_cpu_us(), cpu),
        less("p99 ms", measured.p99_ms(), 1.0),
    ])
}

/// How long, how many seconds of the server's CPU, how many megabytes.
struct Listed {
    seconds: f64,
    cpu: f64,
    mb: f64,
}

impl Listed {
    fn ms_per_mb(&self) -> f64 {
        self.cpu * 1e3 / self.mb
    }
}

async fn one_list(side: &Side, path: &str, accept: &str, encoding: &str) -> Result<Listed> {
    let session = side.session()?;
    let (cpu, begun) = (side.cpu(), Instant::now());
    let request = Request::builder().header(header::ACCEPT, accept).header(header::ACCEPT_ENCODING, encoding);
    let bytes = drain(session.send(request, path, Bytes::new()).await?).await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Listed { seconds, cpu: side.cpu().saturating_sub(cpu).as_secs_f64(), mb: bytes as f64 / 1e6 })
}

async fn repeated(side: &Side, path: &str, accept: &str, encoding: &str) -> Result<Listed> {
    let mut sum = Listed { seconds: 0.0, cpu: 0.0, mb: 0.0 };
    for _ in 0..REPEATS {
        let one = one_list(side, path, accept, encoding).await?;
        sum = Listed { seconds: sum.seconds + one.seconds, cpu: sum.cpu + one.cpu, mb: sum.mb + one.mb };
    }
    Ok(Listed { seconds: sum.seconds / REPEATS as f64, ..sum })
}

async fn list(side: &mut Side) -> Result<Vec<Figure>> {
    let collection = filled(side, "list", LIST).await?;
    side.restart().await?;
    // Other resources first, so that nothing but the list is measured.
    one_list(side, "/api/v1/namespaces", JSON, "identity").await?;
    let first = one_list(side, &collection, JSON, "identity").await?;
    let again = repeated(side, &collection, JSON, "identity").await?;
    let protobuf = one_list(side, &collection, PROTOBUF, "identity").await?;
    let protobuf_again = repeated(side, &collection, PROTOBUF, "identity").await?;
    Ok(vec![
        less("JSON first ms/MB", first.ms_per_mb(), 4.0),
        less("JSON again ms/MB", again.ms_per_mb(), 10.0),
        less("protobuf first ms/MB", protobuf.ms_per_mb(), 4.0),
        less("protobuf again ms/MB", protobuf_again.ms_per_mb(), 10.0),
    ])
}

/// Seconds beside those of the plain list; the frontend's shall be at most 1.3.
async fn gzip(side: &Side) -> Result<Vec<Figure>> {
    let collection = filled(side, "list", LIST).await?;
    one_list(side, &collection, JSON, "gzip").await?;
    let plain = repeated(side, &collection, JSON, "identity").await?;
    let packed = repeated(side, &collection, JSON, "gzip").await?;
    Ok(vec![
        less("plain s", plain.seconds, 1.0),
        less("gzip s", packed.seconds, 1.0),
        less("gzip / plain", packed.seconds / plain.seconds, 1.0),
    ])
}

async fn start(plan: &Plan, side: &mut Side) -> Result<Vec<Figure>> {
    filled(side, "large", plan.pods).await?;
    side.restart().await?;
    let ready = side.ready_after;
    tokio::time::sleep(REST).await;
    Ok(vec![less("ready s", ready.as_secs_f64(), 5.0), less("resident MB", side.resident_mb(), 4.0)])
}

async fn large_list(plan: &Plan, side: &mut Side) -> Result<Vec<Figure>> {
    let collection = filled(side, "large", plan.pods).await?;
    side.restart().await?;
    tokio::time::sleep(REST).await;
    let idle = side.resident_mb();
    let first = one_list(side, &collection, JSON, "identity").await?;
    let after = side.resident_mb();
    let begun = Instant::now();
    let all: Vec<_> = (0..AT_ONCE).map(|_| one_list(side, &collection, JSON, "identity")).collect();
    let listing = try_join_all(all);
    tokio::pin!(listing);
    let mut peak = after;
    let each = loop {
        tokio::select! {
            listed = &mut listing => break listed?,
            () = tokio::time::sleep(Duration::from_millis(20)) => peak = peak.max(side.resident_mb()),
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let mb: f64 = each.iter().map(|one| one.mb).sum();
    Ok(vec![
        less("first s", first.seconds, 4.0),
        less("first ms/MB", first.ms_per_mb(), 4.0),
        less("resident after MB", after, 4.0),
        less("8 at once s each", seconds / AT_ONCE as f64, 4.0),
        more("8 at once MB/s", mb / seconds, 4.0),
        less("over idle MB", peak - idle, 4.0),
    ])
}
