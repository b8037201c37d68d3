//! The original's whole control plane on two shims: kube-apiserver, controller-manager and scheduler (named by the
//! variables KUBE_APISERVER, KUBE_CONTROLLER_MANAGER and KUBE_SCHEDULER) work off a load of deployments for
//! SOAK_SECONDS (60 unless told), while the API server compacts. Shown: the work gets done to the end, no watch cache
//! starts over, none differs from the store.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    cluster::{Cluster, Spec},
    postgres,
    process::{Process, eventually, free_port},
    rest::Rest,
    skipped,
};

const NODES: usize = 3;
const REPLICAS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);
const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

#[tokio::test(flavor = "multi_thread")]
async fn a_real_control_plane_works_on_two_shims() -> Result<()> {
    let case = "a_real_control_plane_works_on_two_shims";
    let mut programs = Vec::new();
    for variable in ["KUBE_APISERVER", "KUBE_CONTROLLER_MANAGER", "KUBE_SCHEDULER"] {
        let Some(program) = std::env::var_os(variable) else {
            skipped(case, &format!("{variable} names no program"));
            return Ok(());
        };
        programs.push(PathBuf::from(program));
    }
    let Some(postgres) = postgres::shared(case) else { return Ok(()) };
    let seconds = std::env::var("SOAK_SECONDS").ok().map_or(Ok(60), |text| text.parse())?;

    let endpoint = Some(postgres.database().await?);
    let mut cluster = Cluster::start(Spec { endpoint, shims: 2, frontends: 0 }).await?;
    cluster.start_api_server(&programs[0]).await.context("the API server on two shims")?;
    let server = Rest::new(cluster.admin_client()?, vec![cluster.frontends[0].url.clone()]);
    let mut workers = Vec::new();
    for (name, program) in [("controller-manager", &programs[1]), ("scheduler", &programs[2])] {
        let args = worker_args(&cluster, name)?;
        workers.push(Process::start(name, program, args, cluster.path(&format!("{name}.log")))?);
    }
    eventually("the default service account", PATIENCE, || async {
        server.must(Method::GET, "/api/v1/namespaces/default/serviceaccounts/default", None).await
    })
    .await?;
    for node in 0..NODES {
        add_node(&server, node).await?;
    }

    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let (mut rounds, mut warm, mut told) = (0, None, Instant::now());
    while Instant::now() < until || warm.is_none() {
        for node in 0..NODES {
            renew(&server, node).await?;
        }
        round(&server, rounds).await.with_context(|| format!("round {rounds}"))?;
        rounds += 1;
        for worker in workers.iter_mut().chain(cluster.shims.iter_mut().map(|shim| &mut shim.process)) {
            worker.check_alive()?;
        }
        // The first rounds touch every kind that the load makes.
        if rounds == 3 {
            warm = Some(metrics(&server).await?);
        }
        if told.elapsed() > Duration::from_secs(60) {
            told = Instant::now();
            println!(
                "{} of {seconds} s, {rounds} rounds, {}",
                started.elapsed().as_secs(),
                summary(&metrics(&server).await?)
            );
        }
    }
    let (first, last) = (warm.context("no warm-up")?, metrics(&server).await?);
    println!("{rounds} rounds in {} s, {}", started.elapsed().as_secs(), summary(&last));
    compare(&first, &last)
}

fn worker_args(cluster: &Cluster, name: &str) -> Result<Vec<String>> {
    let kubeconfig = cluster.frontends[0].kubeconfig.display();
    let mut args = vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", free_port()?),
        "--leader-elect=true".to_owned(),
    ];
    if name == "controller-manager" {
        args.push(format!("--service-account-private-key-file={}", cluster.path("pki/accounts.key").display()));
        args.push(format!("--root-ca-file={}", cluster.path("pki/ca.crt").display()));
        args.push("--use-service-account-credentials=true".to_owned());
    }
    Ok(args)
}

/// A node as a kubelet would report it.
async fn add_node(server: &Rest, number: usize) -> Result<()> {
    let name = format!("node-{number}");
    let resources = json!({"cpu": "64", "memory": "256Gi", "pods": "1000"});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    let mut node = server.must(Method::POST, "/api/v1/nodes", Some(&node)).await?;
    let now = now();
    node["status"] = json!({
        "capacity": resources, "allocatable": resources,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
            "lastHeartbeatTime": now, "lastTransitionTime": now}],
    });
    let path = format!("/api/v1/nodes/{name}/status");
    let patch = json!({"status": node["status"]});
    server.must(Method::PATCH, &path, Some(&patch)).await?;
    Ok(())
}

