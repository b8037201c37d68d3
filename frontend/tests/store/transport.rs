//! The endpoint-choosing channel against small servers in this process.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontend::store::{Store, StoreConfig, StoreError};
use proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RangeStreamResponse, ResponseHeader, TxnRequest, TxnResponse,
    kv_server::{Kv, KvServer},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

/// Answers reads with its own number as the revision, or with Unavailable.
#[derive(Clone)]
struct Numbered {
    number: i64,
    down: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Kv for Numbered {
    async fn range(&self, _: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("etcdserver: no leader"));
        }
        let header = ResponseHeader { revision: self.number, ..Default::default() };
        Ok(Response::new(RangeResponse { header: Some(header), ..Default::default() }))
    }

    type RangeStreamStream = tokio_stream::Empty<Result<RangeStreamResponse, Status>>;

    async fn range_stream(&self, _: Request<RangeRequest>) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn put(&self, _: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_range(&self, _: Request<DeleteRangeRequest>) -> Result<Response<DeleteRangeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn txn(&self, _: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        Err(Status::invalid_argument("etcdserver: request is too large"))
    }

    async fn compact(&self, _: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

async fn serve(number: i64, tls: Option<ServerTlsConfig>) -> (SocketAddr, Numbered) {
    let service = Numbered { number, down: Arc::default(), asked: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).unwrap();
    }
    let router = server.add_service(KvServer::new(service.clone()));
    // Ends with the test's runtime.
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, service)
}

#[tokio::test]
async fn an_endpoint_that_answers_unavailable_is_left_alone() {
    let (first_address, first) = serve(101, None).await;
    let (second_address, second) = serve(102, None).await;
    let servers = vec![format!("http://{first_address}"), format!("http://{second_address}")];
    let store = Store::connect(StoreConfig::new(servers)).await.unwrap();

    let in_use = store.current_revision().await.unwrap();
    // It stays where it is while that works.
    for _ in 0..5 {
        assert_eq!(store.current_revision().await.unwrap(), in_use);
    }
    let (mine, other) = if in_use == 101 { (&first, &second) } else { (&second, &first) };
    mine.down.store(true, Ordering::SeqCst);
    assert_eq!(store.current_revision().await.unwrap(), other.number);
    let asked = mine.asked.load(Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(store.current_revision().await.unwrap(), other.number);
    }
    assert!(mine.asked.load(Ordering::SeqCst) <= asked + 1, "a failed endpoint was asked all the time");

    // A refusal is an answer: nothing is retried.
    assert_eq!(store.create("/registry/things/a", "x", None).await, Err(StoreError::TooLarge));
    store.close().await;
}

/// A certificate authority, and PEM files signed by it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), issuer.pem()).unwrap();
        Authority { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes NAME.crt and NAME.key.
    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn tls_proves_both_sides() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    ours.issue("client", ExtendedKeyUsagePurpose::ClientAuth);
    foreign.issue("client", ExtendedKeyUsagePurpose::ClientAuth);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(ours.issuer.pem()));
    let (address, service) = serve(7, Some(tls)).await;

    let config = StoreConfig {
        ca: Some(ours.file("ca.crt")),
        cert: Some(ours.file("client.crt")),
        key: Some(ours.file("client.key")),
        ..StoreConfig::new(vec![format!("https://localhost:{}", address.port())])
    };
    let store = Store::connect(config.clone()).await.unwrap();
    assert_eq!(store.current_revision().await.unwrap(), 7);
    store.close().await;
    let asked = service.asked.load(Ordering::SeqCst);

    let refused = [
        StoreConfig { cert: Some(foreign.file("client.crt")), key: Some(foreign.file("client.key")), ..config.clone() },
        StoreConfig { cert: None, key: None, ..config.clone() },
        StoreConfig { ca: Some(foreign.file("ca.crt")), ..config.clone() },
        StoreConfig { servers: vec![format!("http://localhost:{}", address.port())], ..config.clone() },
    ];
    for config in refused {
        let stranger = Store::connect(config).await.unwrap();
        let probe = tokio::time::timeout(Duration::from_secs(5), stranger.health()).await.expect("an answer in time");
        assert!(probe.is_err());
        stranger.close().await;
    }
    assert_eq!(service.asked.load(Ordering::SeqCst), asked, "a stranger got through");
    let mismatched = StoreConfig { key: None, ..config };
    assert!(matches!(Store::connect(mismatched).await.map(drop), Err(StoreError::Config(_))));
}
