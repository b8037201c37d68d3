//! Webhooks that objects of the cluster name: where they are, and the connections to them. One client for each
//! endpoint and authority, kept while it is used.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, header};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    api::schema::{Gvk, Schema, Value, codec},
    client::{Address, CallError, Client, Credentials, Peer, Reply, Shown},
};

/// So many clients are kept; another one makes all be made anew.
const CLIENTS_MAX: usize = 200;
/// So many requests wait for one webhook; more count as failed calls, so that one slow webhook cannot hold all
/// requests.
const WAITING_MAX: usize = 1000;

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Url(String),
    Service { namespace: String, name: String, path: String, port: u16 },
    Nowhere,
}

impl Endpoint {
    /// What a clientConfig says.
    pub fn of(client_config: &Value) -> Endpoint {
        let text =
            |value: &Value, field: &str| value.child(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(service) = client_config.child("service") {
            let port = service.child("port").and_then(Value::as_i64).and_then(|port| u16::try_from(port).ok());
            return Endpoint::Service {
                namespace: text(service, "namespace"),
                name: text(service, "name"),
                path: text(service, "path"),
                port: port.unwrap_or(443),
            };
        }
        match client_config.child("url").and_then(Value::as_str) {
            Some(url) => Endpoint::Url(url.to_owned()),
            None => Endpoint::Nowhere,
        }
    }
}

/// One webhook.
pub struct Webhook<'a> {
    /// Tells it from others: so many wait for each.
    pub uid: &'a str,
    pub endpoint: &'a Endpoint,
    pub ca: &'a [u8],
}

impl Webhook<'_> {
    /// Where it is called, as errors show it.
    pub fn url(&self, time: Duration) -> Result<String, CallError> {
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        Ok(format!("{}?timeout={seconds}s", base(self.endpoint)?))
    }
}

/// Where, trusting whom, and, for a Service, at which address.
type Key = (Endpoint, Vec<u8>, Option<Address>);

/// A webhook that is busy and says for how long is asked again, so often at most.
const BUSY_MAX: u32 = 10;

#[derive(Default)]
pub struct Webhooks {
    /// What webhooks are shown.
    credentials: Credentials,
    clients: Mutex<HashMap<Key, Client>>,
    /// The budget of each webhook that somebody waits for.
    waiting: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Webhooks {
    /// Those that are shown credentials.
    pub fn showing(credentials: Credentials) -> Webhooks {
        Webhooks { credentials, ..Webhooks::default() }
    }

    /// Sends a review and reads the answer. A Service is called at its address.
    pub async fn post(
        &self,
        hook: &Webhook<'_>,
        address: Option<Address>,
        review: Vec<u8>,
        time: Duration,
    ) -> Result<Reply, CallError> {
        let budget = self.budget(hook.uid);
        let _place = budget
            .try_acquire()
            .map_err(|_| CallError(format!("{WAITING_MAX} requests are waiting for this webhook already")))?;
        let url = hook.url(time)?;
        let shown = self.shown(hook.endpoint)?;
        let client = self.client(hook, address, &shown)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("kube-apiserver-admission"));
        headers.extend(shown.authorization.map(|value| (header::AUTHORIZATION, value)));
        let review = bytes::Bytes::from(review);
        let until = Instant::now() + time;
        let mut left = BUSY_MAX;
        loop {
            let time = until.saturating_duration_since(Instant::now());
            let reply = client.call(Method::POST, &url, headers.clone(), review.clone(), time).await?;
            let Some(pause) = busy_for(&reply).filter(|_| left > 0) else { return Ok(reply) };
            left -= 1;
            if Instant::now() + pause >= until {
                tokio::time::sleep_until(until).await;
                return Err(CallError(format!("Post {url:?}: context deadline exceeded")));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// What the webhook at an endpoint is shown.
    pub(crate) fn shown(&self, endpoint: &Endpoint) -> Result<Shown, CallError> {
        let found = match endpoint {
            Endpoint::Service { namespace, name, port, .. } => {
                self.credentials.for_server(&format!("{name}.{namespace}.svc"), *port)
            }
            Endpoint::Url(url) => {
                let uri: http::Uri = url.parse().map_err(|error| CallError(format!("invalid URL: {error}")))?;
                self.credentials.for_server(uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443))
            }
            Endpoint::Nowhere => Ok(Shown::default()),
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

    fn client(&self, hook: &Webhook<'_>, address: Option<Address>, shown: &Shown) -> Result<Client, CallError> {
        let key = (hook.endpoint.clone(), hook.ca.to_vec(), address.clone());
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let server_name = match hook.endpoint {
            Endpoint::Service { namespace, name, .. } => Some(format!("{name}.{namespace}.svc")),
            _ => None,
        };
        let (ca, identity) = (hook.ca.to_vec(), shown.identity.clone());
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
fn base(endpoint: &Endpoint) -> Result<String, CallError> {
    Ok(match endpoint {
        Endpoint::Url(url) => {
            let host_end = url.find("://").map_or(0, |at| at + 3);
            let bare = !url[host_end..].contains('/');
            if bare { format!("{url}/") } else { url.clone() }
        }
        Endpoint::Service { namespace, name, path, port } => {
            let slash = if path.starts_with('/') { "" } else { "/" };
            format!("https://{name}.{namespace}.svc:{port}{slash}{path}")
        }
        Endpoint::Nowhere => return Err(CallError("webhook configuration must have either service or URL".to_owned())),
    })
}

/// The error of an answer that is not a success: that of a Status in it, or that of its code.
pub fn refusal_of_reply(schema: &Schema, reply: &Reply) -> String {
    let status = Gvk::from_static("", "v1", "Status");
    if let Ok(decoded) = codec::decode_json(schema, &reply.body, Some(&status))
        && decoded.object.gvk() == &status
        && decoded.object.get_str(&["status"]) == Some("Failure")
    {
        return decoded.object.get_str(&["message"]).unwrap_or_default().to_owned();
    }
    let code = reply.status.as_u16();
    let content = reply.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = match content.is_some_and(|content| content.starts_with("text/")) {
        true => String::from_utf8_lossy(&reply.body).trim().to_owned(),
        false => String::new(),
    };
    let said = if text.is_empty() { "unknown".to_owned() } else { text };
    match code {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 | 415 => said,
        404 => "the server could not find the requested resource".to_owned(),
        406 if said == "unknown" => {
            "the server was unable to respond with a content type that the client supports".to_owned()
        }
        406 => said,
        409 => "the server reported a conflict".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        422 => "the server rejected our request due to an error in our request".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .to_owned()
        }
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        code if code >= 500 => format!("an error on the server ({said:?}) has prevented the request from succeeding"),
        code => format!("the server responded with the status code {code} but did not return more information"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
