//! The program as an operator meets it: flags, endpoints, signals, pages, TLS. What the services answer is tested where
//! they are.

#[path = "program/gateway.rs"]
mod gateway;
#[path = "program/operators.rs"]
mod operators;
#[path = "program/tls.rs"]
mod tls;

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use proto::{
    etcdserverpb as pb,
    etcdserverpb::{cluster_client::ClusterClient, kv_client::KvClient, watch_client::WatchClient},
};
use tempfile::TempDir;
use tests::process::{Process, eventually, free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A started program on a port of its own.
struct Shim {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Shim {
    fn start(endpoint: &str, scheme: &str, flags: &[String]) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut args =
            vec![format!("--endpoint={endpoint}"), format!("--listen-client-urls={scheme}://127.0.0.1:{port}")];
        args.extend(flags.iter().cloned());
        let process = Process::start("kine-shim", &program(), args, folder.path().join("log"))?;
        Ok(Self { process, port, folder })
    }

    async fn channel(&mut self) -> Result<Channel> {
        self.process.check_alive()?;
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port))?;
        eventually("a connection", PATIENCE, || async { Ok(endpoint.connect().await?) })
            .await
            .with_context(|| self.process.output())
    }

    /// One plain request; the status line and the body.
    async fn get(&self, path: &str) -> Result<(String, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
        Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
    }
}

/// A whole HTTP/1.1 exchange; the answer as it came.
async fn exchange(port: u16, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_kine-shim"))
}

async fn put(channel: &Channel, key: &str, value: &str) -> Result<i64> {
    let request = pb::PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() };
    let header = KvClient::new(channel.clone()).put(request).await?.into_inner().header;
    Ok(header.context("no header")?.revision)
}

/// Where clients are told to go.
async fn members(channel: &Channel) -> Result<Vec<String>> {
    let list = ClusterClient::new(channel.clone()).member_list(pb::MemberListRequest { linearizable: true }).await?;
    Ok(list.into_inner().members.into_iter().flat_map(|member| member.client_ur_ls).collect())
}

async fn get(channel: &Channel, key: &str) -> Result<Option<String>> {
    let request = pb::RangeRequest { key: key.to_owned().into(), ..Default::default() };
    let kvs = KvClient::new(channel.clone()).range(request).await?.into_inner().kvs;
    kvs.first().map(|kv| Ok(String::from_utf8(kv.value.to_vec())?)).transpose()
}

/// A watch of one key from `revision` on.
async fn watch(channel: &Channel, key: &str, revision: i64) -> Result<Streaming<pb::WatchResponse>> {
    let create = pb::WatchCreateRequest { key: key.to_owned().into(), start_revision: revision, ..Default::default() };
    let request = pb::WatchRequest { request_union: Some(pb::watch_request::RequestUnion::CreateRequest(create)) };
    // The stream of requests stays open: its end would end the watch.
    let requests = futures::StreamExt::chain(futures::stream::iter([request]), futures::stream::pending());
    Ok(WatchClient::new(channel.clone()).watch(requests).await?.into_inner())
}

/// The first value that it sees.
async fn watched(channel: &Channel, key: &str, revision: i64) -> Result<String> {
    let mut responses = watch(channel, key, revision).await?;
    loop {
        let response = tokio::time::timeout(PATIENCE, responses.message()).await??.context("the watch ended")?;
        if let Some(kv) = response.events.first().and_then(|event| event.kv.as_ref()) {
            return Ok(String::from_utf8(kv.value.to_vec())?);
        }
    }
}

async fn put_get_watch(shim: &mut Shim) -> Result<()> {
    let channel = shim.channel().await?;
    ensure!(put(&channel, "a", "1").await? == 2, "the first write is revision 2");
    ensure!(get(&channel, "a").await? == Some("1".into()));
    ensure!(watched(&channel, "a", 2).await? == "1");
    Ok(())
}

fn stopped_in_order(shim: &mut Shim) -> Result<()> {
    let status = shim.process.terminate(PATIENCE)?;
    ensure!(status == Some(0), "ended with {status:?}:\n{}", shim.process.output());
    Ok(())
}

#[tokio::test]
async fn memory_serves_and_stops_in_order() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &[])?;
    put_get_watch(&mut shim).await?;
    stopped_in_order(&mut shim)
}

#[tokio::test]
async fn an_open_watch_does_not_hold_up_the_stop() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &[])?;
    let channel = shim.channel().await?;
    let watch = tokio::spawn(async move { watched(&channel, "never", 0).await });
    eventually("the watch is known", PATIENCE, || async {
        let (_, page) = shim.get("/metrics").await?;
        ensure!(page.contains("\netcd_debugging_mvcc_watcher_total 1\n"));
        Ok(())
    })
    .await?;
    stopped_in_order(&mut shim)?;
    ensure!(watch.await?.is_err(), "the watch ends with the server");
    Ok(())
}

