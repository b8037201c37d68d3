//! Follows the APIServices that name other servers: routes to them, asks whether they are well, and writes the answer
//! into their status.
//!
//! In: APIServices, Services and EndpointSlices of the cluster. Out: routes and documents in `cluster::Aggregation`,
//! and conditions. Every server does the same; a write that another was faster with is left alone. Each aggregated
//! server is asked by itself, never twice at a time, and for no longer than a check may take: a slow one delays nobody
//! else. Not here: APIServices of what this server serves itself (`bootstrap::local_services`).

mod check;
mod told;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::bootstrap::SelfClient;
use crate::{
    client::{Backoff, Identity},
    cluster::{Cluster, Remote, RemoteSpec, ResourceName},
    config::ProxyIdentity,
    request::status::{ApiError, Reason},
    store::{CacheEvent, Scope, StoreError, WatchEnd},
};
use check::Condition;

const API_SERVICES: ResourceName<'static> = ("apiregistration.k8s.io", "apiservices");
const PATH: &str = "/apis/apiregistration.k8s.io/v1/apiservices";

/// Every server is asked at least this often.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// One that fails is asked again after this, then after twice as long, up to the longest.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Events of one server's Service make it be asked at most this often.
const EVENTS_PAUSE: Duration = Duration::from_millis(100);
/// Events taken at once.
const BATCH: usize = 1024;

/// Keeps routes, documents and conditions of aggregated servers.
pub(crate) struct AggregationKeeper {
    client: SelfClient,
    identity: Option<ProxyIdentity>,
    /// When each is to be asked again, by name.
    due: HashMap<String, Due>,
    asked: HashSet<String>,
}

struct Due {
    at: Instant,
    /// Since the last answer that was good.
    failures: Option<Backoff>,
}

type Asked = BoxFuture<'static, (Arc<Remote>, Condition)>;

impl AggregationKeeper {
    pub(crate) fn new(client: SelfClient, identity: Option<ProxyIdentity>) -> AggregationKeeper {
        AggregationKeeper { client, identity, due: HashMap::new(), asked: HashSet::new() }
    }

    fn cluster(&self) -> &Arc<Cluster> {
        self.client.cluster()
    }

    /// Routes to what is there now. For the start of a server, before it says that it is ready.
    pub(crate) fn publish_now(&mut self) -> Result<(), ApiError> {
        self.identify();
        self.publish()
    }

