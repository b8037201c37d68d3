//! Logs, exec, attach and port forwarding through a frontend to a kubelet stand-in, with real clients: kube-rs over
//! WebSocket, our own over SPDY, WebSocket and the tunnel of one in the other, and kubectl where there is one.

mod kubectl;
mod world;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt, TryStreamExt};
use kube::api::{AttachParams, LogParams, Patch, PatchParams};
use serde_json::{Value, json};
use tests::{
    kubectl::Kubectl,
    kubelet::spdy::{Fin, Frame, Frames},
    upgrade::{self, Answer},
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use tokio_util::codec::{Decoder, Encoder, Framed};
use world::{World, all, echo_server};

const SPDY: &[&str] = &["Connection: Upgrade", "Upgrade: SPDY/3.1"];
const WEBSOCKET: &[&str] = &[
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[tokio::test(flavor = "multi_thread")]
async fn logs() -> Result<()> {
    let world = World::start().await?;
    let parameters =
        LogParams { tail_lines: Some(2), timestamps: true, since_seconds: Some(9), ..LogParams::default() };
    let text = world.pods.logs("one", &parameters).await?;
    let want = "/containerLogs/default/one/main?sinceSeconds=9&tailLines=2&timestamps=true\n\
                one main line 4\none main line 5\n";
    ensure!(text == want, "the log is\n{text}");
    let parameters = LogParams { follow: true, container: Some("b".to_owned()), ..LogParams::default() };
    let mut lines = futures::AsyncBufReadExt::lines(world.pods.log_stream("two", &parameters).await?);
    for want in ["/containerLogs/default/two/b?follow=true", "two b line 1"] {
        ensure!(lines.try_next().await?.as_deref() == Some(want), "a followed log does not begin with {want}");
    }
    drop(lines);
    let answer = world
        .ask("GET", "one/log?tailLines=1", &[WEBSOCKET, &["Sec-WebSocket-Protocol: base64.binary.k8s.io"]].concat())
        .await?;
    ensure!(answer.status == 101, "{}", answer.head);
    let socket = WebSocketStream::from_raw_socket(answer.connection, Role::Client, None).await;
    let messages: Vec<Message> = socket.try_collect().await?;
    // One is empty, to begin with; the last one closes.
    let texts = messages.iter().filter(|message| message.is_text() && !message.is_empty()).count();
    ensure!(texts == 2 && messages.last().is_some_and(Message::is_close), "the messages are {messages:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_and_attach_of_kube_rs() -> Result<()> {
    let world = World::start().await?;
    let command = ["sh", "-c", "echo out; echo err >&2; exit 3"];
    let mut process = world.pods.exec("one", command, &AttachParams::default()).await?;
    let status = process.take_status().context("a status")?;
    let (stdout, stderr) = (process.stdout().context("stdout")?, process.stderr().context("stderr")?);
    let (stdout, stderr, status) = tokio::join!(all(stdout), all(stderr), status);
    ensure!((stdout?.as_str(), stderr?.as_str()) == ("out\n", "err\n"));
    let status = status.context("no status")?;
    let code = status.details.and_then(|details| details.causes?.first()?.message.clone());
    ensure!(
        status.reason.as_deref() == Some("NonZeroExitCode") && code.as_deref() == Some("3"),
        "{:?}",
        status.message
    );
    let interactive = || AttachParams::default().stdin(true).stderr(false);
    let mut process = world.pods.exec("two", ["cat"], &interactive().container("a")).await?;
    echoed(&mut process).await?;
    let mut process = world.pods.attach("one", &interactive()).await?;
    echoed(&mut process).await
}

/// Sends a megabyte, says that there is no more, and reads it back.
async fn echoed(process: &mut kube::api::AttachedProcess) -> Result<()> {
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (mut stdin, mut stdout) = (process.stdin().context("stdin")?, process.stdout().context("stdout")?);
    let status = process.take_status().context("a status")?;
    let writing = async {
        stdin.write_all(&sent).await?;
        stdin.shutdown().await
    };
    let reading = async {
        let mut read = Vec::new();
        stdout.read_to_end(&mut read).await.map(|_| read)
    };
    let (written, read) = tokio::join!(writing, reading);
    written?;
    ensure!(read? == sent, "what comes back is something else");
    ensure!(status.await.is_some_and(|status| status.status.as_deref() == Some("Success")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn port_forwarding_of_kube_rs() -> Result<()> {
    let world = World::start().await?;
    let port = echo_server().await?;
    let mut forwarder = world.pods.portforward("one", &[port]).await?;
    let mut stream = forwarder.take_stream(port).context("a stream")?;
    stream.write_all(b"hello\n").await?;
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).await?;
    ensure!(line == "hello\n");
    Ok(())
}

/// Runs `cat` over a SPDY connection: opens its streams, sends, ends, and gathers what comes.
async fn cat_over_spdy(answer: Answer) -> Result<(Vec<u8>, String)> {
    let mut connection = Framed::new(answer.connection, Frames::default());
    for (stream, kind) in [(1, "error"), (3, "stdin"), (5, "stdout")] {
        connection.send(Frame::Open(stream, vec![("streamtype".to_owned(), kind.to_owned())])).await?;
    }
    connection.send(Frame::Data(3, Bytes::from_static(b"hello"), Fin::Yes)).await?;
    let (mut stdout, mut outcome, mut open) = (Vec::new(), Vec::new(), 2);
    while open > 0 {
        match connection.next().await.context("the connection ends early")?? {
            Frame::Data(stream, bytes, fin) => {
                if stream == 5 {
                    stdout.extend(bytes)
                } else {
                    outcome.extend(bytes)
                }
                open -= usize::from(fin == Fin::Yes && matches!(stream, 1 | 5));
            }
            Frame::Reply(1 | 3 | 5) => {}
            other => anyhow::bail!("unexpected: {other:?}"),
        }
    }
    Ok((stdout, String::from_utf8(outcome)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn spdy_clients() -> Result<()> {
    let world = World::start().await?;
    let protocol = ["X-Stream-Protocol-Version: v4.channel.k8s.io"];
    let path = "one/exec?command=cat&stdin=true&stdout=true";
    let answer = world.ask("POST", path, &[SPDY, &protocol].concat()).await?;
    ensure!(answer.status == 101 && answer.head.contains("v4.channel.k8s.io"), "{}", answer.head);
    let (stdout, outcome) = cat_over_spdy(answer).await?;
    ensure!(stdout == b"hello" && outcome.contains("Success"), "{outcome}");
    // The kubelet's own refusal passes.
    let answer = world.ask("POST", path, &[SPDY, &["X-Stream-Protocol-Version: v9"]].concat()).await?;
    ensure!(answer.status == 403, "{}", answer.head);
    let port = echo_server().await?;
    let protocol = ["X-Stream-Protocol-Version: portforward.k8s.io"];
    let answer = world.ask("POST", "one/portforward", &[SPDY, &protocol].concat()).await?;
    ensure!(answer.status == 101, "{}", answer.head);
    let mut connection = Framed::new(answer.connection, Frames::default());
    for frame in forwarded(port) {
        connection.send(frame).await?;
    }
    while let Some(frame) = connection.try_next().await? {
        if let Frame::Data(3, bytes, _) = frame {
            ensure!(bytes == "hello");
            return Ok(());
        }
    }
    anyhow::bail!("the connection ends early")
}

/// Opens the two streams of a port and says hello.
fn forwarded(port: u16) -> [Frame; 3] {
    let headers = |kind: &str| {
        let pairs = [("streamtype", kind.to_owned()), ("port", port.to_string()), ("requestid", "0".to_owned())];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    };
    let hello = Frame::Data(3, Bytes::from_static(b"hello"), Fin::No);
    [Frame::Open(1, headers("error")), Frame::Open(3, headers("data")), hello]
}

#[tokio::test(flavor = "multi_thread")]
async fn spdy_in_a_websocket() -> Result<()> {
    let world = World::start().await?;
    let port = echo_server().await?;
    let protocol = ["Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io"];
    let answer = world.ask("GET", "one/portforward", &[WEBSOCKET, &protocol].concat()).await?;
    ensure!(answer.status == 101 && answer.head.contains("SPDY/3.1+portforward.k8s.io"), "{}", answer.head);
    let mut socket = WebSocketStream::from_raw_socket(answer.connection, Role::Client, None).await;
    let (mut frames, mut bytes) = (Frames::default(), BytesMut::new());
    for frame in forwarded(port) {
        frames.encode(frame, &mut bytes)?;
    }
    // Messages are no frames: a cut anywhere does not matter.
    for part in bytes.split().chunks(7) {
        socket.send(Message::binary(part.to_vec())).await?;
    }
    let mut received = BytesMut::new();
    while let Some(message) = socket.try_next().await? {
        received.extend_from_slice(&message.into_data());
        while let Some(frame) = frames.decode(&mut received)? {
            if let Frame::Data(3, bytes, _) = frame {
                ensure!(bytes == "hello");
                return Ok(());
            }
        }
    }
    anyhow::bail!("the connection ends early")
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_clients_of_older_protocols() -> Result<()> {
    let world = World::start().await?;
    for (protocol, stdout) in
        [("v4.channel.k8s.io", Message::binary(&b"\x01hi\n"[..])), ("v4.base64.channel.k8s.io", Message::text("1aGkK"))]
    {
        let protocol = format!("Sec-WebSocket-Protocol: {protocol}");
        let path = "one/exec?command=echo&command=hi&stdout=true";
        let answer = world.ask("GET", path, &[WEBSOCKET, &[&protocol]].concat()).await?;
        ensure!(
            answer.status == 101 && answer.head.to_lowercase().contains(&protocol.to_lowercase()),
            "{}",
            answer.head
        );
        let mut socket = WebSocketStream::from_raw_socket(answer.connection, Role::Client, None).await;
        ensure!(socket.try_next().await? == Some(stdout), "{protocol}");
    }
    Ok(())
}

/// As fabric8's client watches, and with it every operator of the Java Operator SDK.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_watch_as_messages() -> Result<()> {
    let world = World::start().await?;
    let origin = ["Origin: http://127.0.0.1"];
    let watch = "?watch=true&fieldSelector=metadata.name%3Done";
    // Without an origin, and with more than one protocol, a real server refuses, too.
    for (headers, status) in
        [(vec![], 403), (vec!["Origin: null"], 403), (vec![origin[0], "Sec-WebSocket-Protocol: a, b"], 400)]
    {
        let answer = world.ask("GET", watch, &[WEBSOCKET, &headers].concat()).await?;
        ensure!(answer.status == status, "{headers:?}: {}", answer.head);
    }
    for (accept, is_text) in [("application/json", true), ("application/vnd.kubernetes.protobuf;stream=watch", false)] {
        let accept = format!("Accept: {accept}");
        let answer = world.ask("GET", watch, &[WEBSOCKET, &origin, &[&accept]].concat()).await?;
        ensure!(answer.status == 101, "{}", answer.head);
        let mut socket = WebSocketStream::from_raw_socket(answer.connection, Role::Client, None).await;
        let added = socket.try_next().await?.context("the state")?;
        let labels = json!({"metadata": {"labels": {"seen": accept.len().to_string()}}});
        world.pods.patch("one", &PatchParams::default(), &Patch::Merge(labels)).await?;
        let modified = socket.try_next().await?.context("the change")?;
        for (message, kind) in [(added, "ADDED"), (modified, "MODIFIED")] {
            ensure!(message.is_text() == is_text, "{message:?}");
            let bytes = message.into_data();
            let found = match is_text {
                true => serde_json::from_slice::<Value>(&bytes)?["type"] == kind,
                false => bytes.windows(kind.len()).any(|part| part == kind.as_bytes()),
            };
            ensure!(found, "{kind}: {bytes:?}");
        }
        socket.close(None).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() -> Result<()> {
    let world = World::start().await?;
    let refused = |dialled: u16| format!("dial tcp 127.0.0.1:{dialled}: connect: connection refused");
    let port = world.kubelet.address.port();
    let cases: &[(&str, &str, &[&str], u16, &str)] = &[
        ("POST", "one/exec?command=ls", &[], 400, "Upgrade request required"),
        ("POST", "one/portforward", &[], 400, "Upgrade request required"),
        ("GET", "gone/exec?command=ls", WEBSOCKET, 404, "pods \\\"gone\\\" not found"),
        ("POST", "none/exec?command=ls", &[], 400, "pod none does not have a host assigned"),
        ("POST", "none/portforward?ports=1", &[], 400, "pod none does not have a host assigned"),
        ("POST", "lost/attach", SPDY, 404, "pods \\\"nowhere\\\" not found"),
        ("POST", "one/exec?container=x", SPDY, 400, "container x is not valid for pod one"),
        ("POST", "two/exec", SPDY, 400, "a container name must be specified for pod two, choose one of: [a b]"),
        (
            "POST",
            "one/portforward?ports=x",
            &[],
            400,
            "cannot convert to []int32: strconv.ParseUint: parsing \\\"x\\\": invalid syntax",
        ),
        (
            "PUT",
            "one/exec",
            &["Content-Length: 0"],
            405,
            "the server does not allow this method on the requested resource",
        ),
        ("POST", "one/exec?dryRun=All", &[], 400, "dryRun is not supported"),
        ("GET", "one/log?tailLines=-1", &[], 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("GET", "one/log?limitBytes=x", &[], 400, "strconv.ParseInt: parsing \\\"x\\\": invalid syntax"),
        ("GET", "one/proxy/x", &[], 400, "address not allowed"),
        ("GET", "a:b:c:d/proxy/x", &[], 400, "invalid pod request \\\"a:b:c:d\\\""),
        ("GET", "none/log", &[], 204, ""),
    ];
    for (method, path, headers, status, text) in cases {
        let answer = world.ask(method, path, &[*headers, &["Connection: close"]].concat()).await?;
        let code = answer.status;
        let body = answer.body().await?;
        ensure!(code == *status && body.contains(text), "{method} {path}: {code} {body}");
    }
    // The kubelet is gone.
    let World { cluster, kubelet, pods } = world;
    drop(kubelet);
    let pki = cluster.path("pki");
    let path = "/api/v1/namespaces/default/pods/one/exec?command=ls";
    let headers = [SPDY, &["Connection: close"]].concat();
    tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let answer = upgrade::ask(&cluster.frontends[0].url, &pki, "admin", "POST", path, &headers).await?;
            let (code, body) = (answer.status, answer.body().await?);
            if code == 500 && body.contains(&format!("error dialing backend: {}", refused(port))) {
                return Ok::<_, anyhow::Error>(());
            }
        }
    })
    .await
    .context("a kubelet that is gone is not told")??;
    let error = pods.logs("one", &LogParams::default()).await.unwrap_err().to_string();
    let want = format!("Get \"https://127.0.0.1:{port}/containerLogs/default/one/main\": {}", refused(port));
    ensure!(error.contains(&want), "{error}");
    let mut process = pods.exec("one", ["ls"], &AttachParams::default()).await?;
    let status = process.take_status().context("a status")?.await.context("no status")?;
    let want = format!(
        "Post \"https://127.0.0.1:{port}/exec/default/one/main?command=ls&error=1&output=1\": {}",
        refused(port)
    );
    let message = status.message.unwrap_or_default();
    ensure!(message.contains(&want), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_runs_nothing() -> Result<()> {
    let world = World::start().await?;
    let admin = Kubectl::find("who_may_only_read_runs_nothing");
    let Some(program) = admin else { return Ok(()) };
    let kubectl = Kubectl::new(&program, &world.cluster.frontends[0].kubeconfig, world.cluster.path("home"));
    kubectl.run(&["create", "role", "reader", "--verb=get", "--resource=pods/exec,pods/attach,pods/portforward"])?;
    kubectl.run(&["create", "rolebinding", "reader", "--role=reader", "--user=nobody"])?;
    let pki = world.cluster.path("pki");
    for subresource in ["exec", "attach", "portforward"] {
        let path = format!("/api/v1/namespaces/default/pods/one/{subresource}?command=ls&stdout=1");
        let headers = [WEBSOCKET, &["Sec-WebSocket-Protocol: v5.channel.k8s.io"]].concat();
        let answer = upgrade::ask(&world.cluster.frontends[0].url, &pki, "nobody", "GET", &path, &headers).await?;
        ensure!(answer.status == 403, "{subresource}: {}", answer.head);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions() -> Result<()> {
    let world = World::start().await?;
    let run = |number: usize| {
        let pods = world.pods.clone();
        async move {
            let word = format!("word {number}");
            let mut process = pods.exec("one", ["echo", "-n", &word], &AttachParams::default().stderr(false)).await?;
            let stdout = all(process.stdout().context("stdout")?).await?;
            ensure!(stdout == word, "{stdout:?} instead of {word:?}");
            process.join().await.context("the session ends badly")
        }
    };
    futures::future::try_join_all((0..100).map(run)).await?;
    for number in 0..50 {
        run(number).await?;
    }
    Ok(())
}