#[tokio::test]
async fn sqlite_keeps_its_data_over_kill_and_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let endpoint = format!("sqlite://{}/state.db", folder.path().display());
    let mut shim = Shim::start(&endpoint, "http", &[])?;
    put_get_watch(&mut shim).await?;
    shim.process.restart()?;
    let channel = shim.channel().await?;
    ensure!(get(&channel, "a").await? == Some("1".into()));
    ensure!(put(&channel, "a", "2").await? == 3, "revisions go on (invariant 6)");
    let refused = refusal(&[&format!("--endpoint={endpoint}"), "--listen-client-urls=http://127.0.0.1:0"])?;
    ensure!(refused.contains("in use by another process"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn two_programs_on_one_postgres_see_each_other() -> Result<()> {
    let Some(server) = tests::postgres::shared("two_programs_on_one_postgres") else { return Ok(()) };
    let url = server.database().await?;
    let (mut a, mut b) = (Shim::start(&url, "http", &[])?, Shim::start(&url, "http", &[])?);
    put_get_watch(&mut a).await?;
    let (to_a, to_b) = (a.channel().await?, b.channel().await?);
    ensure!(get(&to_b, "a").await? == Some("1".into()));
    let revision = put(&to_b, "a", "2").await?;
    ensure!(revision == 3 && watched(&to_a, "a", revision).await? == "2");
    eventually("each lists both", PATIENCE, || async {
        for channel in [&to_a, &to_b] {
            let mut urls = members(channel).await?;
            urls.sort();
            let mut expected = vec![format!("http://127.0.0.1:{}", a.port), format!("http://127.0.0.1:{}", b.port)];
            expected.sort();
            ensure!(urls == expected, "{urls:?}");
        }
        Ok(())
    })
    .await?;
    stopped_in_order(&mut a)?;
    eventually("who has stopped is listed no more", PATIENCE, || async {
        ensure!(members(&to_b).await? == [format!("http://127.0.0.1:{}", b.port)]);
        Ok(())
    })
    .await?;
    stopped_in_order(&mut b)
}

#[tokio::test]
async fn the_pages_are_etcds() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &[])?;
    put(&shim.channel().await?, "a", "1").await?;
    let whole = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n";
    let part = "[+]serializable_read ok\n[+]non_learner ok\nok\n";
    let cases = [
        ("/health", "200 OK", r#"{"health":"true","reason":""}"#),
        ("/health?serializable=true", "200 OK", r#"{"health":"true","reason":""}"#),
        ("/livez", "200 OK", "ok\n"),
        ("/livez?verbose", "200 OK", "[+]serializable_read ok\nok\n"),
        ("/readyz", "200 OK", "ok\n"),
        ("/readyz?verbose", "200 OK", whole),
        ("/readyz?verbose&exclude=linearizable_read&exclude=data_corruption", "200 OK", part),
        ("/readyz/linearizable_read", "200 OK", "ok\n"),
        ("/livez/linearizable_read", "404 Not Found", "404 page not found\n"),
        ("/version", "200 OK", r#"{"etcdserver":"3.6.16","etcdcluster":"3.6.0","storage":"3.6.0"}"#),
        ("/nope", "404 Not Found", "404 page not found\n"),
    ];
    for (path, status, body) in cases {
        let (line, page) = shim.get(path).await?;
        ensure!(line.ends_with(status) && page == body, "{path}: {line}\n{page}");
    }
    let (_, page) = shim.get("/metrics").await?;
    for line in [
        "etcd_server_has_leader 1",
        "etcd_disk_wal_fsync_duration_seconds_count 2",
        "etcd_disk_defrag_inflight 0",
        "kine_shim_operations_refused_total 0",
        "etcd_debugging_mvcc_current_revision 2",
        "etcd_server_version{server_version=\"3.6.16\"} 1",
        "grpc_server_handled_total{grpc_service=\"etcdserverpb.KV\",grpc_method=\"Put\",grpc_type=\"unary\",grpc_code=\"OK\"} 1",
        "# TYPE etcd_server_health_success counter",
        "etcd_server_health_success 2",
        "# TYPE etcd_server_proposals_committed_total gauge",
        "etcd_server_healthcheck{type=\"readyz\",name=\"linearizable_read\"} 1",
        "etcd_server_quota_backend_bytes -1",
        "etcd_debugging_mvcc_compact_revision -1",
        "etcd_mvcc_put_total 1",
        "etcd_debugging_mvcc_total_put_size_in_bytes 2",
        "etcd_debugging_auth_revision 1",
        "etcd_server_client_requests_total{type=\"unary\",client_api_version=\"unknown\"} 1",
        "kine_shim_log_rows 2",
        "grpc_server_started_total{grpc_service=\"etcdserverpb.Auth\",grpc_method=\"UserAdd\",grpc_type=\"unary\"} 0",
        "grpc_server_msg_received_total{grpc_service=\"etcdserverpb.KV\",grpc_method=\"Put\",grpc_type=\"unary\"} 1",
    ] {
        ensure!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    ensure!(!page.contains("grpc_server_handling_seconds"), "only with --metrics=extensive");
    for name in DASHBOARDS {
        let sample = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']));
        ensure!(page.lines().any(sample), "{name} is not in\n{page}");
    }
    Ok(())
}

/// What dashboards and alerts for etcd read.
const DASHBOARDS: &[&str] = &[
    "etcd_server_has_leader",
    "etcd_server_is_leader",
    "etcd_server_leader_changes_seen_total",
    "etcd_server_proposals_committed_total",
    "etcd_server_proposals_applied_total",
    "etcd_server_proposals_pending",
    "etcd_server_proposals_failed_total",
    "etcd_server_quota_backend_bytes",
    "etcd_server_version",
    "etcd_server_id",
    "etcd_cluster_version",
    "etcd_server_slow_apply_total",
    "etcd_server_health_success",
    "etcd_server_health_failures",
    "etcd_server_request_duration_seconds",
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_disk_wal_fsync_duration_seconds_bucket",
    "etcd_disk_backend_commit_duration_seconds_bucket",
    "etcd_disk_defrag_inflight",
    "etcd_network_client_grpc_sent_bytes_total",
    "etcd_network_client_grpc_received_bytes_total",
    "etcd_debugging_mvcc_compact_revision",
    "etcd_debugging_mvcc_slow_watcher_total",
    "etcd_debugging_lease_granted_total",
    "etcd_debugging_lease_renewed_total",
    "etcd_debugging_mvcc_db_compaction_keys_total",
    "etcd_debugging_mvcc_db_compaction_last",
    "etcd_debugging_server_lease_expired_total",
    "grpc_server_started_total",
    "grpc_server_handled_total",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
];

/// Runs the program until it ends, which must be soon and not in order; returns what it said.
fn refusal(args: &[&str]) -> Result<String> {
    let output = Command::new("timeout").arg("20").arg(program()).args(args).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(matches!(output.status.code(), Some(1 | 2)), "{args:?} ended with {}:\n{said}", output.status);
    Ok(said)
}

#[tokio::test]
async fn bad_starts_are_refused_with_the_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("text");
    std::fs::write(&text, "not a database".repeat(500))?;
    let (text, anywhere) = (text.display(), "--listen-client-urls=http://127.0.0.1:0");
    let cases: Vec<(Vec<String>, &str)> = vec![
        (vec!["--no-such-flag".into()], "--no-such-flag"),
        (vec!["--endpoint=http://etcd:2379".into()], "--endpoint: unsupported scheme"),
        (vec!["--max-txn-ops=0".into()], "--max-txn-ops"),
        (vec![format!("--endpoint=sqlite://{text}"), anywhere.into()], "damaged or not one"),
        (vec![format!("--cert-file={text}"), format!("--key-file={text}"), anywhere.into()], "--key-file"),
        (vec!["--endpoint=postgres://u@h/d?sslmode=perhaps".into(), anywhere.into()], "unknown sslmode"),
    ];
    for (args, reason) in cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = refusal(&args)?;
        ensure!(said.contains(reason), "{args:?}: {said}");
    }
    let holder = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = format!("--listen-client-urls=http://{}", holder.local_addr()?);
    let said = refusal(&["--endpoint=memory:", &taken])?;
    ensure!(said.contains("cannot listen on"), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_password_is_never_shown() -> Result<()> {
    let shim = Shim::start("postgres://u:geheim@127.0.0.1:1/d", "http", &[])?;
    eventually("a complaint", PATIENCE, || async {
        ensure!(shim.process.output().contains("cannot be used yet"), "silence");
        Ok(())
    })
    .await?;
    let said = shim.process.output();
    ensure!(said.contains("postgres://u@127.0.0.1:1/d") && !said.contains("geheim"), "{said}");
    Ok(())
}

#[tokio::test]
async fn without_flags_it_serves_an_embedded_store_under_data() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let mut child = Command::new(program())
        .current_dir(folder.path())
        .arg(format!("--listen-address=127.0.0.1:{port}"))
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?;
    let served =
        eventually("a connection", PATIENCE, || async { put(&endpoint.connect().await?, "a", "1").await }).await;
    let kept = folder.path().join("data/state.db").is_file();
    child.kill()?;
    child.wait()?;
    ensure!(served? == 2 && kept);
    Ok(())
}
