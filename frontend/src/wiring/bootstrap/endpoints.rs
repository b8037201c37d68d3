//! The endpoints of the kubernetes Service: the addresses of all live servers, kept by all of them.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{SelfClient, ServerLeases, server_leases::LeaseError};
use crate::{request::status::ApiError, verbs::Context};

/// How often the key is renewed and the endpoints are compared.
const RECONCILE_EVERY: Duration = Duration::from_secs(10);

const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/// Keeps Endpoints and EndpointSlice equal to the live servers.
pub(crate) struct EndpointsKeeper {
    context: Arc<Context>,
    client: SelfClient,
    leases: ServerLeases,
    port: u16,
    /// The port is this server's word once, at start; afterwards servers that share an address would only fight over
    /// it.
    port_settled: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("no server's address is in the store; the endpoints are left as they are")]
    NoServers,
}

impl ReconcileError {
    /// What was written is invalid, and will be.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, ReconcileError::Api(error) if error.code == 422)
    }
}

impl EndpointsKeeper {
    pub(crate) fn new(context: Arc<Context>, client: SelfClient, leases: ServerLeases, port: u16) -> EndpointsKeeper {
        EndpointsKeeper { context, client, leases, port, port_settled: false }
    }

    /// Once now: for readiness.
    pub(crate) async fn reconcile(&mut self) -> Result<(), ReconcileError> {
        self.leases.renew(&self.context.cluster).await?;
        let addresses = self.leases.addresses(&self.context.cluster).await?;
        if addresses.is_empty() {
            return Err(ReconcileError::NoServers);
        }
        self.write(&addresses).await?;
        self.port_settled = true;
        Ok(())
    }

    /// Until `stop`; then takes this server out of the endpoints, so that nobody is sent to it.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(RECONCILE_EVERY)).await.is_some() {
            if let Err(error) = self.reconcile().await {
                tracing::warn!(%error, "cannot keep the endpoints of the kubernetes Service");
            }
        }
        if let Err(error) = self.leave().await {
            tracing::warn!(%error, "cannot leave the endpoints of the kubernetes Service");
        }
    }

    async fn leave(&mut self) -> Result<(), ReconcileError> {
        self.leases.remove(&self.context.cluster).await?;
        let addresses = self.leases.addresses(&self.context.cluster).await?;
        self.write(&addresses).await?;
        Ok(())
    }

    async fn write(&self, addresses: &[String]) -> Result<(), ApiError> {
        self.write_endpoints(addresses).await?;
        self.write_slice(addresses).await
    }

    async fn write_endpoints(&self, addresses: &[String]) -> Result<(), ApiError> {
        let ports = json!([{"name": "https", "port": self.port, "protocol": "TCP"}]);
        let targets: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
        let path = format!("{ENDPOINTS}/kubernetes");
        let Some(mut found) = self.client.get(&path).await? else {
            return self.client.ensure(ENDPOINTS, &endpoints(targets, ports)).await;
        };
        let kept = found["subsets"][0]["addresses"].as_array().map(|all| all.iter().filter_map(|a| a["ip"].as_str()));
        let kept: Vec<String> = kept.map(|ips| ips.map(str::to_owned).collect()).unwrap_or_default();
        let port_kept = self.port_settled || found["subsets"][0]["ports"][0]["port"] == json!(self.port);
        if same(&kept, addresses) && port_kept {
            return Ok(());
        }
        let ports = if port_kept { found["subsets"][0]["ports"].take() } else { ports };
        found["subsets"] = match addresses {
            [] => json!([]),
            _ => json!([{"addresses": targets, "ports": ports}]),
        };
        self.client.replace(&path, &found).await
    }

    async fn write_slice(&self, addresses: &[String]) -> Result<(), ApiError> {
        let ports = json!([{"name": "https", "port": self.port, "protocol": "TCP"}]);
        let targets: Vec<Value> =
            addresses.iter().map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}})).collect();
        let path = format!("{SLICES}/kubernetes");
        let Some(mut found) = self.client.get(&path).await? else {
            return self.client.ensure(SLICES, &slice(targets, ports, addresses)).await;
        };
        let kept = found["endpoints"].as_array().map(|all| all.iter().filter_map(|e| e["addresses"][0].as_str()));
        let kept: Vec<String> = kept.map(|ips| ips.map(str::to_owned).collect()).unwrap_or_default();
        let port_kept = self.port_settled || found["ports"][0]["port"] == json!(self.port);
        if same(&kept, addresses) && port_kept {
            return Ok(());
        }
        found["endpoints"] = Value::Array(targets);
        if !port_kept {
            found["ports"] = ports;
        }
        self.client.replace(&path, &found).await
    }
}

fn same(kept: &[String], wanted: &[String]) -> bool {
    kept.len() == wanted.len() && wanted.iter().all(|ip| kept.contains(ip))
}

fn endpoints(targets: Vec<Value>, ports: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": targets, "ports": ports}],
    })
}

fn slice(targets: Vec<Value>, ports: Value, addresses: &[String]) -> Value {
    let is_ipv6 = addresses.first().is_some_and(|ip| ip.contains(':'));
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": if is_ipv6 { "IPv6" } else { "IPv4" },
        "endpoints": targets,
        "ports": ports,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::status::Reason;

    #[test]
    fn an_address_that_is_refused_is_not_offered_again_before_the_server_is_ready() {
        assert!(
            ReconcileError::from(ApiError::new(422, Reason::Invalid, "may not be in the loopback range")).is_final()
        );
        assert!(!ReconcileError::from(ApiError::new(503, Reason::ServiceUnavailable, "no store")).is_final());
        assert!(!ReconcileError::NoServers.is_final());
    }
}