    /// Runs until the server goes down.
    pub(crate) async fn run(mut self) {
        let shutdown = self.cluster().shutdown.clone();
        let follow = async {
            loop {
                if let Err(error) = self.follow().await {
                    tracing::warn!(%error, "cannot follow the APIServices");
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        };
        shutdown.run_until_cancelled(follow).await;
    }

    /// Returns when the events have to be taken up anew.
    async fn follow(&mut self) -> Result<(), StoreError> {
        let cache = self.cluster().store.cache().clone();
        let prefix = self.cluster().store.prefix().to_owned();
        let watch = |folder: &str| cache.list_then_watch(&Scope::resource(&format!("{prefix}{folder}")));
        let (_, mut services) = watch("/services/specs")?;
        let (_, mut slices) = watch("/endpointslices")?;
        let (_, mut api_services) = watch("/apiregistration.k8s.io/apiservices")?;
        let mut asked: FuturesUnordered<Asked> = FuturesUnordered::new();
        self.publish_or_warn();
        loop {
            let next = self.begin(Instant::now(), &mut asked);
            tokio::select! {
                events = api_services.next(BATCH) => {
                    taken(events)?;
                    self.publish_or_warn();
                }
                events = services.next(BATCH) => self.notice(&taken(events)?),
                events = slices.next(BATCH) => self.notice(&taken(events)?),
                Some((remote, condition)) = asked.next() => self.checked(&remote, &condition).await,
                () = sleep_until(next) => {}
            }
        }
    }

    /// Starts the checks that are due; the next is due at the answer.
    fn begin(&mut self, now: Instant, asked: &mut FuturesUnordered<Asked>) -> Instant {
        let (mut next, mut all_due) = (now + CHECK_EVERY, Vec::new());
        for remote in self.cluster().aggregation.remotes() {
            if self.asked.contains(&remote.name) {
                continue;
            }
            match self.due.get(&remote.name).map(|due| due.at).filter(|at| *at > now) {
                Some(later) => next = next.min(later),
                None => all_due.push(remote),
            }
        }
        // Before checks, not at each event: it reads files.
        if !all_due.is_empty() {
            self.identify();
        }
        for remote in all_due {
            self.asked.insert(remote.name.clone());
            let cluster = Arc::clone(self.cluster());
            asked.push(Box::pin(async move {
                let condition = check::check(&cluster, &remote).await;
                if condition.is_true() {
                    told::learn(&cluster, &remote).await;
                }
                (remote, condition)
            }));
        }
        next
    }

    /// A change around the Service of a server makes it be asked soon.
    fn notice(&mut self, namespaces: &HashSet<String>) {
        let soon = Instant::now() + EVENTS_PAUSE;
        for remote in self.cluster().aggregation.remotes() {
            if namespaces.contains(&remote.namespace) {
                let due = self.due.entry(remote.name.clone()).or_insert(Due { at: soon, failures: None });
                due.at = due.at.min(soon);
            }
        }
    }

    /// A check came to an end: the next one is due later, and the status says what was found.
    async fn checked(&mut self, remote: &Remote, condition: &Condition) {
        self.asked.remove(&remote.name);
        let failures = match condition.is_true() {
            true => None,
            false => self.due.remove(&remote.name).and_then(|due| due.failures).or_else(|| Some(again())),
        };
        let mut due = Due { at: Instant::now(), failures };
        due.at += due.failures.as_mut().map_or(CHECK_EVERY, Backoff::pause);
        self.due.insert(remote.name.clone(), due);
        if let Err(error) = self.write(remote, condition).await
            && !matches!(error.reason, Reason::Conflict | Reason::NotFound)
        {
            tracing::warn!(service = remote.name, cause = error.internal, %error, "cannot write a condition");
        }
    }

    async fn write(&self, remote: &Remote, condition: &Condition) -> Result<(), ApiError> {
        let path = format!("{PATH}/{}", remote.name);
        let Some(found) = self.client.get(&path).await? else { return Ok(()) };
        let now = self.cluster().now_text();
        match marked(&found, condition, &now).filter(|_| !found["spec"]["service"].is_null()) {
            Some(changed) => self.client.replace(&format!("{path}/status"), &changed).await,
            None => Ok(()),
        }
    }

    fn publish_or_warn(&mut self) {
        if let Err(error) = self.publish() {
            tracing::warn!(cause = error.internal, "cannot read the APIServices");
        }
    }

    fn publish(&mut self) -> Result<(), ApiError> {
        let services = self.cluster().informer().list(API_SERVICES, "")?;
        self.cluster().aggregation.set(services.iter().filter_map(|service| RemoteSpec::read(service)));
        let names: HashSet<String> = services.iter().map(|service| service.name().to_owned()).collect();
        self.due.retain(|name, _| names.contains(name));
        Ok(())
    }

    /// The certificate may be replaced while the server runs.
    fn identify(&self) {
        let Some(files) = &self.identity else { return };
        match (std::fs::read(&files.certificate), std::fs::read(&files.key)) {
            (Ok(certificates), Ok(key)) => self.cluster().aggregation.identify(Some(Identity { certificates, key })),
            (certificates, key) => {
                let error = certificates.err().or(key.err()).map(|error| error.to_string());
                tracing::warn!(error, "cannot read the certificate for aggregated servers");
            }
        }
    }
}

/// When one that fails is asked again.
fn again() -> Backoff {
    Backoff::doubling(AGAIN_AFTER, CHECK_EVERY)
}

/// The namespaces that events are of.
fn taken(events: Result<Vec<Arc<CacheEvent>>, WatchEnd>) -> Result<HashSet<String>, StoreError> {
    match events {
        Ok(events) => Ok(events.iter().map(|event| event.entry().namespace().to_owned()).collect()),
        Err(_) => Err(StoreError::NotReady),
    }
}

/// The object with this condition; none when it has it already.
fn marked(found: &Value, condition: &Condition, now: &str) -> Option<Value> {
    let is_it = |each: &Value| each["type"] == "Available";
    let mut conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let before = conditions.iter().find(|each| is_it(each)).cloned();
    let same = |field: &str, value: &str| before.as_ref().is_some_and(|before| before[field] == value);
    if same("status", condition.status) && same("reason", condition.reason) && same("message", &condition.message) {
        return None;
    }
    let since = match &before {
        Some(before) if before["status"] == condition.status => before["lastTransitionTime"].clone(),
        _ => json!(now),
    };
    let after = json!({
        "type": "Available",
        "status": condition.status,
        "lastTransitionTime": since,
        "reason": condition.reason,
        "message": condition.message,
    });
    match conditions.iter_mut().find(|each| is_it(each)) {
        Some(place) => *place = after,
        None => conditions.push(after),
    }
    let mut changed = found.clone();
    changed["status"] = json!({"conditions": conditions});
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_written_once_and_keeps_its_time_while_its_status_stands() {
        let failed = |message: &str| Condition::failed("FailedDiscoveryCheck", message.to_owned());
        let bare = json!({"metadata": {"name": "v1.a"}});
        let first = marked(&bare, &failed("x"), "t1").unwrap();
        assert!(marked(&first, &failed("x"), "t2").is_none());
        let second = marked(&first, &failed("y"), "t2").unwrap();
        assert_eq!(second["status"]["conditions"][0]["lastTransitionTime"], "t1");
        let third = marked(&second, &Condition::passed(), "t3").unwrap();
        assert_eq!(third["status"]["conditions"][0]["lastTransitionTime"], "t3");
        assert_eq!(third["status"]["conditions"].as_array().unwrap().len(), 1);
    }
}
