//! A kubelet stand-in: the HTTP API of a kubelet over TLS with client certificates, for which containers are processes
//! of this host.
//!
//! In: requests as kube-apiserver makes them. Out: logs, and exec, attach and port forwarding over SPDY/3.1 and over
//! WebSocket. `/echo/...` answers what was asked, for the proxy of nodes. Not here: pods.

pub mod process;
pub mod spdy;
mod streams;
mod websocket;

use std::{convert::Infallible, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use process::{ERROR, RESIZE, STDERR, STDIN, STDOUT};
use rustls::{RootCertStore, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use websocket::Encoding;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A running stand-in. It ends when it is dropped.
pub struct Kubelet {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kubelet {
    /// Serves on loopback with the certificate `NAME.crt` of `dir`, to clients that `ca.crt` signed.
    pub async fn start(dir: &Path, name: &str) -> Result<Kubelet> {
        let read = |file: String| std::fs::read(dir.join(&file)).with_context(|| format!("reading {file}"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&read("ca.crt".to_owned())?) {
            roots.add(certificate?)?;
        }
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let chain = CertificateDer::pem_slice_iter(&read(format!("{name}.crt"))?).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&read(format!("{name}.key"))?)?;
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(tls))));
        Ok(Kubelet { address, task })
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor) {
    while let Ok((tcp, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            let Ok(stream) = tls.accept(tcp).await else { return };
            let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request)) });
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = served.with_upgrades().await;
        });
    }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

fn text(code: StatusCode, words: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(words));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Names and values of the query, in order.
fn query(request: &Request<Incoming>) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let url = text.replace('+', " ");
        let bytes = url.as_bytes();
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let hex = url.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
            match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(byte) => {
                    out.push(byte);
                    at += 3;
                }
                None => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    };
    let pairs = request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn answer(request: Request<Incoming>) -> Response<Body> {
    let segments: Vec<String> = request.uri().path().trim_matches('/').split('/').map(str::to_owned).collect();
    match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["containerLogs", _, pod, container] => log(&request, pod, container),
        ["exec", _, _, _] => {
            let command = query(&request).into_iter().filter(|(name, _)| name == "command").map(|(_, word)| word);
            let command = command.collect();
            stream(request, Work::Exec(command))
        }
        // What is attached to says what it reads.
        ["attach", _, _, _] => stream(request, Work::Exec(vec!["cat".to_owned()])),
        ["portForward", _, _] => {
            let ports = query(&request).into_iter().filter(|(name, _)| name == "port");
            let ports =
                ports.flat_map(|(_, ports)| ports.split(',').filter_map(|p| p.parse().ok()).collect::<Vec<_>>());
            let ports = ports.collect();
            stream(request, Work::PortForward(ports))
        }
        ["echo", ..] => {
            let said = format!("{} {}\n{:?}\n", request.method(), request.uri(), request.headers());
            text(StatusCode::OK, said)
        }
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

fn log(request: &Request<Incoming>, pod: &str, container: &str) -> Response<Body> {
    let query = query(request);
    let given = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if container == "gone" {
        return text(StatusCode::NOT_FOUND, format!("container {container:?} not found in pod {pod:?}"));
    }
    let mut lines: Vec<String> = (1..=5).map(|number| format!("{pod} {container} line {number}\n")).collect();
    if let Some(count) = given("tailLines").and_then(|count| count.parse::<usize>().ok()) {
        lines.drain(..lines.len().saturating_sub(count));
    }
    lines.insert(0, format!("{}\n", request.uri()));
    let chunks = futures::stream::iter(lines.into_iter().map(|line| Ok(Frame::data(Bytes::from(line)))));
    let mut response = Response::new(match given("follow") {
        // There may be more to come, for ever.
        Some("true") => StreamBody::new(chunks.chain(futures::stream::pending())).boxed_unsync(),
        _ => StreamBody::new(chunks).boxed_unsync(),
    });
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// What a stream is for.
enum Work {
    Exec(Vec<String>),
    PortForward(Vec<u16>),
}

fn stream(mut request: Request<Incoming>, work: Work) -> Response<Body> {
    let asked = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let upgrade = asked(header::UPGRADE).unwrap_or_default().to_ascii_lowercase();
    let query = query(&request);
    let wanted: Vec<u8> = [("input", STDIN), ("output", STDOUT), ("error", STDERR), ("tty", RESIZE)]
        .into_iter()
        .filter(|(name, _)| query.iter().any(|pair| pair == &((*name).to_owned(), "1".to_owned())))
        .map(|(_, channel)| channel)
        .chain([ERROR])
        .collect();
    // A terminal has one output.
    let tty = wanted.contains(&RESIZE);
    let wanted: Vec<u8> = wanted.into_iter().filter(|channel| !tty || *channel != STDERR).collect();
    let headers = match upgrade.as_str() {
        "spdy/3.1" => spdy_answer(request.headers(), &work),
        "websocket" => websocket_answer(request.headers(), &work),
        _ => Err((StatusCode::BAD_REQUEST, "unable to upgrade: missing upgrade headers in request".to_owned())),
    };
    let (headers, encoding) = match headers {
        Ok(agreed) => agreed,
        Err((code, why)) => return text(code, why),
    };
    let connection = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = connection.await else { return };
        let io: TokioIo<Upgraded> = TokioIo::new(upgraded);
        // Clients that leave are no failure.
        let _ = match (work, encoding) {
            (Work::Exec(command), None) => streams::exec(io, command, &wanted).await,
            (Work::Exec(command), Some(encoding)) => websocket::exec(io, command, encoding).await,
            (Work::PortForward(_), None) => streams::port_forward(io).await,
            (Work::PortForward(ports), Some(_)) => websocket::port_forward(io, ports).await,
        };
    });
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response
}

