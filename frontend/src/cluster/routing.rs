//! Where a Service is that this server calls itself: a webhook, or an aggregated server.
//!
//! In: a Service's name and port. Out: an address, of the Service or, where the network of Services is out of this
//! server's reach, of one of its endpoints; or why there is none, in the words of Go's resolver. Not here: the call.

use std::time::Duration;

use rand::seq::SliceRandom;

use super::{Cluster, Endpoint, Remote, ResourceName, Webhook, Webhooks};
use crate::{
    api::schema::{Object, Value},
    client::{Address, CallError, Client, Reply},
    config::Routing,
};

pub const SERVICES: ResourceName<'static> = ("", "services");
pub const ENDPOINT_SLICES: ResourceName<'static> = ("discovery.k8s.io", "endpointslices");
/// What an EndpointSlice says whose it is by.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

impl Cluster {
    /// Calls a webhook, wherever it is now.
    pub async fn call_webhook(
        &self,
        webhooks: &Webhooks,
        hook: &Webhook<'_>,
        review: Vec<u8>,
        time: Duration,
    ) -> Result<Reply, CallError> {
        let address = match hook.endpoint {
            Endpoint::Service { namespace, name, port, .. } => {
                let url = hook.url(time)?;
                let failed = |CallError(why)| CallError(format!("Post {url:?}: {why}"));
                Some(self.address_of_service(namespace, name, *port).map_err(failed)?)
            }
            Endpoint::Url(_) | Endpoint::Nowhere => None,
        };
        webhooks.post(hook, address, review, time).await
    }

    /// Where an aggregated server is now.
    pub fn address_of(&self, remote: &Remote) -> Result<Address, CallError> {
        self.address_of_service(&remote.namespace, &remote.service, remote.port)
    }

    /// The connections to an address of an aggregated server.
    pub fn client_of(&self, remote: &Remote, address: &Address) -> Result<Client, CallError> {
        remote.client(address, self.aggregation.identity())
    }

    /// Where a port of a Service is.
    pub fn address_of_service(&self, namespace: &str, name: &str, port: u16) -> Result<Address, CallError> {
        if let (Some(own), ("default", "kubernetes", 443)) = (&self.settings.own_address, (namespace, name, port)) {
            return Ok(own.clone());
        }
        let found = self.informer().get(SERVICES, namespace, name).map_err(|error| CallError(error.message))?;
        let service = found.ok_or_else(|| CallError(format!("service {name:?} not found")))?;
        let text = |field: &str| service.get_str(&["spec", field]).unwrap_or_default().to_owned();
        let kind = text("type");
        match (kind.as_str(), self.settings.routing) {
            ("ExternalName", Routing::ClusterIp) => return Ok(Address { host: text("externalName"), port }),
            ("ClusterIP", Routing::ClusterIp) if text("clusterIP") == "None" => {
                return Err(CallError("cannot route to service with ClusterIP \"None\"".to_owned()));
            }
            ("ClusterIP" | "LoadBalancer" | "NodePort", _) => {}
            (other, _) => return Err(CallError(format!("unsupported service type {other:?}"))),
        }
        let ports = service.get_list(&["spec", "ports"]).unwrap_or_default();
        let Some(of_service) = ports.iter().find(|each| int(each, "port") == Some(i64::from(port))) else {
            return Err(CallError(format!("no service port {port} found for service {name:?}")));
        };
        match self.settings.routing {
            Routing::ClusterIp => Ok(Address { host: text("clusterIP"), port }),
            Routing::Endpoints => self.endpoint(&service, of_service),
        }
    }

    /// A ready endpoint by chance, of the Service's first family where it has one.
    fn endpoint(&self, service: &Object, port: &Value) -> Result<Address, CallError> {
        let name = service.name();
        let none = || CallError(format!("no endpoints available for service {name:?}"));
        let listed = self.informer().list(ENDPOINT_SLICES, service.namespace());
        let mut slices = listed.map_err(|error| CallError(error.message))?;
        slices.retain(|slice| slice.labels().any(|(key, value)| key == SERVICE_NAME_LABEL && value == name));
        slices.shuffle(&mut rand::rng());
        let families = service.get_list(&["spec", "ipFamilies"]).unwrap_or_default();
        if let Some(preferred) = families.first().and_then(Value::as_str) {
            slices.sort_by_key(|slice| slice.get_str(&["addressType"]) != Some(preferred));
        }
        let port_name = text(port, "name");
        let candidates = slices.iter().flat_map(|slice| {
            let ports = slice.get_list(&["ports"]).unwrap_or_default().iter();
            let number = ports.filter(|each| text(each, "name") == port_name).find_map(|each| int(each, "port"));
            let number = number.and_then(|number| u16::try_from(number).ok());
            let mut ready: Vec<&str> = number.map(|_| ready_addresses(slice)).unwrap_or_default();
            ready.shuffle(&mut rand::rng());
            ready.into_iter().next().zip(number)
        });
        let found = candidates.map(|(host, port)| Address { host: host.to_owned(), port }).next();
        found.ok_or_else(none)
    }
}

/// The first address of each endpoint that does not say it is not ready.
fn ready_addresses(slice: &Object) -> Vec<&str> {
    let endpoints = slice.get_list(&["endpoints"]).unwrap_or_default().iter();
    let ready = endpoints.filter(|each| each.at(&["conditions", "ready"]).and_then(Value::as_bool) != Some(false));
    ready.filter_map(|each| each.child("addresses")?.as_list()?.first()?.as_str()).collect()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.child(field).and_then(Value::as_str).unwrap_or_default()
}

fn int(value: &Value, field: &str) -> Option<i64> {
    value.child(field).and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        api::{Api, ApiHandle},
        cluster::{Aggregation, Conversions, Settings, SystemClock},
        store::{Store, StoreConfig},
    };

    #[tokio::test]
    async fn the_kubernetes_service_is_this_server_itself() {
        let own = Address { host: "127.0.0.1".to_owned(), port: 6443 };
        let cluster = Cluster {
            api: ApiHandle::new(Api::builtin()),
            store: Store::connect(StoreConfig::new(vec!["http://127.0.0.1:1".to_owned()])).await.unwrap(),
            clock: Arc::new(SystemClock),
            settings: Settings { own_address: Some(own.clone()), ..Settings::default() },
            conversions: Conversions::default(),
            writes: Default::default(),
            aggregation: Aggregation::default(),
            shutdown: tokio_util::sync::CancellationToken::new(),
        };
        assert_eq!(cluster.address_of_service("default", "kubernetes", 443), Ok(own));
        // Others are looked for in the store, which is not there.
        assert!(cluster.address_of_service("default", "kubernetes", 444).is_err());
        assert!(cluster.address_of_service("other", "kubernetes", 443).is_err());
    }
}
