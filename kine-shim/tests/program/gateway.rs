//! The JSON gateway on real connections: WebSockets, uploads that stay open, metadata of many kilobytes.

use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use super::*;

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A socket on a path, with the headers a browser can set.
async fn socket(port: u16, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket> {
    let mut request = format!("ws://127.0.0.1:{port}{path}").into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value)?);
    }
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

async fn say(socket: &mut Socket, value: Value) -> Result<()> {
    Ok(socket.send(Message::text(value.to_string())).await?)
}

async fn heard(socket: &mut Socket) -> Result<Value> {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await?.context("closed")??;
    Ok(serde_json::from_str(message.to_text()?)?)
}

#[tokio::test]
async fn a_websocket_is_a_request_whose_body_stays_open() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &[])?;
    let channel = shim.channel().await?;
    let mut watch = socket(shim.port, "/v3/watch", &[]).await?;
    say(&mut watch, json!({"create_request": {"key": "YQ=="}})).await?;
    ensure!(heard(&mut watch).await?["result"]["created"] == true);
    put(&channel, "a", "1").await?;
    let event = heard(&mut watch).await?;
    ensure!(event["result"]["events"][0]["kv"]["value"] == "MQ==", "{event}");
    // On the same socket, once the first answers were heard.
    say(&mut watch, json!({"create_request": {"key": "Yg==", "watch_id": "5"}})).await?;
    ensure!(heard(&mut watch).await?["result"]["watch_id"] == "5");
    say(&mut watch, json!({"cancel_request": {"watch_id": "0"}})).await?;
    ensure!(heard(&mut watch).await?["result"]["canceled"] == true);
    watch.send(Message::Ping("are you there?".into())).await?;
    let pong = tokio::time::timeout(PATIENCE, watch.next()).await?.context("closed")??;
    ensure!(matches!(pong, Message::Pong(_)), "{pong:?}");

    watch.close(None).await?;
    eventually("the watch has ended", PATIENCE, || async {
        ensure!(shim.get("/metrics").await?.1.contains("\netcd_debugging_mvcc_watcher_total 0\n"));
        Ok(())
    })
    .await?;
    let _open = socket(shim.port, "/v3/watch", &[]).await?;
    stopped_in_order(&mut shim)
}

#[tokio::test]
async fn a_websocket_says_its_token_as_a_browser_can() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &[])?;
    let channel = shim.channel().await?;
    let mut auth = pb::auth_client::AuthClient::new(channel.clone());
    auth.user_add(pb::AuthUserAddRequest { name: "root".into(), password: "p".into(), ..Default::default() }).await?;
    auth.role_add(pb::AuthRoleAddRequest { name: "root".into() }).await?;
    auth.user_grant_role(pb::AuthUserGrantRoleRequest { user: "root".into(), role: "root".into() }).await?;
    auth.auth_enable(pb::AuthEnableRequest {}).await?;
    let asked = pb::AuthenticateRequest { name: "root".into(), password: "p".into() };
    let token = auth.authenticate(asked).await?.into_inner().token;
    let created = async |headers: &[(&'static str, &str)]| {
        let mut watch = socket(shim.port, "/v3/watch", headers).await?;
        say(&mut watch, json!({"create_request": {"key": "YQ=="}})).await?;
        heard(&mut watch).await
    };
    let protocol = format!("Bearer, {token}");
    let known = created(&[("sec-websocket-protocol", &protocol)]).await?;
    ensure!(known["result"]["created"] == true && known["result"]["canceled"] != true, "{known}");
    let unknown = created(&[]).await?;
    ensure!(unknown["result"]["created"] != true || unknown["result"]["canceled"] == true, "{unknown}");
    stopped_in_order(&mut shim)
}

/// One HTTP/2 request over TLS whose body goes on while its answer is read, as etcd's gateway does it.
#[tokio::test]
async fn an_upload_over_tls_may_stay_open() -> Result<()> {
    let folder = tempfile::tempdir()?;
    super::tls::certificates(folder.path())?;
    let shim = super::tls::guarded(folder.path(), &[])?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.path().join("ca.crt"))?)?;
    let chain = vec![CertificateDer::from_pem_file(folder.path().join("client.crt"))?];
    let key = PrivateKeyDer::from_pem_file(folder.path().join("client.key"))?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = eventually("the port", PATIENCE, || async {
        let stream = TcpStream::connect(("127.0.0.1", shim.port)).await?;
        Ok(connector.connect(ServerName::try_from("localhost")?, stream).await?)
    })
    .await?;
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (words, said) = tokio::sync::mpsc::channel::<Result<Frame<bytes::Bytes>, std::convert::Infallible>>(1);
    let word = |value: Value| Ok(Frame::data(bytes::Bytes::from(value.to_string())));
    words.send(word(json!({"create_request": {"key": "YQ=="}}))).await?;
    let request = Request::post("https://localhost/v3/watch").body(StreamBody::new(ReceiverStream::new(said)))?;
    let answer = tokio::time::timeout(PATIENCE, http2.send_request(request)).await??;
    ensure!(answer.status() == StatusCode::OK);
    let mut body = answer.into_body();
    let mut heard = async || -> Result<Value> {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await?.context("ended")??;
        Ok(serde_json::from_slice(&frame.into_data().ok().context("no data")?)?)
    };
    ensure!(heard().await?["result"]["created"] == true);
    words.send(word(json!({"progress_request": {}}))).await?;
    let progress = heard().await?;
    ensure!(progress["result"]["header"]["revision"] == "1", "{progress}");
    Ok(())
}

#[tokio::test]
async fn metadata_may_be_as_large_as_for_go() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &[])?;
    let channel = shim.channel().await?;
    for bytes in [20 << 10, 200 << 10] {
        let mut request = tonic::Request::new(pb::RangeRequest { key: "a".into(), ..Default::default() });
        request.metadata_mut().insert("x-long", "v".repeat(bytes).parse()?);
        KvClient::new(channel.clone()).range(request).await.with_context(|| format!("{bytes} bytes of metadata"))?;
        let head =
            format!("POST /v3/kv/range HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Long: {}", "v".repeat(bytes));
        let answer = exchange(shim.port, &format!("{head}\r\nContent-Length: 14\r\n\r\n{{\"key\":\"YQ==\"}}")).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{bytes}: {answer:.300}");
    }
    Ok(())
}

#[tokio::test]
async fn paths_with_empty_pieces_are_sent_on() -> Result<()> {
    let mut shim = Shim::start("memory:", "http", &[])?;
    shim.channel().await?;
    for (path, to) in [("//v3/kv/range", "/v3/kv/range"), ("/v3//kv/../watch?a=b", "/v3/watch?a=b")] {
        let asked = format!("POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        let answer = exchange(shim.port, &asked).await?;
        ensure!(answer.starts_with("HTTP/1.1 301") && answer.contains(&format!("location: {to}\r\n")), "{answer}");
    }
    Ok(())
}
