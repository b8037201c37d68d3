//! What operators do to a running program, and what strangers do to its port.

use super::*;

async fn send(port: u16, method: &str, path: &str, body: &str) -> Result<String> {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}", body.len());
    exchange(port, &format!("{head}\r\n\r\n{body}")).await
}

#[tokio::test]
async fn while_the_log_is_loaded_the_program_is_alive_and_not_ready() -> Result<()> {
    let mut shim = Shim::start("postgres://u:p@127.0.0.1:1/d", "http", &[])?;
    let channel = shim.channel().await?;
    let (line, page) = shim.get("/livez").await?;
    ensure!(line.ends_with("200 OK") && page == "ok\n", "{line}\n{page}");
    let (line, page) = shim.get("/readyz").await?;
    ensure!(line.ends_with("503 Service Unavailable"), "{line}");
    ensure!(page.contains("[-]linearizable_read failed: loading the log: 0 rows so far\n"), "{page}");
    let (line, page) = shim.get("/health").await?;
    ensure!(line.ends_with("503 Service Unavailable") && page.contains(r#""health":"false""#), "{page}");
    let refused = put(&channel, "a", "1").await.expect_err("there is no database").to_string();
    ensure!(refused.contains("loading the log"), "{refused}");
    ensure!(shim.get("/metrics").await?.1.contains("\nkine_shim_connections "));
    stopped_in_order(&mut shim)
}

#[tokio::test]
async fn the_json_gateway_and_its_guards() -> Result<()> {
    let flags = ["--host-whitelist=127.0.0.1,h", "--cors=http://a"].map(str::to_owned);
    let mut shim = Shim::start("memory:", "http", &flags)?;
    shim.channel().await?;
    let put = send(shim.port, "POST", "/v3/kv/put", r#"{"key":"YQ==","value":"MQ=="}"#).await?;
    ensure!(put.starts_with("HTTP/1.1 200 OK") && put.contains(r#""revision":"2""#), "{put}");
    let range = send(shim.port, "POST", "/v3/kv/range", r#"{"key":"YQ=="}"#).await?;
    ensure!(range.contains(r#""value":"MQ==""#) && range.contains(r#""count":"1""#), "{range}");
    let (_, page) = {
        let answer = send(shim.port, "GET", "/metrics", "").await?;
        (0, answer)
    };
    ensure!(page.contains(r#"grpc_method="Put",grpc_type="unary",grpc_code="OK"} 1"#), "the gateway's requests count");

    let asked =
        |host: &str| format!("GET /health HTTP/1.1\r\nHost: {host}\r\nOrigin: http://a\r\nConnection: close\r\n\r\n");
    let own = exchange(shim.port, &asked("h:2379")).await?.to_lowercase();
    ensure!(own.starts_with("http/1.1 200") && own.contains("access-control-allow-origin: http://a\r\n"), "{own}");
    let foreign = exchange(shim.port, &asked("evil.example")).await?;
    ensure!(foreign.starts_with("HTTP/1.1 421"), "{foreign}");
    Ok(())
}

#[tokio::test]
async fn the_level_of_the_log_changes_while_it_runs() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &["--log-format=json".to_owned()])?;
    shim.channel().await?;
    let level = send(shim.port, "GET", "/config/local/log", "").await?;
    ensure!(level.ends_with(r#"{"Level":"INFO"}"#), "{level}");
    let bad = send(shim.port, "PUT", "/config/local/log", r#"{"Level":"LOUD"}"#).await?;
    ensure!(bad.starts_with("HTTP/1.1 400"), "{bad}");
    let set = send(shim.port, "PUT", "/config/local/log", r#"{"Level":"DEBUG"}"#).await?;
    ensure!(set.starts_with("HTTP/1.1 204"), "{set}");
    // A connection that breaks is told of at that level.
    exchange(shim.port, "nonsense\r\n\r\n").await?;
    eventually("a line of that level", PATIENCE, || async {
        ensure!(shim.process.output().contains(r#""level":"DEBUG""#));
        Ok(())
    })
    .await
    .with_context(|| shim.process.output())
}

#[tokio::test]
async fn a_profile_can_be_taken_where_it_is_enabled() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &["--enable-pprof".to_owned(), "--metrics=extensive".to_owned()])?;
    let channel = shim.channel().await?;
    let load = tokio::spawn(async move {
        for turn in 0_u64.. {
            put(&channel, "a", &turn.to_string()).await?;
        }
        anyhow::Ok(())
    });
    let mut stream = TcpStream::connect(("127.0.0.1", shim.port)).await?;
    stream.write_all(b"GET /debug/pprof/profile?seconds=1 HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    load.abort();
    ensure!(answer.starts_with(b"HTTP/1.0 200 OK"), "{}", String::from_utf8_lossy(&answer));
    // Names of functions are in it; what reads the format is tried by hand.
    ensure!(answer.windows(9).any(|bytes| bytes == b"kine_shim"), "{} bytes without a name", answer.len());
    ensure!(shim.get("/metrics").await?.1.contains("grpc_server_handling_seconds_bucket{"));
    let mut closed = Shim::start("memory:", "http", &[])?;
    closed.channel().await?;
    ensure!(closed.get("/debug/pprof/profile").await?.0.ends_with("404 Not Found"));
    Ok(())
}

#[tokio::test]
async fn http_may_have_a_port_of_its_own() -> Result<()> {
    let port = free_port()?;
    let mut shim = Shim::start("memory:", "http", &[format!("--listen-client-http-urls=http://127.0.0.1:{port}")])?;
    let channel = shim.channel().await?;
    put(&channel, "a", "1").await?;
    ensure!(shim.get("/health").await?.0.ends_with("404 Not Found"), "the client port is gRPC's alone");
    ensure!(send(port, "GET", "/health", "").await?.starts_with("HTTP/1.1 200"));
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?;
    ensure!(put(&endpoint.connect().await?, "a", "2").await.is_err(), "no gRPC there");
    Ok(())
}

/// The one sample of a name.
async fn metric(shim: &Shim, name: &str) -> Result<f64> {
    let (_, page) = shim.get("/metrics").await?;
    let sample = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    sample.with_context(|| format!("{name} is not in\n{page}"))
}

/// A database that lets nobody delete: writes go on, the fault is told and counted, and the rows go when it lets again.
#[tokio::test]
async fn rows_that_cannot_be_deleted_are_deleted_later() -> Result<()> {
    let Some(server) = tests::postgres::shared("rows_that_cannot_be_deleted") else { return Ok(()) };
    let url = server.database().await?;
    let mut shim = Shim::start(&url, "http", &[])?;
    let channel = shim.channel().await?;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON kine_shim.log FOR EACH ROW EXECUTE FUNCTION refuse();";
    put(&channel, "a", "0").await?;
    tests::postgres::execute(&url, refuse).await?;
    for turn in 1..10 {
        put(&channel, "a", &turn.to_string()).await?;
    }
    let compact = pb::CompactionRequest { revision: 11, physical: false };
    KvClient::new(channel.clone()).compact(compact).await?;
    eventually("a try to delete", PATIENCE, || async {
        ensure!(metric(&shim, "kine_shim_trims_failed_total").await? > 0.0, "none");
        Ok(())
    })
    .await?;
    ensure!(metric(&shim, "kine_shim_garbage_rows").await? > 0.0);
    ensure!(shim.process.output().contains("compacted rows cannot be deleted yet"));
    put(&channel, "a", "more").await?;

    tests::postgres::execute(&url, "DROP TRIGGER refuse ON kine_shim.log").await?;
    eventually("the rows are gone", PATIENCE, || async {
        ensure!(metric(&shim, "kine_shim_garbage_rows").await? == 0.0);
        Ok(())
    })
    .await?;
    ensure!(metric(&shim, "kine_shim_rows_trimmed_total").await? > 0.0);
    stopped_in_order(&mut shim)
}

/// Watchers that do not read: nobody waits for them, they share one copy of what they have not read, and get all of it
/// in the end.
#[tokio::test]
async fn slow_readers_cost_nobody_anything() -> Result<()> {
    const SLOW: usize = 40;
    const VALUES: usize = 100;
    let value = "v".repeat(512 << 10);
    let mut shim = Shim::start("memory:", "http", &[])?;
    let writer = shim.channel().await?;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(watch(&shim.channel().await?, "a", 2).await?);
    }
    let mut fast = watch(&shim.channel().await?, "a", 2).await?;
    let all_seen = async |watch: &mut Streaming<pb::WatchResponse>| {
        let mut revisions = Vec::new();
        while revisions.len() < VALUES {
            let response = tokio::time::timeout(PATIENCE, watch.message()).await??.context("the watch ended")?;
            revisions.extend(response.events.iter().filter_map(|event| Some(event.kv.as_ref()?.mod_revision)));
        }
        anyhow::Ok(revisions)
    };
    let written = async {
        for _ in 0..VALUES {
            put(&writer, "a", &value).await?;
        }
        anyhow::Ok(())
    };
    let ((), seen) = tokio::try_join!(written, all_seen(&mut fast))?;
    ensure!(seen == (2..2 + VALUES as i64).collect::<Vec<_>>(), "{seen:?}");
    // A copy for each would be 2 GB.
    let resident = metric(&shim, "process_resident_memory_bytes").await?;
    ensure!(resident < 500e6, "{resident} bytes resident");
    for late in &mut slow {
        ensure!(all_seen(late).await? == seen, "a slow reader saw something else");
    }
    stopped_in_order(&mut shim)
}

/// Strangers that say nonsense, half a word, or nothing; nobody else notices.
#[tokio::test]
async fn strangers_on_the_port_harm_nobody() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &[])?;
    let channel = shim.channel().await?;
    let mut strangers = Vec::new();
    let words: [&[u8]; 6] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /health HTTP/1.1\r\nHost: h\r\nX: ",
    ];
    for turn in 0..600 {
        let mut stream = TcpStream::connect(("127.0.0.1", shim.port)).await?;
        stream.write_all(words[turn % words.len()]).await?;
        strangers.push(stream);
    }
    for turn in 0..100 {
        put(&channel, "a", &turn.to_string()).await?;
    }
    ensure!(shim.get("/health").await?.0.ends_with("200 OK"));
    drop(strangers);
    eventually("the strangers are forgotten", PATIENCE, || async {
        let open = metric(&shim, "kine_shim_connections").await?;
        ensure!(open < 10.0, "{open} open");
        Ok(())
    })
    .await?;
    stopped_in_order(&mut shim)
}

/// A shell that gives few files at first, as service managers do.
#[tokio::test]
async fn the_limit_of_open_files_is_raised_to_what_is_allowed() -> Result<()> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let shell = "ulimit -S -n 256 && exec \"$0\" \"$@\"".to_owned();
    let listen = format!("--listen-client-urls=http://127.0.0.1:{port}");
    let args = vec!["-c".into(), shell, program().display().to_string(), "--endpoint=memory:".into(), listen];
    let process = Process::start("kine-shim", std::path::Path::new("/bin/sh"), args, folder.path().join("log"))?;
    let mut shim = Shim { process, port, folder };
    shim.channel().await?;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(("127.0.0.1", port)).await?);
    }
    // Those above are dropped only after 30 seconds of silence.
    let late = tokio::time::timeout(PATIENCE / 2, async { put(&shim.channel().await?, "a", "1").await }).await;
    ensure!(late?? == 2);
    drop(idle);
    stopped_in_order(&mut shim)
}
