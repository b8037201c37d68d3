//! The objects that a server makes itself: its namespaces, the kubernetes Service, and the endpoints behind it.
//!
//! In: the shared context and the verbs, which are used as any client uses them. Out: objects in the store. Not here:
//! the leased keys by which servers know of each other (`server_leases`).

pub(crate) mod authentication;
mod endpoints;
pub(crate) mod fairness;
mod flow_schemas;
mod identity;
mod local_services;
pub(crate) mod roles;
mod server_leases;

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
pub(crate) use endpoints::EndpointsKeeper;
pub(crate) use flow_schemas::FlowSchemas;
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
pub(crate) use identity::Identity;
pub(crate) use local_services::LocalServices;
use serde_json::{Value, json};
pub(crate) use server_leases::ServerLeases;

use crate::{
    access::Authorized,
    cluster::Cluster,
    config::first_address,
    request::{
        Request,
        body::RequestBody,
        status::{ApiError, Reason},
    },
    server::pipeline::{Resources, VERSION},
    verbs::Context,
};

/// So many are made at a time: they share the store's round trips.
const AT_ONCE: usize = 16;
const NAMESPACES: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "default"];
const SERVICE_CIDRS: &str = "/apis/networking.k8s.io/v1/servicecidrs";

const PRIORITY_CLASSES: [(&str, i64, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

/// A client of this server inside this server: it may do everything and speaks JSON.
#[derive(Clone)]
pub(crate) struct SelfClient {
    context: Arc<Context>,
    resources: Arc<dyn Resources>,
    /// By what name this part of the server writes.
    agent: &'static str,
}

impl SelfClient {
    pub(crate) fn new(context: Arc<Context>, resources: Arc<dyn Resources>) -> SelfClient {
        SelfClient { context, resources, agent: "kube-apiserver" }
    }

    /// The same client by another name.
    fn named(&self, agent: &'static str) -> SelfClient {
        SelfClient { agent, ..self.clone() }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        let uri: http::Uri = path.parse().map_err(|e| ApiError::internal("bad path").with_internal(e))?;
        let agent = format!("{}/{VERSION}", self.agent);
        let mut headers = HeaderMap::new();
        headers
            .insert(header::USER_AGENT, HeaderValue::from_str(&agent).unwrap_or(HeaderValue::from_static("frontend")));
        let content = if method == Method::PATCH { "application/apply-patch+yaml" } else { "application/json" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
        let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = Request::local(&method, uri, headers, RequestBody::from_bytes(bytes))
            .map_err(|e| ApiError::internal(e.to_string()))?;
        let response = self.resources.serve(&self.context, Authorized::loopback(request)).await?;
        let unreadable = |e: &dyn std::fmt::Display| ApiError::internal("unreadable answer").with_internal(e);
        let bytes = response.into_body().collect().await.map_err(|e| unreadable(&e))?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|e| unreadable(&e))
    }

    /// The cluster that it is a client of.
    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        &self.context.cluster
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, ApiError> {
        match self.call(Method::GET, path, None).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.code == StatusCode::NOT_FOUND.as_u16() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object; one that exists already is left as it is.
    async fn ensure(&self, collection: &str, object: &Value) -> Result<(), ApiError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if self.get(&format!("{collection}/{name}")).await?.is_some() {
            return Ok(());
        }
        match self.call(Method::POST, collection, Some(object)).await {
            Err(error) if error.reason == Reason::AlreadyExists => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The same for objects that do not need one another.
    async fn ensure_all(&self, collection: &str, objects: impl Iterator<Item = Value>) -> Result<(), ApiError> {
        let ensure = |object: Value| async move { self.ensure(collection, &object).await };
        stream::iter(objects).map(Ok).try_for_each_concurrent(AT_ONCE, ensure).await
    }

    async fn create(&self, collection: &str, object: &Value) -> Result<(), ApiError> {
        self.call(Method::POST, collection, Some(object)).await.map(|_| ())
    }

    async fn delete(&self, path: &str) -> Result<(), ApiError> {
        self.call(Method::DELETE, path, None).await.map(|_| ())
    }

    /// Applies a configuration by the name of this client, to whomever its fields belong.
    async fn apply(&self, path: &str, configuration: &Value) -> Result<(), ApiError> {
        let path = format!("{path}?fieldManager={}&force=true", self.agent);
        self.call(Method::PATCH, &path, Some(configuration)).await.map(|_| ())
    }

    pub(super) async fn replace(&self, path: &str, object: &Value) -> Result<(), ApiError> {
        self.call(Method::PUT, path, Some(object)).await.map(|_| ())
    }
}

/// The namespaces that every cluster has.
pub(crate) async fn namespaces(client: &SelfClient) -> Result<(), ApiError> {
    let namespace = |name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    client.ensure_all("/api/v1/namespaces", NAMESPACES.into_iter().map(namespace)).await
}

/// The priority classes of what a cluster cannot do without.
pub(crate) async fn priority_classes(client: &SelfClient) -> Result<(), ApiError> {
    let class = |(name, value, description)| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        })
    };
    client.ensure_all("/apis/scheduling.k8s.io/v1/priorityclasses", PRIORITY_CLASSES.into_iter().map(class)).await
}

/// The Service by which pods reach the API, at the first address of the range, and the record of that range.
pub(crate) async fn kubernetes_service(client: &SelfClient, port: u16) -> Result<(), ApiError> {
    let ranges = &client.context.cluster.settings.service_cidrs;
    let cidrs: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    let range = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": cidrs},
    });
    client.ensure(SERVICE_CIDRS, &range).await?;
    report_range(client, &cidrs).await?;
    let Some(address) = ranges.first().map(first_address) else { return Ok(()) };
    client.ensure("/api/v1/namespaces/default/services", &service(address, port)).await
}

/// Says of the record of the range that it is ready: if it is the range of this server, and nobody said otherwise.
async fn report_range(client: &SelfClient, cidrs: &[String]) -> Result<(), ApiError> {
    let path = format!("{SERVICE_CIDRS}/kubernetes");
    let Some(found) = client.get(&path).await? else { return Ok(()) };
    let conditions = found["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_said = conditions.iter().any(|each| each["type"] == "Ready" && each["status"] != "Unknown");
    if is_said || !found["metadata"]["deletionTimestamp"].is_null() || found["spec"]["cidrs"] != json!(cidrs) {
        return Ok(());
    }
    let ready = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "status": {"conditions": [{
            "type": "Ready",
            "status": "True",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": client.context.cluster.now_text(),
        }]},
    });
    client.named("kubernetes-service-cidr-controller").apply(&format!("{path}/status"), &ready).await
}

fn service(address: IpAddr, port: u16) -> Value {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"provider": "kubernetes", "component": "apiserver"},
        },
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": [family],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "type": "ClusterIP",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
        },
    })
}
