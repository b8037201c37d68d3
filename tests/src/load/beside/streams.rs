//! Works with many watchers: one event to all of them, and all of them coming back after a restart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::{
    Plan,
    figures::{Figure, less},
    servers::{JSON, Session, Side},
    works::filled,
};

/// Watches of one connection, as a node's agents hold.
const WATCHES_PER_SESSION: usize = 20;
const EVENTS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
const PODS: usize = 1000;

/// Sends the moment at which a line with the mark came.
async fn follow(mut body: Incoming, seen: mpsc::Sender<Instant>) -> Result<()> {
    let mut last = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let Some(data) = frame.data_ref() else { continue };
        // Every event ends a line; what stands in it is of no interest here.
        let lines = data.iter().filter(|byte| **byte == b'\n').count();
        for _ in 0..lines {
            last += 1;
            if seen.send(Instant::now()).await.is_err() {
                return Ok(());
            }
        }
    }
    ensure!(last > 0, "a watch ended without an event");
    Ok(())
}

async fn revision(session: &Session, collection: &str) -> Result<String> {
    let list: serde_json::Value = serde_json::from_slice(&session.get(&format!("{collection}?limit=1"), JSON).await?)?;
    Ok(list["metadata"]["resourceVersion"].as_str().context("no revision")?.to_owned())
}

async fn touch(session: &Session, collection: &str) -> Result<()> {
    let mark: u64 = rand::random();
    let body = Bytes::from(json!({"metadata": {"annotations": {"mark": mark.to_string()}}}).to_string());
    session.must(Method::PATCH, &format!("{collection}/pod-00000"), "application/merge-patch+json", body).await?;
    Ok(())
}

async fn arrivals(seen: &mut mpsc::Receiver<Instant>, count: usize) -> Result<Vec<Instant>> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        all.push(timeout(PATIENCE, seen.recv()).await.context("an event did not come")?.context("all watches ended")?);
    }
    Ok(all)
}

fn path(collection: &str, revision: &str) -> String {
    format!("{collection}?watch=1&resourceVersion={revision}&timeoutSeconds=600")
}

pub(super) async fn watch(plan: &Plan, side: &Side) -> Result<Vec<Figure>> {
    let collection = filled(side, "load", PODS).await?;
    let session = side.session()?;
    let at = path(&collection, &revision(&session, &collection).await?);
    let (sender, mut seen) = mpsc::channel(plan.watchers * 2);
    let sessions =
        (0..plan.watchers.div_ceil(WATCHES_PER_SESSION)).map(|_| side.session()).collect::<Result<Vec<_>>>()?;
    let opened = (0..plan.watchers).map(|n| sessions[n % sessions.len()].ask(Method::GET, &at, JSON, Bytes::new()));
    let following: Vec<_> = try_join_all(opened)
        .await?
        .into_iter()
        .map(|response| tokio::spawn(follow(response.into_body(), sender.clone())))
        .collect();
    let mut lags = Vec::new();
    // The first is for warming up.
    let mut cpu = side.cpu();
    for event in 0..=EVENTS {
        if event == 1 {
            (cpu, lags) = (side.cpu(), Vec::new());
        }
        let begun = Instant::now();
        touch(&session, &collection).await?;
        lags.extend(arrivals(&mut seen, plan.watchers).await?.into_iter().map(|at| at - begun));
    }
    let cpu = side.cpu().saturating_sub(cpu);
    following.iter().for_each(|task| task.abort());
    lags.sort_unstable();
    let p99 = lags[(lags.len() - 1) * 99 / 100];
    Ok(vec![
        less("server CPU us each", cpu.as_secs_f64() * 1e6 / lags.len() as f64, 5.0),
        less("lag p99 ms", p99.as_secs_f64() * 1e3, 4.0),
    ])
}

/// Watchers that saw everything before the server went, and come back all at once with what they saw last.
pub(super) async fn reconnect(plan: &Plan, side: &mut Side) -> Result<Vec<Figure>> {
    let watchers = plan.watchers / 2;
    let collection = filled(side, "load", PODS).await?;
    let session = side.session()?;
    let at = path(&collection, &revision(&session, &collection).await?);
    side.restart().await?;
    let begun = Instant::now();
    let session = side.session()?;
    let sessions = (0..watchers.div_ceil(WATCHES_PER_SESSION)).map(|_| side.session()).collect::<Result<Vec<_>>>()?;
    let refused = Arc::new(AtomicUsize::new(0));
    let opened = (0..watchers).map(|n| {
        let (session, at, refused, collection) = (&sessions[n % sessions.len()], &at, &refused, &collection);
        async move {
            // A refusal of any kind makes a client list again.
            loop {
                match session.ask(Method::GET, at, JSON, Bytes::new()).await {
                    Ok(response) => return anyhow::Ok(response),
                    Err(_) => {
                        refused.fetch_add(1, Ordering::Relaxed);
                        session.must(Method::GET, collection, JSON, Bytes::new()).await?;
                    }
                }
            }
        }
    });
    let (sender, mut seen) = mpsc::channel(plan.watchers * 2);
    let responses = try_join_all(opened).await?;
    let following: Vec<_> =
        responses.into_iter().map(|response| tokio::spawn(follow(response.into_body(), sender.clone()))).collect();
    touch(&session, &collection).await?;
    arrivals(&mut seen, watchers).await?;
    let caught_up = begun.elapsed();
    following.iter().for_each(|task| task.abort());
    let relists = refused.load(Ordering::Relaxed) as f64;
    Ok(vec![less("caught up s", caught_up.as_secs_f64(), 4.0), less("relists", relists, 1.0)])
}
