//! Beside the original: a real kube-apiserver (the variable KUBE_APISERVER names it) and our frontend share our shims.
//! Each reads what the other stored, byte for byte.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use proto::{
    etcdserverpb::{RangeRequest, kv_client::KvClient},
    mvccpb::KeyValue,
};
use serde_json::Value;
use tests::{
    cluster::{Cluster, Spec},
    kubectl::Kubectl,
    postgres,
    rest::Rest,
    skipped,
};
use tonic::transport::Channel;

const OBJECTS: &str = include_str!("objects.yaml");

/// Kinds that change by themselves or have no plain read.
const RESTLESS: [&str; 3] = ["leases", "events", "componentstatuses"];

#[tokio::test(flavor = "multi_thread")]
async fn a_real_kube_apiserver_and_the_frontend_share_the_shims() -> Result<()> {
    let case = "a_real_kube_apiserver_and_the_frontend_share_the_shims";
    let Some(original) = std::env::var_os("KUBE_APISERVER").map(PathBuf::from) else {
        skipped(case, "KUBE_APISERVER names no kube-apiserver");
        return Ok(());
    };
    let (Some(kubectl), Some(postgres)) = (Kubectl::find(case), postgres::shared(case)) else { return Ok(()) };
    let endpoint = Some(postgres.database().await?);
    let mut cluster = Cluster::start(Spec { endpoint, shims: 2, frontends: 0 }).await?;
    cluster.start_api_server(&original).await.context("the original starts on our shims and becomes ready")?;
    cluster.start_api_server(&tests::process::own_program("frontend")?).await.context("our frontend beside it")?;
    let client = cluster.admin_client()?;
    let [theirs, ours] = [0, 1].map(|n: usize| Rest::new(client.clone(), vec![cluster.frontends[n].url.clone()]));

    for (number, namespace) in ["by-original", "by-frontend"].into_iter().enumerate() {
        let home = cluster.path(&format!("home-{number}"));
        let kubectl = Kubectl::new(&kubectl, &cluster.frontends[number].kubeconfig, home);
        kubectl.run(&["create", "namespace", namespace])?;
        // The cluster-scoped ones would meet: each server makes its own.
        let objects = OBJECTS.replace("case-", &format!("{namespace}-"));
        kubectl.run_with(&["apply", "-n", namespace, "-f", "-"], &objects)?;
    }

    let mut kv = KvClient::new(cluster.channel(1).await?);
    let paths = every_object(&theirs).await?;
    println!("{} objects", paths.len());
    let mut wrong = Vec::new();
    for path in &paths {
        let (one, other) = (theirs.must(Method::GET, path, None).await?, ours.once(Method::GET, path, None).await?);
        if other.0 != StatusCode::OK || other.1 != one {
            wrong.push(format!("{path}: the original reads {one}\n  the frontend {} {}", other.0, other.1));
        }
    }
    ensure!(wrong.is_empty(), "{} of {} objects read differently:\n{}", wrong.len(), paths.len(), wrong.join("\n"));

    // What the original itself rewrites: defaults that it applies to what it reads, but had not stored, and what an
    // admission plugin (of tolerations) adds to a pod that came without.
    let rewritten = no_op_writes(&theirs, &paths, &mut kv).await.context("through the original")?;
    let known = ["/registry/jobs/", "/registry/persistentvolumeclaims/", "/registry/pods/by-frontend/"];
    let unknown: Vec<_> = rewritten.iter().filter(|change| !known.iter().any(|key| change.starts_with(key))).collect();
    ensure!(unknown.is_empty(), "a no-op write through the original changed {unknown:?}");
    for (name, server) in [("the frontend", &ours), ("the original", &theirs)] {
        let changed = no_op_writes(server, &paths, &mut kv).await.with_context(|| format!("through {name}"))?;
        ensure!(changed.is_empty(), "a no-op write through {name} changed\n{}", changed.join("\n"));
    }
    Ok(())
}

/// The path of every object that a server lists, restless kinds aside.
async fn every_object(server: &Rest) -> Result<Vec<String>> {
    let groups = server.must(Method::GET, "/apis", None).await?;
    let mut versions = vec!["/api/v1".to_owned()];
    for group in groups["groups"].as_array().context("no groups")? {
        let preferred = &group["preferredVersion"]["groupVersion"];
        versions.push(format!("/apis/{}", preferred.as_str().context("no version")?));
    }
    let mut paths = Vec::new();
    for version in versions {
        let resources = server.must(Method::GET, &version, None).await?;
        for resource in resources["resources"].as_array().context("no resources")? {
            let name = resource["name"].as_str().unwrap_or_default();
            let verbs = resource["verbs"].as_array().map(Vec::as_slice).unwrap_or_default();
            if !verbs.contains(&"list".into()) || !verbs.contains(&"update".into()) || RESTLESS.contains(&name) {
                continue;
            }
            let list = server.must(Method::GET, &format!("{version}/{name}"), None).await?;
            for item in list["items"].as_array().context("no items")? {
                paths.push(path_of(&version, name, &item["metadata"])?);
            }
        }
    }
    Ok(paths)
}

fn path_of(version: &str, resource: &str, metadata: &Value) -> Result<String> {
    let name = metadata["name"].as_str().context("no name")?;
    Ok(match metadata["namespace"].as_str() {
        Some(namespace) => format!("{version}/namespaces/{namespace}/{resource}/{name}"),
        None => format!("{version}/{resource}/{name}"),
    })
}

/// Puts every object back as it was read; what changed in the store by that.
async fn no_op_writes(server: &Rest, paths: &[String], kv: &mut KvClient<Channel>) -> Result<Vec<String>> {
    let before = stored(kv).await?;
    let mut refused = Vec::new();
    for path in paths {
        let object = server.must(Method::GET, path, None).await?;
        let (status, answer) = server.once(Method::PUT, path, Some(&object)).await?;
        if !status.is_success() {
            refused.push(format!("{path}: {status} {}", answer["message"]));
        }
    }
    ensure!(refused.is_empty(), "no-op writes were refused:\n{}", refused.join("\n"));
    let after = stored(kv).await?;
    let changed = before.iter().filter(|(key, kv)| after.get(*key) != Some(*kv)).map(|(key, kv)| {
        let new = after.get(key).map(|kv| kv.value.escape_ascii().to_string());
        format!("{}\n  was {}\n  is {}", key.escape_ascii(), kv.value.escape_ascii(), new.unwrap_or_default())
    });
    Ok(changed.collect())
}

/// Everything under the prefix as it stands in the store, restless keys aside.
async fn stored(kv: &mut KvClient<Channel>) -> Result<BTreeMap<Bytes, KeyValue>> {
    let request = RangeRequest { key: "/registry/".into(), range_end: "/registry0".into(), ..Default::default() };
    let kvs = kv.range(request).await?.into_inner().kvs;
    let restless = ["/registry/leases/", "/registry/events/", "/registry/masterleases/"];
    let steady = |key: &Bytes| !restless.iter().any(|prefix| key.starts_with(prefix.as_bytes()));
    Ok(kvs.into_iter().filter(|kv| steady(&kv.key)).map(|kv| (kv.key.clone(), kv)).collect())
}
