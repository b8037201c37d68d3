//! More than the database takes: latency grows, then clients are told so at once; memory stays bounded, readiness says
//! so, and all is as before when the database is.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use proto::etcdserverpb::{PutRequest, RangeRequest, kv_client::KvClient};
use tests::{
    faults::{Proxy, Rule},
    plain::PlainShim,
    postgres,
    process::eventually,
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

const PATIENCE: Duration = Duration::from_secs(10);
/// What a shim may use beside its data and what waits.
const RESIDENT_MAX: f64 = 600e6;

struct Overloaded {
    proxy: Proxy,
    shim: PlainShim,
    channels: Vec<Channel>,
}

impl Overloaded {
    async fn start(case: &str) -> Result<Option<Self>> {
        let Some(postgres) = postgres::shared(case) else { return Ok(None) };
        let database = postgres.database().await?;
        let proxy = Proxy::start(postgres.port()).await?;
        let through = database.replace(&postgres.port().to_string(), &proxy.port().to_string());
        let shim = PlainShim::start(&format!("{through}?sslmode=disable"), &[]).await?;
        let mut channels = Vec::new();
        for _ in 0..4 {
            channels.push(Endpoint::from_shared(shim.url.clone())?.connect().await?);
        }
        let overloaded = Self { proxy, shim, channels };
        overloaded.puts(1, 10).await;
        Ok(Some(overloaded))
    }

    /// All at once; each with how long it took.
    async fn puts(&self, count: usize, bytes: usize) -> Vec<(Result<(), Status>, Duration)> {
        let value = bytes::Bytes::from(vec![b'v'; bytes]);
        let put = |number: usize| {
            let mut kv = KvClient::new(self.channels[number % self.channels.len()].clone());
            let value = value.clone();
            async move {
                let (begun, key) = (Instant::now(), format!("/overload/{}", number % 50));
                let request = PutRequest { key: key.into(), value, ..Default::default() };
                (kv.put(request).await.map(drop), begun.elapsed())
            }
        };
        join_all((0..count).map(put)).await
    }

    async fn page(&self, path: &str) -> Result<(u16, String)> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
        let answer = client.get(format!("{}{path}", self.shim.url).parse()?).await?;
        let status = answer.status().as_u16();
        Ok((status, String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes()).into_owned()))
    }

    async fn resident(&self) -> Result<f64> {
        let (_, metrics) = self.page("/metrics").await?;
        let sample = metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        Ok(sample.context("no such metric")?.parse()?)
    }

    /// As quick as before.
    async fn recovers(&self) -> Result<()> {
        eventually("a quick put", PATIENCE, || async {
            let one = self.puts(1, 10).await.pop().context("no answer")?;
            one.0?;
            ensure!(one.1 < Duration::from_millis(500), "{:?}", one.1);
            ensure!(self.page("/readyz").await?.0 == 200);
            Ok(())
        })
        .await
    }
}

fn refused(answers: &[(Result<(), Status>, Duration)]) -> Vec<Duration> {
    let is_refused = |status: &Status| {
        status.code() == Code::ResourceExhausted && status.message() == "etcdserver: too many requests"
    };
    answers.iter().filter(|(answer, _)| answer.as_ref().is_err_and(is_refused)).map(|(_, took)| *took).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_makes_writes_slow_and_too_many_of_them_refused() -> Result<()> {
    let Some(overloaded) = Overloaded::start("a_slow_database_makes_writes_slow").await? else { return Ok(()) };
    overloaded.proxy.set(Rule::Delay(Duration::from_millis(50)));
    let few = overloaded.puts(20, 100).await;
    ensure!(few.iter().all(|(answer, _)| answer.is_ok()), "{few:?}");
    let many = overloaded.puts(20_000, 100).await;
    let (done, refusals) = (many.iter().filter(|(answer, _)| answer.is_ok()).count(), refused(&many));
    println!("{done} of {} done, {} refused", many.len(), refusals.len());
    ensure!(done > 0 && !refusals.is_empty());
    ensure!(done + refusals.len() == many.len(), "some were told something else");
    overloaded.proxy.set(Rule::Pass);
    overloaded.recovers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_database_costs_no_memory_and_is_told_of() -> Result<()> {
    let Some(overloaded) = Overloaded::start("a_silent_database_costs_no_memory").await? else { return Ok(()) };
    overloaded.proxy.set(Rule::Hold);
    let asked = Instant::now();
    let told = async {
        eventually("an answer of /readyz", Duration::from_secs(2), || async {
            let (status, page) = overloaded.page("/readyz").await?;
            ensure!(status == 503 && page.contains("[-]linearizable_read failed"), "{status} {page}");
            Ok(())
        })
        .await?;
        anyhow::Ok(asked.elapsed())
    };
    let (many, told) = tokio::join!(overloaded.puts(600, 1 << 20), told);
    let (told, refusals) = (told?, refused(&many));
    println!("/readyz told it after {told:?}; {} of {} refused", refusals.len(), many.len());
    ensure!(told < Duration::from_secs(3), "{told:?}");
    ensure!(refusals.len() > 300, "only {} refused", refusals.len());
    let resident = overloaded.resident().await?;
    ensure!(resident < RESIDENT_MAX, "{resident} bytes resident");
    let (status, _) = overloaded.page("/livez").await?;
    ensure!(status == 200, "alive all the same");
    overloaded.proxy.set(Rule::Pass);
    overloaded.recovers().await?;
    let mut kv = KvClient::new(overloaded.channels[0].clone());
    kv.range(RangeRequest { key: "/overload/0".into(), ..Default::default() }).await?;
    Ok(())
}
