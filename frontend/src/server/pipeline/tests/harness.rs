//! A server on a free port with throw-away certificates, and a small client for it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::{
        self, Access, Authorized,
        authn::{
            Anonymous, Authentication, Authority, CertificateAuthenticator, ForAudiences, TokenFile,
            service_account::ServiceAccounts,
        },
        authz::{Attributes, Authorization, Authorizer, Decision, rbac::Rbac},
    },
    admission::Admission,
    api::{Api, ApiHandle},
    cluster::{Aggregation, Cluster, Conversions, Settings, SystemClock},
    config::{self, Config},
    request::{
        body::{self, Body},
        status::ApiError,
    },
    server::{
        audit::Audit,
        health::{Asked, HealthChecks, Ping},
        metrics::Metrics,
        net::Listener,
        pipeline::{Limits, Resources, Server},
    },
    store::{Store, StoreConfig},
    verbs::{Backends, Context},
};

/// Answers by name: `panic`, `slow`, `warn`; a watch begins and never ends; a body is read; else the user's name.
struct StandIn {
    streaming: Arc<tokio::sync::Notify>,
    slow: Arc<tokio::sync::Notify>,
}

impl Resources for StandIn {
    fn serve<'a>(
        &'a self,
        _: &'a Arc<Context>,
        authorized: Authorized,
    ) -> BoxFuture<'a, Result<Response<Body>, ApiError>> {
        Box::pin(async move {
            let (request, user) = authorized.into_parts();
            if request.info.is_long_running() {
                self.streaming.notify_one();
                let begin = futures::stream::iter([Ok(Bytes::from("begin"))]);
                return Ok(Response::new(body::stream(begin.chain(futures::stream::pending()))));
            }
            match request.info.name.as_str() {
                "panic" => panic!("on purpose"),
                "slow" => {
                    self.slow.notify_one();
                    futures::future::pending().await
                }
                "warn" => request.notes.warnings.add("careful: \"x\""),
                _ => {}
            }
            request.body.read().await?;
            Ok(Response::new(body::full(user.name)))
        })
    }
}

/// Everybody may read health and the version.
struct Rules;

impl Authorizer for Rules {
    fn authorize<'a>(&'a self, asked: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            match asked.verb == "get" && ["/healthz", "/livez", "/readyz", "/version"].contains(&asked.path.as_str()) {
                true => Decision::allow(""),
                false => Decision::no_opinion(""),
            }
        })
    }
}

pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

pub(super) fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn authority() -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test authority");
    Issuer::new(params, KeyPair::generate().unwrap())
}

