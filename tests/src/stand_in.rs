//! The services that an operator's settings lead to, as one HTTPS server: an issuer of OpenID Connect with one key, an
//! authenticator of tokens, an authorizer of requests and a converter of custom resources.

use std::{convert::Infallible, path::Path, sync::Arc};

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes of a coordinate of P-256.
const COORDINATE: usize = 32;

/// Runs until it is dropped.
pub struct StandIn {
    pub url: String,
    key: Arc<KeyPair>,
    _stop: DropGuard,
}

impl StandIn {
    /// Serves with a leaf of a test's authority (`pki::write`).
    pub async fn start(pki: &Path, leaf: &str) -> Result<StandIn> {
        let read = |end: &str| std::fs::read(pki.join(format!("{leaf}.{end}")));
        let (chain, private) = (read("crt")?, read("key")?);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>()?;
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(&private)?)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}", listener.local_addr()?);
        let key = Arc::new(KeyPair::generate()?);
        let stop = CancellationToken::new();
        let shared = Arc::new((url.clone(), Arc::clone(&key)));
        let stopped = stop.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(stopped.clone().run_until_cancelled_owned(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(tls), service).await;
                }));
            }
        }));
        Ok(StandIn { url, key, _stop: stop.drop_guard() })
    }

    /// A kubeconfig that leads to a path of it.
    pub fn kubeconfig(&self, file: &Path, path: &str, ca: &Path) -> Result<()> {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{}{path}', certificate-authority: {}}}}}]\n",
            self.url,
            ca.display()
        );
        Ok(std::fs::write(file, text)?)
    }

    /// A token of the issuer.
    pub fn token(&self, claims: &Value) -> Result<String> {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let header = json!({"alg": "ES256", "kid": "k"});
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = fixed(&self.key.sign(signed.as_bytes())?).context("a signature of P-256")?;
        Ok(format!("{signed}.{}", encode(&signature)))
    }
}

/// The two numbers of a signature in DER, as tokens have them.
fn fixed(der: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = der.get(2..)?;
    for _ in 0..2 {
        let length = usize::from(*rest.get(1)?);
        let number = rest.get(2..2 + length)?;
        let digits = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        out.extend(std::iter::repeat_n(0, COORDINATE.checked_sub(digits.len())?));
        out.extend_from_slice(digits);
        rest = &rest[2 + length..];
    }
    Some(out)
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<(String, Arc<KeyPair>)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (url, key) = &*shared;
    let said = match path.as_str() {
        "/.well-known/openid-configuration" => json!({"issuer": url, "jwks_uri": format!("{url}/keys")}),
        "/keys" => {
            let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
            let point = key.der_bytes();
            let (x, y) = (encode(&point[1..=COORDINATE]), encode(&point[1 + COORDINATE..]));
            json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y}]})
        }
        "/tokens" => match asked["spec"]["token"].as_str().and_then(|token| token.strip_prefix("hook-")) {
            Some(name) => json!({"status": {"authenticated": true, "user": {"username": name}}}),
            None => json!({"status": {"authenticated": false}}),
        },
        "/access" => {
            let known = asked["spec"]["group"].as_array().into_iter().flatten().any(|g| g == "system:authenticated");
            let allowed = known && asked["spec"]["resourceAttributes"]["resource"] == "configmaps";
            json!({"status": {"allowed": allowed}})
        }
        path => match path.strip_prefix("/convert/") {
            Some(way) => crate::converter::answer(way, &asked),
            None => Value::Null,
        },
    };
    let mut response = Response::new(Full::from(said.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(response)
}
