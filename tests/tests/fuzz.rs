//! A shim under bytes that nobody meant to send: as messages on every method, as mutations of recorded requests, as raw
//! bytes on the port, and in connections that stop halfway. It goes on answering others, and nothing in it panics.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use proto::etcdserverpb as pb;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use tests::{
    differ::{
        compare::METHODS,
        player::Player,
        recording::{self, Kind, Step},
    },
    plain::PlainShim,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::Code;

/// Or what SECONDS says.
const SECONDS: u64 = 5;
/// Calls that wait (a lock, a watch) are given up after this.
const CALL_WITHIN: Duration = Duration::from_millis(300);
/// The others' calls, on a machine that runs other tests as well.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const HALF_OPEN_MAX: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_nobody_meant_harm_nobody_else() -> Result<()> {
    let named = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let (seed, duration) =
        (named("SEED").unwrap_or_else(rand::random), Duration::from_secs(named("SECONDS").unwrap_or(SECONDS)));
    println!("SEED={seed}");
    let mut shim = PlainShim::start("memory:", &[]).await?;
    let url = shim.url.clone();
    Player::connect(&url).await?.ensure_fresh().await?;
    let port: u16 = url.rsplit(':').next().context("no port")?.parse()?;

    let until = Instant::now() + duration;
    let samples = Arc::new(samples()?);
    let sent = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..6)
        .map(|n| tokio::spawn(call(url.clone(), StdRng::seed_from_u64(seed ^ n), samples.clone(), sent.clone(), until)))
        .collect();
    let raw = tokio::spawn(connect(port, StdRng::seed_from_u64(!seed), until));
    let other = tokio::spawn(ask(url.clone(), until));
    for caller in callers {
        caller.await??;
    }
    let (connections, answers) = (raw.await??, other.await?.context("somebody else got no answer")?);
    println!("{} calls, {connections} connections, {answers} answers to others", sent.load(Ordering::Relaxed));

    shim.process.check_alive()?;
    ensure!(!shim.process.output().contains("panicked"), "{}", shim.process.output());
    Ok(())
}

/// Recorded requests, but for those that would rightly shut others out.
fn samples() -> Result<Vec<Step>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut samples = Vec::new();
    for name in ["kv", "txn", "lease", "watch", "operator"] {
        let exchanges = recording::load(&data.join(format!("{name}.rec")))?;
        samples.extend(exchanges.into_iter().map(|exchange| exchange.step).take(500));
    }
    samples.retain(|step| !step.body.is_empty() && step.body.len() < 10_000);
    Ok(samples)
}

async fn call(
    url: String,
    mut rng: StdRng,
    samples: Arc<Vec<Step>>,
    sent: Arc<AtomicUsize>,
    until: Instant,
) -> Result<()> {
    let mut player = Player::connect(&url).await?;
    let is_harmless = |path: &&str| !path.ends_with("/AuthEnable") && !path.ends_with("/Alarm");
    let paths: Vec<_> = METHODS.iter().map(|(path, ..)| *path).filter(is_harmless).collect();
    while Instant::now() < until {
        let sample = &samples[rng.random_range(0..samples.len())];
        let (path, body) = match rng.random_range(0..3) {
            0 => (paths[rng.random_range(0..paths.len())].to_owned(), noise(&mut rng, 200)),
            1 => (paths[rng.random_range(0..paths.len())].to_owned(), mutated(&mut rng, &sample.body)),
            _ => (sample.path.clone(), mutated(&mut rng, &sample.body)),
        };
        let kind = if rng.random_range(0..4) == 0 { Kind::First } else { Kind::Unary };
        let step = Step { kind: kind.into(), path, body, ..Step::default() };
        let played = tokio::time::timeout(CALL_WITHIN, player.play(&step)).await;
        sent.fetch_add(1, Ordering::Relaxed);
        if let Ok(Err(error)) = played {
            // A connection may end over what was sent on it; the next one must be served.
            player = Player::connect(&url).await.with_context(|| format!("after {step:?}: {error:#}"))?;
        }
    }
    Ok(())
}

fn noise(rng: &mut StdRng, most: usize) -> Bytes {
    let mut bytes = vec![0; rng.random_range(0..most)];
    rng.fill_bytes(&mut bytes);
    bytes.into()
}

/// A few bytes changed, cut out, doubled or put in.
fn mutated(rng: &mut StdRng, body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..4) {
            0 if at < bytes.len() => bytes[at] = rng.random(),
            1 => bytes.truncate(at),
            2 => bytes.extend_from_within(at..),
            _ => bytes.insert(at, rng.random()),
        }
    }
    bytes.into()
}

/// Raw bytes, with HTTP/2's preface or without; some connections stay open and say nothing more.
async fn connect(port: u16, mut rng: StdRng, until: Instant) -> Result<usize> {
    let (mut kept, mut count) = (Vec::new(), 0);
    while Instant::now() < until {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let preface: &[u8] = match rng.random_range(0..4) {
            0 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            1 => b"POST /v3/kv/range HTTP/1.1\r\ncontent-length: 1000\r\n\r\n{",
            2 => b"GET /health HTT",
            _ => b"",
        };
        let bytes = [preface, &noise(&mut rng, 2_000)].concat();
        // The other side may have hung up already.
        let _ = stream.write_all(&bytes).await;
        if kept.len() < HALF_OPEN_MAX {
            kept.push(stream);
        }
        count += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(count)
}

/// What somebody else asks meanwhile is answered: with a value, or with a refusal that the noise brought about.
async fn ask(url: String, until: Instant) -> Result<usize> {
    let mut answers = 0;
    while Instant::now() < until {
        let mut kv = pb::kv_client::KvClient::connect(url.clone()).await?;
        let put = pb::PutRequest { key: "other".into(), value: "1".into(), ..Default::default() };
        let get = pb::RangeRequest { key: "other".into(), ..Default::default() };
        let put = tokio::time::timeout(ANSWER_WITHIN, kv.put(put)).await.context("a put")?.map(drop);
        let get = tokio::time::timeout(ANSWER_WITHIN, kv.range(get)).await.context("a get")?.map(drop);
        for status in [put, get].into_iter().filter_map(Result::err) {
            ensure!(!matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal), "{status}");
        }
        answers += 2;
    }
    Ok(answers)
}