/// A kubelet's sign of life.
async fn renew(server: &Rest, number: usize) -> Result<()> {
    let name = format!("node-{number}");
    let spec = json!({"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micro_now()});
    let patch = json!({"spec": spec});
    let (status, answer) = server.once(Method::PATCH, &format!("{LEASES}/{name}"), Some(&patch)).await?;
    if status != StatusCode::NOT_FOUND {
        ensure!(status.is_success(), "renewing {name}: {status} {answer}");
        return Ok(());
    }
    let lease =
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec});
    server.must(Method::POST, LEASES, Some(&lease)).await?;
    Ok(())
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn micro_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Creates a deployment, waits until its pods are scheduled, scales it, deletes it, waits until all is collected.
async fn round(server: &Rest, number: usize) -> Result<()> {
    let name = format!("load-{number}");
    let labels = json!({"app": name});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "none"}]},
        }},
    });
    server.must(Method::POST, DEPLOYMENTS, Some(&deployment)).await?;
    scheduled(server, &name, REPLICAS).await?;
    let path = format!("{DEPLOYMENTS}/{name}");
    server.must(Method::PATCH, &path, Some(&json!({"spec": {"replicas": REPLICAS * 2}}))).await?;
    scheduled(server, &name, REPLICAS * 2).await?;
    server.must(Method::DELETE, &format!("{path}?propagationPolicy=Foreground"), None).await?;
    eventually("the deployment and its pods are collected", PATIENCE, || async {
        let (status, _) = server.once(Method::GET, &path, None).await?;
        ensure!(status == StatusCode::NOT_FOUND, "the deployment is still there: {status}");
        let left = pods(server, &name).await?.len();
        ensure!(left == 0, "{left} pods are left");
        Ok(())
    })
    .await
}

async fn scheduled(server: &Rest, name: &str, count: usize) -> Result<()> {
    eventually("all pods are scheduled", PATIENCE, || async {
        let pods = pods(server, name).await?;
        let bound = pods.iter().filter(|pod| pod["spec"]["nodeName"].is_string()).count();
        ensure!(pods.len() == count && bound == count, "{bound} of {} pods are bound, {count} wanted", pods.len());
        Ok(())
    })
    .await
}

async fn pods(server: &Rest, name: &str) -> Result<Vec<Value>> {
    let mut list = server.must(Method::GET, &format!("{PODS}?labelSelector=app%3D{name}"), None).await?;
    Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

/// Sample name with labels -> value.
async fn metrics(server: &Rest) -> Result<BTreeMap<String, f64>> {
    let (status, text) = server.once(Method::GET, "/metrics", None).await?;
    ensure!(status.is_success(), "/metrics: {status}");
    let lines = text.as_str().context("/metrics is no text")?.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(n, v)| Some((n.to_owned(), v.parse().ok()?)))
        .collect())
}

fn sum(metrics: &BTreeMap<String, f64>, family: &str, label: &str) -> f64 {
    let is_in = |name: &str| name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
    metrics.iter().filter(|(name, _)| is_in(name) && name.contains(label)).fold(0.0, |sum, (_, value)| sum + value)
}

const STARTS: &str = "apiserver_watch_cache_initializations_total";
const CHECKS: &str = "apiserver_storage_consistency_checks_total";

fn summary(metrics: &BTreeMap<String, f64>) -> String {
    let figures = [
        ("cache starts", sum(metrics, STARTS, "")),
        ("checks passed", sum(metrics, CHECKS, "status=\"success\"")),
        ("failed", sum(metrics, CHECKS, "status=\"failure\"")),
        ("etcd requests", sum(metrics, "etcd_requests_total", "")),
        ("etcd errors", sum(metrics, "etcd_request_errors_total", "")),
        ("events", sum(metrics, "apiserver_watch_cache_events_received_total", "")),
        ("watchers terminated", sum(metrics, "apiserver_terminated_watchers_total", "")),
        ("database bytes", sum(metrics, "apiserver_storage_size_bytes", "")),
    ];
    figures.map(|(name, value)| format!("{name} {value}")).join(", ")
}

fn compare(first: &BTreeMap<String, f64>, last: &BTreeMap<String, f64>) -> Result<()> {
    let again: Vec<_> = last
        .iter()
        .filter(|(name, value)| name.starts_with(STARTS) && first.get(*name).is_some_and(|before| before != *value))
        .collect();
    ensure!(again.is_empty(), "watch caches started over: {again:?}");
    let failed = sum(last, CHECKS, "status=\"failure\"");
    ensure!(failed == 0.0, "{failed} watch caches differed from the store");
    ensure!(sum(last, "apiserver_storage_size_bytes", "") > 0.0, "the size of the database is not told");
    ensure!(
        sum(last, "etcd_requests_total", "") > sum(first, "etcd_requests_total", ""),
        "etcd requests are not counted"
    );
    Ok(())
}
