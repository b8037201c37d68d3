//! The connections to webhooks: one client for each place and authority, kept while it is used.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, header};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    super::configuration::decode,
    hook::{Hook, Place},
};
use crate::{
    api::schema::Value,
    client::{Address, CallError, Client, Credentials, Peer, Reply, Shown},
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

/// A webhook that is busy and says for how long is asked again, so often at most.
const BUSY_MAX: u32 = 10;

#[derive(Default)]
pub(super) struct Clients {
    /// What webhooks are shown.
    credentials: Credentials,
    clients: Mutex<HashMap<Key, Client>>,
    /// The budget of each webhook that somebody waits for.
    waiting: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The plugin's part of the configuration file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct WebhookAdmission {
    kube_config_file: PathBuf,
}

impl Clients {
    /// `config` is the plugin's part of the configuration file.
    pub(super) fn new(config: Option<&str>) -> Result<Clients, String> {
        let Some(config) = config else { return Ok(Clients::default()) };
        let (kind, versions) = match config.contains("WebhookAdmissionConfiguration") {
            true => ("WebhookAdmissionConfiguration", &["apiserver.config.k8s.io/v1"]),
            false => ("WebhookAdmission", &["apiserver.config.k8s.io/v1alpha1"]),
        };
        let WebhookAdmission { kube_config_file: path } = decode(config, versions, kind)?;
        if path.as_os_str().is_empty() {
            return Ok(Clients::default());
        }
        if !path.is_absolute() {
            return Err(format!("kubeConfigFile {} must be an absolute path", path.display()));
        }
        Ok(Clients { credentials: Credentials::read(&path)?, ..Clients::default() })
    }

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
        let shown = self.shown(&hook.place)?;
        let client = self.client(hook, address, &shown)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("kube-apiserver-admission"));
        headers.extend(shown.authorization.map(|value| (header::AUTHORIZATION, value)));
        let until = Instant::now() + time;
        let mut left = BUSY_MAX;
        loop {
            let time = until.saturating_duration_since(Instant::now());
            let reply = client.call(Method::POST, &url, headers.clone(), review.clone().into(), time).await?;
            let Some(pause) = busy_for(&reply).filter(|_| left > 0) else { return Ok(reply) };
            left -= 1;
            if Instant::now() + pause >= until {
                tokio::time::sleep_until(until).await;
                return Err(CallError(format!("Post {url:?}: context deadline exceeded")));
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn shown(&self, place: &Place) -> Result<Shown, CallError> {
        let found = match place {
            Place::Service { namespace, name, port, .. } => {
                self.credentials.for_server(&format!("{name}.{namespace}.svc"), *port)
            }
            Place::Url(url) => {
                let uri: http::Uri = url.parse().map_err(|error| CallError(format!("invalid URL: {error}")))?;
                self.credentials.for_server(uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443))
            }
            Place::Nowhere => Ok(Shown::default()),
        };
        found.map_err(CallError)
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

    fn client(&self, hook: &Hook, address: Option<Address>, shown: &Shown) -> Result<Client, CallError> {
        let key = (hook.place.clone(), hook.ca.clone(), address.clone());
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let server_name = match &hook.place {
            Place::Service { namespace, name, .. } => Some(format!("{name}.{namespace}.svc")),
            _ => None,
        };
        let (ca, identity) = (hook.ca.clone(), shown.identity.clone());
        let client = Client::new(&Peer { ca, server_name, address, identity, ..Peer::default() })?;
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// How long a webhook asks to be left alone.
fn busy_for(reply: &Reply) -> Option<Duration> {
    let busy = reply.status == http::StatusCode::TOO_MANY_REQUESTS || reply.status.is_server_error();
    let seconds = reply.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    busy.then(|| Duration::from_secs(seconds))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stand_in::{StandIn, answer};

    fn reply(status: u16, retry_after: Option<&'static str>) -> Reply {
        let headers = retry_after.map(|value| (header::RETRY_AFTER, HeaderValue::from_static(value)));
        let status = http::StatusCode::from_u16(status).unwrap();
        Reply { status, headers: headers.into_iter().collect(), body: bytes::Bytes::new() }
    }

    #[test]
    fn webhooks_may_ask_to_be_left_alone_for_a_while() {
        for (reply, pause) in [
            (reply(429, Some("2")), Some(Duration::from_secs(2))),
            (reply(503, Some("0")), Some(Duration::ZERO)),
            (reply(503, None), None),
            (reply(404, Some("2")), None),
            (reply(500, Some("soon")), None),
        ] {
            assert_eq!(busy_for(&reply), pause, "{reply:?}");
        }
    }

    #[tokio::test]
    async fn webhooks_are_shown_what_the_file_says() {
        let server = StandIn::start(|_| answer(200, "{}")).await;
        let file = server.kubeconfig();
        let config = format!(
            "{{\"apiVersion\":\"apiserver.config.k8s.io/v1\",\"kind\":\"WebhookAdmissionConfiguration\",\
             \"kubeConfigFile\":{:?}}}",
            file.display().to_string()
        );
        let clients = Clients::new(Some(&config)).unwrap();
        let shown = clients.shown(&Place::Url("https://anywhere/x".to_owned())).unwrap();
        assert_eq!(shown.authorization.unwrap(), "Bearer shown");
        let relative = config.replace(&file.display().to_string(), "relative");
        assert!(Clients::new(Some(&relative)).err().unwrap().contains("must be an absolute path"));
        assert!(Clients::new(Some(&config.replace("/v1", "/v9"))).is_err());
    }
}
