//! Whether an aggregated server is well: its Service and endpoints are there, and it answers.
//!
//! In: a server. Out: a condition, with the reasons and texts of the original. The certificate of the server is not
//! checked here: a server that passes may still not be trusted by those who are sent to it.

use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};
use http::{HeaderMap, HeaderValue, Method, Request};

use crate::{
    api::schema::{Object, Value},
    client::{Client, Peer},
    cluster::{Cluster, ENDPOINT_SLICES, Remote, SERVICE_NAME_LABEL, SERVICES},
    request::body,
};

/// Asked so often at once: a Service may lead to several servers, of which one that answers is enough.
const ATTEMPTS: usize = 5;
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) status: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Condition {
    pub(super) fn passed() -> Condition {
        Condition { status: "True", reason: "Passed", message: "all checks passed".to_owned() }
    }

    pub(super) fn failed(reason: &'static str, message: String) -> Condition {
        Condition { status: "False", reason, message }
    }

    fn unknown(reason: &'static str, message: String) -> Condition {
        Condition { status: "Unknown", reason, message }
    }

    pub(super) fn is_true(&self) -> bool {
        self.status == "True"
    }
}

pub(super) async fn check(cluster: &Cluster, remote: &Remote) -> Condition {
    if let Some(fault) = fault_of_service(cluster, remote) {
        return fault;
    }
    let mut attempts: FuturesUnordered<_> = (0..ATTEMPTS).map(|_| ask(cluster, remote)).collect();
    let mut last = String::new();
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(()) => return Condition::passed(),
            Err(why) => last = why,
        }
    }
    Condition::failed("FailedDiscoveryCheck", last)
}

/// What is wrong with the Service, as far as its objects tell.
fn fault_of_service(cluster: &Cluster, remote: &Remote) -> Option<Condition> {
    let named = format!("service/{} in {:?}", remote.service, remote.namespace);
    let service = match cluster.informer().get(SERVICES, &remote.namespace, &remote.service) {
        Ok(Some(service)) => service,
        Ok(None) => return Some(Condition::failed("ServiceNotFound", format!("{named} is not present"))),
        Err(error) => {
            let why = format!("{named} cannot be checked due to: {}", error.message);
            return Some(Condition::unknown("ServiceAccessError", why));
        }
    };
    if service.get_str(&["spec", "type"]) != Some("ClusterIP") {
        return None;
    }
    let mut ports = service.get_list(&["spec", "ports"]).unwrap_or_default().iter();
    let wanted = i64::from(remote.port);
    let Some(port) = ports.find(|port| port.child("port").and_then(Value::as_i64) == Some(wanted)) else {
        let why = format!("{named} is not listening on port {wanted}");
        return Some(Condition::failed("ServicePortError", why));
    };
    let port_name = port.child("name").and_then(Value::as_str).unwrap_or_default();
    let mut slices = match cluster.informer().list(ENDPOINT_SLICES, &remote.namespace) {
        Ok(slices) => slices,
        Err(error) => {
            let why = format!("{named} cannot be checked due to: {}", error.message);
            return Some(Condition::unknown("EndpointsAccessError", why));
        }
    };
    slices.retain(|slice| slice.labels().any(|(key, value)| key == SERVICE_NAME_LABEL && value == remote.service));
    if slices.is_empty() {
        return Some(Condition::failed("EndpointsNotFound", format!("cannot find endpointslices for {named}")));
    }
    if slices.iter().any(|slice| is_ready(slice) && has_port(slice, port_name)) {
        return None;
    }
    let why = format!("endpointslices for {named} have no addresses with port name {port_name:?}");
    Some(Condition::failed("MissingEndpoints", why))
}

fn is_ready(slice: &Object) -> bool {
    let mut endpoints = slice.get_list(&["endpoints"]).unwrap_or_default().iter();
    endpoints.any(|each| each.at(&["conditions", "ready"]).and_then(Value::as_bool) != Some(false))
}

fn has_port(slice: &Object, name: &str) -> bool {
    let mut ports = slice.get_list(&["ports"]).unwrap_or_default().iter();
    ports.any(|each| each.child("name").and_then(Value::as_str) == Some(name) && each.child("port").is_some())
}

/// One attempt.
async fn ask(cluster: &Cluster, remote: &Remote) -> Result<(), String> {
    let address = cluster.address_of(remote).map_err(|why| why.to_string())?;
    let authority = address.authority();
    let url = format!("https://{authority}{}", remote.root());
    let failing = |why: String| format!("failing or missing response from {url}: {why}");
    let peer = Peer { insecure: true, identity: cluster.aggregation.identity(), ..Peer::default() };
    let client = Client::new(&peer).map_err(|why| failing(why.to_string()))?;
    let mut request = Request::new(body::empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = url.parse().map_err(|error| failing(format!("{error}")))?;
    *request.headers_mut() = headers();
    let got = |why: &dyn std::fmt::Display| failing(format!("Get {url:?}: {why}"));
    match tokio::time::timeout(ATTEMPT_TIME_MAX, client.send(request)).await {
        Err(_) => Err(got(&"context deadline exceeded (Client.Timeout exceeded while awaiting headers)")),
        Ok(Err(why)) => Err(got(&why)),
        Ok(Ok(answer)) if (200..300).contains(&answer.status().as_u16()) => Ok(()),
        Ok(Ok(answer)) => Err(failing(format!("bad status from {url}: {}", answer.status().as_u16()))),
    }
}

/// Asked as somebody who may see everything.
pub(super) fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-remote-user", HeaderValue::from_static("system:kube-aggregator"));
    headers.insert("x-remote-group", HeaderValue::from_static("system:masters"));
    headers
}