/// The headers of a 101, and how a WebSocket is written.
type Agreed = (HeaderMap, Option<Encoding>);

/// The code and the words of a refusal.
type Refused = (StatusCode, String);

fn offered(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|word| word.trim().to_owned()).collect()
}

fn switching(upgrade: &'static str) -> HeaderMap {
    [(header::CONNECTION, HeaderValue::from_static("Upgrade")), (header::UPGRADE, HeaderValue::from_static(upgrade))]
        .into_iter()
        .collect()
}

fn spdy_answer(headers: &HeaderMap, work: &Work) -> Result<Agreed, Refused> {
    let known: &[&str] = match work {
        Work::Exec(_) => &["v5.channel.k8s.io", "v4.channel.k8s.io"],
        Work::PortForward(_) => &["portforward.k8s.io"],
    };
    let offered = offered(headers, "x-stream-protocol-version");
    let Some(agreed) = offered.iter().find_map(|word| known.iter().find(|known| *known == word)) else {
        let why = format!("unable to upgrade: unable to negotiate protocol: client supports {offered:?}");
        return Err((StatusCode::FORBIDDEN, why));
    };
    let mut headers = switching("SPDY/3.1");
    headers.insert("x-stream-protocol-version", HeaderValue::from_static(agreed));
    Ok((headers, None))
}

fn websocket_answer(headers: &HeaderMap, work: &Work) -> Result<Agreed, Refused> {
    let known: &[(&str, Encoding)] = match work {
        Work::Exec(_) => &[("v4.channel.k8s.io", Encoding::Binary), ("v4.base64.channel.k8s.io", Encoding::Base64)],
        Work::PortForward(_) => &[("v4.channel.k8s.io", Encoding::Binary)],
    };
    let offered = offered(headers, "sec-websocket-protocol");
    let Some((name, encoding)) = offered.iter().find_map(|word| known.iter().find(|known| known.0 == word)) else {
        return Err((StatusCode::FORBIDDEN, String::new()));
    };
    let key = headers.get("sec-websocket-key").map(HeaderValue::as_bytes).unwrap_or_default();
    let proof = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    let mut headers = switching("websocket");
    let proof = HeaderValue::from_str(&proof).map_err(|_| (StatusCode::BAD_REQUEST, String::new()))?;
    headers.insert("sec-websocket-accept", proof);
    headers.insert("sec-websocket-protocol", HeaderValue::from_static(name));
    Ok((headers, Some(*encoding)))
}
