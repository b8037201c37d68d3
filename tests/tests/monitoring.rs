//! The dashboard and the alert rules under deploy/monitoring: every metric that they ask for is one that a shim tells,
//! and, where a Prometheus is installed, it takes the rules and finds data for every query of the dashboard.

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, PutOptions};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client as Http, rt::TokioExecutor};
use serde_json::Value;
use tests::{
    find_program,
    plain::PlainShim,
    process::{Process, eventually, free_port},
    skipped,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// First words of names that shims tell; anything else in an expression is a function or a label.
const PREFIXES: [&str; 4] = ["etcd_", "kine_shim_", "grpc_server_", "process_"];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/monitoring"))
}

async fn get(url: &str) -> Result<String> {
    let http = Http::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let answer = http.get(url.parse()?).await?;
    let status = answer.status();
    let text = String::from_utf8(answer.into_body().collect().await?.to_bytes().to_vec())?;
    ensure!(status.is_success(), "{url}: {status}: {text}");
    Ok(text)
}

/// The expressions of the dashboard's panels.
fn queries() -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(folder().join("kine-shim.dashboard.json"))?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    Ok(targets.filter_map(|target| target["expr"].as_str()).map(str::to_owned).collect())
}

/// The expressions of the alert rules, each on a line of its own.
fn conditions() -> Result<Vec<String>> {
    let rules = std::fs::read_to_string(folder().join("kine-shim.rules.yaml"))?;
    Ok(rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect())
}

fn metrics_in(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
}

/// A shim that has seen a little of everything.
async fn used_shim() -> Result<PlainShim> {
    let shim = PlainShim::start("memory:", &["--quota-backend-bytes=1000000000"]).await?;
    let mut client = Client::connect([&shim.url], None).await?;
    let lease = client.lease_grant(600, None).await?.id();
    let _watch = client.watch("a", None).await?;
    client.put("a", "1", Some(PutOptions::new().with_lease(lease))).await?;
    let refused = client.put("", "1", None).await;
    ensure!(refused.is_err(), "an empty key was taken");
    Ok(shim)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_is_asked_for_is_told() -> Result<()> {
    let shim = used_shim().await?;
    let page = get(&format!("{}/metrics", shim.url)).await?;
    let told: BTreeSet<&str> = page.lines().filter_map(|line| line.split([' ', '{']).next()).collect();
    let expressions = [queries()?, conditions()?].concat();
    ensure!(expressions.len() > 25, "only {} expressions were found", expressions.len());
    let missing: BTreeSet<&str> =
        expressions.iter().flat_map(|each| metrics_in(each)).filter(|name| !told.contains(name)).collect();
    ensure!(missing.is_empty(), "not told by a shim: {missing:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_takes_the_rules_and_finds_data_for_every_query() -> Result<()> {
    const CASE: &str = "a_prometheus_takes_the_rules_and_finds_data_for_every_query";
    let Some(prometheus) = find_program("PROMETHEUS", &["prometheus"]) else {
        skipped(CASE, "prometheus is not installed");
        return Ok(());
    };
    let shim = used_shim().await?;
    let dir = tempfile::tempdir()?;
    let rules = folder().join("kine-shim.rules.yaml").canonicalize()?;
    let target = shim.url.trim_start_matches("http://");
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\n\
         scrape_configs: [{{job_name: kine-shim, static_configs: [{{targets: [{target:?}]}}]}}]\n"
    );
    let file = dir.path().join("prometheus.yml");
    std::fs::write(&file, config)?;
    if let Some(promtool) = find_program("PROMTOOL", &["promtool"]) {
        let checked = Command::new(promtool).args(["check", "config"]).arg(&file).output()?;
        ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
    let address = format!("127.0.0.1:{}", free_port()?);
    let args = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", dir.path().join("data").display()),
        format!("--web.listen-address={address}"),
    ];
    let mut running = Process::start("prometheus", &prometheus, args.to_vec(), dir.path().join("log"))?;
    for query in queries()?.into_iter().map(|query| query.replace("$__rate_interval", "10s")) {
        let found = eventually(&query, PATIENCE, async || {
            running_query(&address, &query).await.and_then(|series| {
                ensure!(series > 0, "no series");
                Ok(())
            })
        });
        found.await.with_context(|| running.output())?;
    }
    running.check_alive()?;
    let alerts: Value = serde_json::from_str(&get(&format!("http://{address}/api/v1/rules")).await?)?;
    let rules = alerts["data"]["groups"][0]["rules"].as_array().context("no rules")?;
    ensure!(rules.len() == conditions()?.len(), "{} rules are loaded", rules.len());
    for rule in rules {
        ensure!(rule["health"] != "err", "{}", rule["lastError"]);
        ensure!(rule["state"] == "inactive", "{} is {}", rule["name"], rule["state"]);
    }
    Ok(())
}

/// How many series a query has now.
async fn running_query(address: &str, query: &str) -> Result<usize> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer: Value = serde_json::from_str(&get(&format!("http://{address}/api/v1/query?query={encoded}")).await?)?;
    Ok(answer["data"]["result"].as_array().map_or(0, Vec::len))
}
