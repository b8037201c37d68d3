//! kill -9 of a shim and of a frontend under load: clients with both addresses go on, nothing acknowledged is missing,
//! nothing appears twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    cluster::{Cluster, Spec},
    postgres,
    process::eventually,
    rest::Rest,
};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn killed_shim_and_frontend_lose_and_repeat_nothing() -> Result<()> {
    let Some(postgres) = postgres::shared("killed_shim_and_frontend_lose_and_repeat_nothing") else { return Ok(()) };
    let endpoint = Some(postgres.database().await?);
    let mut cluster = Cluster::start(Spec { endpoint, shims: 2, frontends: 2 }).await?;
    let urls: Vec<String> = cluster.frontends.iter().map(|f| f.url.clone()).collect();
    let client = cluster.admin_client()?;
    let admin = |servers| Rest::new(client.clone(), servers);
    let survivor = admin(vec![urls[1].clone()]);
    let watched = tokio::spawn(watch_names(survivor.clone()));

    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers = (0..WRITERS)
        .map(|writer| tokio::spawn(write(admin(urls.clone()), writer, stop.clone(), acknowledged.clone())))
        .collect::<Vec<_>>();

    acknowledged_beyond(&acknowledged, 100).await?;
    cluster.shims[0].process.kill()?;
    acknowledged_beyond(&acknowledged, 100).await.context("after the shim was killed")?;
    cluster.frontends[0].process.kill()?;
    acknowledged_beyond(&acknowledged, 100).await.context("after the frontend was killed")?;
    cluster.shims[0].process.restart()?;
    cluster.shim_ready(0).await?;
    cluster.frontends[0].process.restart()?;
    cluster.frontend_ready(0).await?;
    acknowledged_beyond(&acknowledged, 100).await.context("after both are back")?;

    stop.store(true, Ordering::Relaxed);
    let (mut names, mut in_doubt) = (BTreeSet::new(), 0);
    for writer in writers {
        let (of_writer, doubts) = writer.await??;
        names.extend(of_writer);
        in_doubt += doubts;
    }
    survivor.must(Method::POST, CONFIG_MAPS, Some(&config_map("zz-last"))).await?;
    let seen =
        tokio::time::timeout(Duration::from_secs(30), watched).await.context("the last event never came")???;

    println!("{} acknowledged, {in_doubt} writes whose first answer was lost", names.len());
    for server in &urls {
        let stored = list(&admin(vec![server.clone()])).await?;
        let missing: Vec<_> = names.difference(&stored).collect();
        ensure!(missing.is_empty(), "acknowledged but missing at {server}: {missing:?}");
    }
    let missing: Vec<_> = names.iter().filter(|name| !seen.contains_key(*name)).collect();
    ensure!(missing.is_empty(), "no event for {missing:?}");
    let repeated: Vec<_> = seen.iter().filter(|(_, times)| **times != 1).collect();
    ensure!(repeated.is_empty(), "several ADDED events for {repeated:?}");
    Ok(())
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"of": name}})
}

async fn acknowledged_beyond(counter: &AtomicUsize, more: usize) -> Result<()> {
    let goal = counter.load(Ordering::Relaxed) + more;
    eventually("more acknowledged writes", Duration::from_secs(60), || async move {
        let count = counter.load(Ordering::Relaxed);
        if count < goal { bail!("{count} of {goal}") } else { Ok(()) }
    })
    .await
}

/// Creates objects until told to stop: the names that a server acknowledged, and how many answers were lost.
async fn write(
    mut rest: Rest,
    writer: usize,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
) -> Result<(BTreeSet<String>, usize)> {
    let (mut names, mut in_doubt) = (BTreeSet::new(), 0);
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("w{writer}-{number}");
        let body = config_map(&name);
        let mut doubtful = false;
        loop {
            let answer =
                tokio::time::timeout(Duration::from_secs(10), rest.once(Method::POST, CONFIG_MAPS, Some(&body)));
            match answer.await {
                Ok(Ok((StatusCode::CREATED, _))) => break,
                // Only after a lost answer may it be there already.
                Ok(Ok((StatusCode::CONFLICT, _))) if doubtful => break,
                Ok(Ok((status, body))) if status.is_client_error() => bail!("{name}: {status} {body}"),
                Ok(Ok(_) | Err(_)) | Err(_) => {
                    doubtful = true;
                    rest.fail_over();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        in_doubt += usize::from(doubtful);
        names.insert(name);
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    Ok((names, in_doubt))
}

/// How often each name was ADDED, until `zz-last`; the watch starts where a list ended and resumes where it broke.
async fn watch_names(rest: Rest) -> Result<BTreeMap<String, usize>> {
    let list = rest.must(Method::GET, CONFIG_MAPS, None).await?;
    let mut revision = list["metadata"]["resourceVersion"].as_str().context("a list without revision")?.to_owned();
    let mut seen = BTreeMap::new();
    for item in list["items"].as_array().context("no items")? {
        *seen.entry(item["metadata"]["name"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    loop {
        let mut events = rest.watch(&format!("{CONFIG_MAPS}?watch=true&resourceVersion={revision}")).await?;
        while let Ok(Some(event)) = events.next().await {
            ensure!(event["type"] != "ERROR", "{event}");
            let metadata = &event["object"]["metadata"];
            revision = metadata["resourceVersion"].as_str().context("an event without revision")?.to_owned();
            let name = metadata["name"].as_str().unwrap_or_default().to_owned();
            let last = name == "zz-last";
            if event["type"] == "ADDED" {
                *seen.entry(name).or_default() += 1;
            }
            if last {
                return Ok(seen);
            }
        }
    }
}

/// Every name, by pages.
async fn list(rest: &Rest) -> Result<BTreeSet<String>> {
    let (mut names, mut token) = (BTreeSet::new(), String::new());
    loop {
        let page = rest.must(Method::GET, &format!("{CONFIG_MAPS}?limit=100&continue={token}"), None).await?;
        for item in page["items"].as_array().context("no items")? {
            let name = item["metadata"]["name"].as_str().context("no name")?.to_owned();
            ensure!(names.insert(name.clone()), "{name} twice in a list");
        }
        match page["metadata"]["continue"].as_str() {
            Some(next) if !next.is_empty() => token = next.to_owned(),
            _ => return Ok(names),
        }
    }
}
