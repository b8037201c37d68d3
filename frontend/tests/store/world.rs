//! The verbs of a server on a real store, asked without a connection.

use std::sync::Arc;

use frontend::{
    access::{
        Access, Authorized, Metrics,
        authn::{Anonymous, Authentication, service_account::ServiceAccounts},
        authz::{Authorization, rbac::Rbac},
    },
    admission::Admission,
    api::{Api, ApiHandle},
    cluster::{Aggregation, Cluster, Conversions, Settings, SystemClock},
    config::{self, Config},
    request::{Request, body::RequestBody, status::ApiError},
    store::{Store, StoreConfig},
    verbs::{self, Backends, Context},
};
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{rival::Rival, server::Server};

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) rival: Rival,
    /// Past the rival.
    pub(crate) direct: Store,
    context: Arc<Context>,
}

impl World {
    pub(crate) async fn start() -> Option<World> {
        let server = Server::start()?;
        let direct = server.store().await;
        let rival = Rival::start(&server.endpoints[0]).await;
        let context = context(&server, &direct, &rival).await;
        Some(World { server, rival, direct, context })
    }

    /// As a server that has just started: it knows nothing of what was.
    pub(crate) async fn restart(&mut self) {
        self.context = context(&self.server, &self.direct, &self.rival).await;
    }

    pub(crate) async fn call(&self, act: &Act) -> Result<Value, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", act.content_type.parse().unwrap());
        headers.insert("user-agent", "test".parse().unwrap());
        let body = RequestBody::from_bytes(act.body.as_ref().map_or_else(String::new, Value::to_string));
        let request = Request::local(&act.method, act.path.parse().unwrap(), headers, body).unwrap();
        let answer = verbs::dispatch(Arc::clone(&self.context), Authorized::loopback(request)).await?;
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        let act = Act { method: Method::GET, path: path.to_owned(), content_type: "application/json", body: None };
        self.call(&act).await.unwrap()["items"].as_array().cloned().unwrap_or_default()
    }
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// One request.
pub(crate) struct Act {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Option<Value>,
}

impl Act {
    pub(crate) fn of(method: Method, path: String, content_type: &'static str, body: Option<Value>) -> Act {
        Act { method, path, content_type, body }
    }
}

async fn context(server: &Server, direct: &Store, rival: &Rival) -> Arc<Context> {
    let config = StoreConfig { prefix: direct.prefix().to_owned(), ..StoreConfig::new(vec![rival.url.clone()]) };
    let settings = Settings { service_cidrs: vec!["10.0.0.0/24".parse().unwrap()], ..Settings::default() };
    let cluster = Arc::new(Cluster {
        api: ApiHandle::new(Api::builtin()),
        store: server.store_with(config).await,
        clock: Arc::new(SystemClock),
        settings,
        conversions: Conversions::default(),
        writes: Default::default(),
        aggregation: Aggregation::default(),
        shutdown: CancellationToken::new(),
    });
    let flags = ["--etcd-servers=http://127.0.0.1:1".to_owned()];
    let config = Config::from_flags(&config::parse(flags).unwrap()).unwrap();
    let accounts = &config.authentication.service_accounts;
    let authentication =
        Authentication { ways: vec![], tokens: vec![], audiences: vec![], anonymous: Anonymous::everywhere(false) };
    let metrics = Metrics::default();
    let access = Access {
        authentication,
        authorization: Authorization::new(vec![]),
        rbac: Arc::new(Rbac::new(Arc::clone(&cluster))),
        service_accounts: Arc::new(ServiceAccounts::read(Arc::clone(&cluster), accounts, &[], None, &metrics).unwrap()),
        metrics,
    };
    let backends = Backends::new(&config.kubelet).unwrap();
    Arc::new(Context { cluster, access: Arc::new(access), admission: Admission::default(), backends })
}
