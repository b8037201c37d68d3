//! A thousand CustomResourceDefinitions, as a large installation of operators has them: how long until all are served,
//! what each costs in memory, and what other requests feel of it. Prints figures; run it by name.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::{Map, Value, json};
use tests::{
    cluster::{Cluster, Spec},
    process::eventually,
    rest::Rest,
};

const DEFINITIONS: usize = 1000;
/// Ten to a group.
const GROUPS: usize = DEFINITIONS / 10;
/// Applied at a time.
const AT_ONCE: usize = 8;
const FIELDS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(120);

fn definition(number: usize) -> Value {
    let group = format!("g{}.example.com", number % GROUPS);
    let mut fields = Map::new();
    for field in 0..FIELDS {
        let text =
            json!({"type": "string", "description": format!("What the field {field} of the kind {number} says.")});
        fields.insert(format!("field{field}"), text);
    }
    let spec = json!({"type": "object", "properties": fields});
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": spec}}}})
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things{number}.{group}")},
        "spec": {"group": group, "scope": "Namespaced",
            "names": {"plural": format!("things{number}"), "kind": format!("Thing{number}")},
            "versions": [version("v1", true), version("v1beta1", false)]},
    })
}

fn resident_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}

/// Reads a namespace over and over until told to stop.
async fn probe(rest: Rest, stop: tokio_util::sync::CancellationToken) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while !stop.is_cancelled() {
        let begun = Instant::now();
        rest.must(Method::GET, "/api/v1/namespaces/default", None).await?;
        times.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(times)
}

async fn probe_for(rest: &Rest, time: Duration) -> Result<Vec<Duration>> {
    let stop = tokio_util::sync::CancellationToken::new();
    let probing = tokio::spawn(probe(rest.clone(), stop.clone()));
    tokio::time::sleep(time).await;
    stop.cancel();
    probing.await?
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures; takes its time"]
async fn a_thousand_definitions_are_served_and_others_hardly_notice() -> Result<()> {
    let cluster = Cluster::start(Spec { endpoint: Some("memory:".to_owned()), shims: 1, frontends: 1 }).await?;
    let frontend = &cluster.frontends[0];
    let rest = Rest::new(cluster.admin_client()?, vec![frontend.url.clone()]);
    let quiet = p99(probe_for(&rest, Duration::from_secs(3)).await?);
    let before = resident_kib(frontend.process.id())?;

    let stop = tokio_util::sync::CancellationToken::new();
    let probing = tokio::spawn(probe(rest.clone(), stop.clone()));
    let begun = Instant::now();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let made = stream::iter(0..DEFINITIONS).map(|number| {
        let rest = rest.clone();
        async move { rest.must(Method::POST, path, Some(&definition(number))).await.map(drop) }
    });
    made.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let applied = begun.elapsed();
    eventually("all are served", PATIENCE, || async {
        for number in (0..DEFINITIONS).rev().take(GROUPS) {
            let group = format!("g{}.example.com", number % GROUPS);
            let list = rest.must(Method::GET, &format!("/apis/{group}/v1"), None).await?;
            // Each has its status beside it.
            let count = list["resources"].as_array().map_or(0, Vec::len);
            ensure!(count == 2 * DEFINITIONS / GROUPS, "{group} has {count}");
        }
        Ok(())
    })
    .await?;
    let served = begun.elapsed();
    stop.cancel();
    let loaded = p99(probing.await??);
    let after_load = p99(probe_for(&rest, Duration::from_secs(3)).await?);
    let each = (resident_kib(frontend.process.id())?.saturating_sub(before)) / DEFINITIONS as u64;
    println!("{DEFINITIONS} definitions: applied in {applied:.1?}, served after {served:.1?}, {each} KiB each");
    println!("p99 of another read: {quiet:.1?} before, {loaded:.1?} meanwhile, {after_load:.1?} after");
    Ok(())
}
