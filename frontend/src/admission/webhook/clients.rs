//! The connections to webhooks: one client for each place and authority, kept while it is used.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, header};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::hook::{Hook, Place};
use crate::{
    api::schema::Value,
    client::{Address, CallError, Client, Peer, Reply},
    cluster::{Cluster, ResourceName},
};

/// So many clients are kept; another one makes all be made anew.
const CLIENTS_MAX: usize = 200;
/// So many requests wait for one webhook; more count as failed calls, so that one slow webhook cannot hold all
/// requests.
const WAITING_MAX: usize = 1000;
const SERVICES: ResourceName<'static> = ("", "services");

/// Where, trusting whom, and, for a Service, at which address.
type Key = (Place, Vec<u8>, Option<Address>);

#[derive(Default)]
pub(super) struct Clients {
    clients: Mutex<HashMap<Key, Client>>,
    /// The budget of each webhook that somebody waits for.
    waiting: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Clients {
    /// Sends a review and reads the answer.
    pub(super) async fn post(
        &self,
        cluster: &Cluster,
        hook: &Hook,
        review: Vec<u8>,
        time: Duration,
    ) -> Result<Reply, CallError> {
        let budget = self.budget(&hook.uid);
        let _place = budget
            .try_acquire()
            .map_err(|_| CallError(format!("{WAITING_MAX} requests are waiting for this webhook already")))?;
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        let url = format!("{}?timeout={seconds}s", base(&hook.place)?);
        let address = match &hook.place {
            Place::Service { namespace, name, port, .. } => {
                let found = address(cluster, namespace, name, *port);
                Some(found.map_err(|CallError(why)| CallError(format!("Post {url:?}: {why}")))?)
            }
            _ => None,
        };
        let client = self.client(hook, address)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("kube-apiserver-admission"));
        client.call(Method::POST, &url, headers, review.into(), time).await
    }

    fn budget(&self, uid: &str) -> Arc<Semaphore> {
        let mut waiting = self.waiting.lock();
        if let Some(budget) = waiting.get(uid).and_then(Weak::upgrade) {
            return budget;
        }
        waiting.retain(|_, budget| budget.strong_count() > 0);
        let budget = Arc::new(Semaphore::new(WAITING_MAX));
        waiting.insert(uid.to_owned(), Arc::downgrade(&budget));
        budget
    }

    fn client(&self, hook: &Hook, address: Option<Address>) -> Result<Client, CallError> {
        let key = (hook.place.clone(), hook.ca.clone(), address.clone());
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let server_name = match &hook.place {
            Place::Service { namespace, name, .. } => Some(format!("{name}.{namespace}.svc")),
            _ => None,
        };
        let client = Client::new(&Peer { ca: hook.ca.clone(), server_name, address, ..Peer::default() })?;
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// The address that is called, as errors show it.
fn base(place: &Place) -> Result<String, CallError> {
    Ok(match place {
        Place::Url(url) => {
            let host_end = url.find("://").map_or(0, |at| at + 3);
            let bare = !url[host_end..].contains('/');
            if bare { format!("{url}/") } else { url.clone() }
        }
        Place::Service { namespace, name, path, port } => {
            let slash = if path.starts_with('/') { "" } else { "/" };
            format!("https://{name}.{namespace}.svc:{port}{slash}{path}")
        }
        Place::Nowhere => return Err(CallError("webhook configuration must have either service or URL".to_owned())),
    })
}

/// Where a Service is: at its cluster IP, or at the name that it stands for.
fn address(cluster: &Cluster, namespace: &str, name: &str, port: u16) -> Result<Address, CallError> {
    let fail = |why: String| Err(CallError(why));
    let found = cluster.informer().get(SERVICES, namespace, name);
    let Some(service) = found.map_err(|error| CallError(error.message))? else {
        return fail(format!("service {name:?} not found"));
    };
    let text = |field: &str| service.get_str(&["spec", field]).unwrap_or_default().to_owned();
    let cluster_ip = text("clusterIP");
    match text("type").as_str() {
        "ExternalName" => return Ok(Address { host: text("externalName"), port }),
        "ClusterIP" if cluster_ip == "None" => {
            return fail("cannot route to service with ClusterIP \"None\"".to_owned());
        }
        "ClusterIP" | "LoadBalancer" | "NodePort" => {}
        other => return fail(format!("unsupported service type {other:?}")),
    }
    let mut ports = service.get_list(&["spec", "ports"]).unwrap_or_default().iter();
    match ports.any(|each| each.child("port").and_then(Value::as_i64) == Some(i64::from(port))) {
        true => Ok(Address { host: cluster_ip, port }),
        false => fail(format!("no service port {port} found for service {name:?}")),
    }
}
