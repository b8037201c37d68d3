//! A peer for tests: an HTTPS server with a certificate of its own that answers as it is told to.

use std::{convert::Infallible, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a peer was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Of the peer itself.
    pub(crate) url: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub(crate) type Answer = Response<String>;

pub(crate) fn answer(status: u16, body: impl ToString) -> Answer {
    let mut answer = Response::new(body.to_string());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer.headers_mut().insert(http::header::CONTENT_TYPE, "application/json".parse().unwrap());
    answer
}

/// Runs until it is dropped.
pub(crate) struct StandIn {
    pub(crate) url: String,
    /// PEM of its certificate.
    pub(crate) ca: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

impl StandIn {
    pub(crate) async fn start(answers: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> StandIn {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let shared = Arc::new((answers, Arc::clone(&asked), url.clone()));
        let stopped = stop.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(stopped.clone().run_until_cancelled_owned(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let shared = Arc::clone(&shared);
                        async move {
                            let (answers, asked, url) = &*shared;
                            let request = received(url, request).await;
                            asked.lock().push(request.clone());
                            Ok::<_, Infallible>(answers(&request).map(|body| Full::new(Bytes::from(body))))
                        }
                    });
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(tls), service).await;
                }));
            }
        }));
        let folder = tempfile::tempdir().unwrap();
        StandIn { url, ca: made.cert.pem(), asked, folder, _stop: stop.drop_guard() }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// A file that leads to it, with a token to show.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let path = self.folder.path().join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{}/hook', certificate-authority-data: {}}}}}]\n\
             users: [{{name: u, user: {{token: shown}}}}]\n",
            self.url,
            BASE64_STANDARD.encode(&self.ca)
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

async fn received(url: &str, request: Request<Incoming>) -> Asked {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    Asked { url: url.to_owned(), path, headers: parts.headers, body }
}