fn certificate_of(authority: &Issuer<'static, KeyPair>, user: &str, group: &str) -> Identity {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, user);
    params.distinguished_name.push(DnType::OrganizationName, group);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Identity { chain: vec![certificate.der().clone()], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
}

pub(super) struct Harness {
    address: SocketAddr,
    authority: Issuer<'static, KeyPair>,
    roots: RootCertStore,
    context: Arc<Context>,
    streaming: Arc<tokio::sync::Notify>,
    slow: Arc<tokio::sync::Notify>,
    stop: CancellationToken,
    serving: TaskTracker,
    _folder: tempfile::TempDir,
}

impl Harness {
    pub(super) async fn start() -> Harness {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority();
        let ca_file = folder.path().join("ca.crt");
        std::fs::write(&ca_file, ca_pem(&authority)).unwrap();
        let token_file = folder.path().join("tokens.csv");
        std::fs::write(&token_file, "admin,admin,1,\"system:masters\"\nalice,alice,2\n").unwrap();
        let cert_dir = format!("--cert-dir={}", folder.path().display());
        let flags = ["--etcd-servers=http://127.0.0.1:1", "--secure-port=0", &cert_dir];
        let config = Config::from_flags(&config::parse(flags.map(str::to_owned)).unwrap()).unwrap();
        let tokens = ForAudiences { tokens: TokenFile::read(&token_file).unwrap(), audiences: Vec::new() };
        let authentication = Authentication {
            ways: vec![Arc::new(CertificateAuthenticator(Authority::read("client-ca-file", &ca_file).unwrap()))],
            tokens: vec![Arc::new(tokens)],
            audiences: Vec::new(),
            anonymous: Anonymous::everywhere(true),
        };
        let context = context(&config, authentication).await;
        let (streaming, slow) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let server = Arc::new(Server {
            context: Arc::clone(&context),
            resources: Arc::new(StandIn { streaming: Arc::clone(&streaming), slow: Arc::clone(&slow) }),
            audit: Arc::new(Audit::off()),
            health: HealthChecks::default().with("ping", Asked::Everywhere, Arc::new(Ping)),
            metrics: Metrics::default(),
            request_timeout: Duration::from_secs(30),
            limits: Limits::new(Some(1), Some(1)),
            advertised: "127.0.0.1:1".into(),
            tasks: TaskTracker::new(),
        });
        let listener = Listener::bind(&config.listen, &["localhost".into()]).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, serving) = (CancellationToken::new(), TaskTracker::new());
        serving.spawn(listener.serve(server, stop.clone()));
        serving.close();
        let mut roots = RootCertStore::empty();
        let pem = std::fs::read(folder.path().join("apiserver.crt")).unwrap();
        roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(&pem).unwrap()).unwrap();
        Harness { address, authority, roots, context, streaming, slow, stop, serving, _folder: folder }
    }

    pub(super) fn client_certificate(&self, user: &str, group: &str) -> Identity {
        certificate_of(&self.authority, user, group)
    }

    pub(super) fn foreign_certificate(user: &str, group: &str) -> Identity {
        certificate_of(&authority(), user, group)
    }

    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send("GET", path, token, &[], "").await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = http::Request::builder().method(method).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.exchange(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap(), None).await
    }

    pub(super) async fn get_with_certificate(&self, path: &str, identity: Identity) -> Answer {
        let request = http::Request::builder().uri(path).header("host", "localhost");
        self.exchange(request.body(Full::default()).unwrap(), Some(identity)).await
    }

    async fn exchange(&self, request: http::Request<Full<Bytes>>, identity: Option<Identity>) -> Answer {
        let tls = self.connect(identity, &[]).await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        answer(sender.send_request(request).await.unwrap()).await
    }

    /// The same over HTTP/2. An answer whose stream breaks is none.
    pub(super) async fn send_over_http2(&self, method: &str, path: &str, token: &str) -> Answer {
        let tls = self.connect(None, &[b"h2"]).await;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::builder().method(method).uri(format!("https://localhost{path}"));
        let request = request.header("authorization", format!("Bearer {token}")).body(Full::<Bytes>::default());
        answer(sender.send_request(request.unwrap()).await.unwrap()).await
    }

    async fn connect(&self, identity: Option<Identity>, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(self.roots.clone());
        let mut config = match identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap()
    }

    pub(super) async fn until_slow(&self) {
        self.slow.notified().await;
    }

    pub(super) async fn stop_when_streaming(&self) {
        self.streaming.notified().await;
        self.context.cluster.shutdown.cancel();
        self.stop.cancel();
    }

    pub(super) async fn stopped(&self) {
        self.serving.wait().await;
    }
}

async fn answer(response: Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

fn ca_pem(authority: &Issuer<'static, KeyPair>) -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test authority");
    params.self_signed(authority.key()).unwrap().pem()
}

async fn context(config: &Config, authentication: Authentication) -> Arc<Context> {
    let cluster = Arc::new(Cluster {
        api: ApiHandle::new(Api::builtin()),
        store: Store::connect(StoreConfig::new(config.etcd.servers.clone())).await.unwrap(),
        clock: Arc::new(SystemClock),
        settings: Settings::default(),
        conversions: Conversions::default(),
        writes: Default::default(),
        aggregation: Aggregation::default(),
        shutdown: CancellationToken::new(),
    });
    let authorization = Authorization::new(vec![Arc::new(Rules)]);
    let accounts = &config.authentication.service_accounts;
    let service_accounts = Arc::new(
        ServiceAccounts::read(Arc::clone(&cluster), accounts, &[], None, &access::Metrics::default()).unwrap(),
    );
    let rbac = Arc::new(Rbac::new(Arc::clone(&cluster)));
    let access =
        Arc::new(Access { authentication, authorization, rbac, service_accounts, metrics: access::Metrics::default() });
    let backends = Backends::new(&config::Kubelet::default()).expect("no files are read");
    Arc::new(Context { cluster, access, admission: Admission::default(), backends })
}
