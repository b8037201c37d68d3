//! The APIServices of what this server serves itself: made at start, kept for custom groups as long as they are
//! defined.
//!
//! In: the groups and versions of the API's snapshot. Out: objects in the store, available at once. Every server does
//! the same: what another was faster with is left as it is. Not here: the APIServices of other servers.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::SelfClient;
use crate::{
    api::{
        registry::{Group, priorities},
        schema::{Object, Value as Field},
    },
    cluster::{Cluster, ResourceName},
    request::status::{ApiError, Reason},
    store::{Scope, StoreError},
};

const API_SERVICES: ResourceName<'static> = ("apiregistration.k8s.io", "apiservices");
const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const GROUP: &str = "apiregistration.k8s.io";
const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";

const BATCH: usize = 1024;
/// After a failure, it is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Changes that come this close upon each other are worked on together.
const SETTLES_WITHIN: Duration = Duration::from_millis(50);

/// What is wanted for one version of a group.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    name: String,
    group: String,
    version: String,
    group_priority: u32,
    version_priority: u32,
    /// `onstart`: made once, and gone when somebody deletes it; `true`: kept.
    managed: &'static str,
}

fn wanted(groups: &[Group]) -> Vec<Wanted> {
    let mut all = Vec::new();
    for group in groups.iter().filter(|group| &*group.name != GROUP) {
        let custom = group.is_custom();
        for version in &group.versions {
            let (name, version) = (group.name.to_string(), version.version.to_string());
            let (group_priority, version_priority) = priorities(&name, &version);
            let managed = if custom { "true" } else { "onstart" };
            let object = format!("{version}.{name}");
            all.push(Wanted { name: object, group: name, version, group_priority, version_priority, managed });
        }
    }
    all
}

impl Wanted {
    /// Whether an object says all this.
    fn is_said_by(&self, found: &Object) -> bool {
        let text = |path: &[&str]| found.get(path).and_then(Field::as_str).unwrap_or_default();
        let number = |field: &str| found.get(&["spec", field]).and_then(Field::as_i64).unwrap_or(0);
        found.get(&["spec", "service"]).is_none()
            && text(&["spec", "group"]) == self.group
            && text(&["spec", "version"]) == self.version
            && number("groupPriorityMinimum") == i64::from(self.group_priority)
            && number("versionPriority") == i64::from(self.version_priority)
            && text(&["metadata", "labels", LABEL]) == self.managed
    }

    fn object(&self) -> Value {
        let mut spec = json!({
            "version": self.version,
            "groupPriorityMinimum": self.group_priority,
            "versionPriority": self.version_priority,
        });
        if !self.group.is_empty() {
            spec["group"] = json!(self.group);
        }
        json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": self.name, "labels": {LABEL: self.managed}},
            "spec": spec,
        })
    }

    /// The object with what was changed put right; none when nothing was.
    fn corrected(&self, found: &Value) -> Option<Value> {
        let object = self.object();
        let same = found["spec"] == object["spec"] && found["metadata"]["labels"][LABEL] == self.managed;
        (!same).then(|| {
            let mut corrected = found.clone();
            corrected["spec"] = object["spec"].clone();
            corrected["metadata"]["labels"][LABEL] = json!(self.managed);
            corrected
        })
    }
}

/// Whether an object has the condition of those that are served here.
fn is_available(found: &Object) -> bool {
    found.get_list(&["status", "conditions"]).unwrap_or_default().iter().any(|each| {
        let is = |field: &str, value: &str| each.child(field).and_then(Field::as_str) == Some(value);
        is("type", "Available") && is("status", "True") && is("reason", "Local")
    })
}

/// The object with its condition; none when it has it already.
fn available(found: &Value, now: &str) -> Option<Value> {
    let is_it = |condition: &Value| condition["type"] == "Available";
    let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let stands = |condition: &Value| condition["status"] == "True" && condition["reason"] == "Local";
    if conditions.iter().any(|condition| is_it(condition) && stands(condition)) {
        return None;
    }
    let mut conditions: Vec<Value> = conditions.into_iter().filter(|condition| !is_it(condition)).collect();
    conditions.push(json!({
        "type": "Available",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "Local",
        "message": "Local APIServices are always available",
    }));
    let mut changed = found.clone();
    changed["status"] = json!({"conditions": conditions});
    Some(changed)
}

/// Keeps the APIServices of this server's own groups.
pub(crate) struct LocalServices {
    client: SelfClient,
    changes: watch::Receiver<u64>,
    /// Those of built-in groups are looked at once only.
    started: bool,
}

impl LocalServices {
    pub(crate) fn new(client: SelfClient) -> LocalServices {
        let changes = client.context.cluster.api.changes();
        LocalServices { client, changes, started: false }
    }

    /// Until the server goes down.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep()).await;
    }

    fn cluster(&self) -> &Cluster {
        &self.client.context.cluster
    }

    async fn keep(&mut self) {
        let folder = format!("{}/apiregistration.k8s.io/apiservices", self.cluster().store.prefix());
        loop {
            let followed = self.follow(&Scope::resource(&folder)).await;
            if let Err(error) = followed {
                tracing::warn!(%error, "cannot follow the APIServices");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }

    /// Returns when the events have to be taken up anew.
    async fn follow(&mut self, scope: &Scope) -> Result<(), StoreError> {
        let (_, mut events) = self.cluster().store.cache().list_then_watch(scope)?;
        loop {
            self.changes.mark_unchanged();
            if let Err(error) = self.reconcile().await {
                tracing::warn!(%error, "cannot keep the APIServices of this server");
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            tokio::select! {
                taken = events.next(BATCH) => if taken.is_err() { return Ok(()) },
                changed = self.changes.changed() => if changed.is_err() { return Ok(()) },
            }
            tokio::time::sleep(SETTLES_WITHIN).await;
        }
    }

    async fn reconcile(&mut self) -> Result<(), ApiError> {
        let wanted = wanted(self.cluster().api.load().registry.groups());
        let found = self.cluster().informer().list(API_SERVICES, "")?;
        let by_name: HashMap<&str, &Object> = found.iter().map(|one| (one.name(), &**one)).collect();
        let now = self.cluster().now_text();
        for each in &wanted {
            let result = match by_name.get(&*each.name) {
                None if each.managed == "onstart" && self.started => Ok(()),
                None => self.client.ensure(SERVICES, &each.object()).await,
                Some(one) if self.stands(each, one) => Ok(()),
                Some(_) => match self.client.get(&format!("{SERVICES}/{}", each.name)).await? {
                    Some(one) => self.correct(each, &one, &now).await,
                    None => Ok(()),
                },
            };
            settled(result)?;
        }
        let names: HashSet<&str> = wanted.iter().map(|each| each.name.as_str()).collect();
        let is_kept = |one: &&Object| one.get(&["metadata", "labels", LABEL]).and_then(Field::as_str) == Some("true");
        for one in by_name.values().filter(|one| is_kept(one) && !names.contains(one.name())) {
            settled(self.client.delete(&format!("{SERVICES}/{}", one.name())).await)?;
        }
        self.started = true;
        Ok(())
    }

    /// Whether nothing is to be done. What is not kept stays, after the start, as others have made it.
    fn stands(&self, wanted: &Wanted, found: &Object) -> bool {
        let left = wanted.managed != "true" && self.started;
        let remote = found.get(&["spec", "service"]).is_some();
        (left || wanted.is_said_by(found)) && (remote || is_available(found))
    }

    async fn correct(&self, wanted: &Wanted, found: &Value, now: &str) -> Result<(), ApiError> {
        let path = format!("{SERVICES}/{}", wanted.name);
        let corrected = if wanted.managed == "true" || !self.started { wanted.corrected(found) } else { None };
        match corrected {
            Some(corrected) => self.client.replace(&path, &corrected).await,
            None => match available(found, now) {
                Some(changed) if found["spec"]["service"].is_null() => {
                    self.client.replace(&format!("{path}/status"), &changed).await
                }
                _ => Ok(()),
            },
        }
    }
}

/// What another server did at the same time comes as an event.
fn settled(result: Result<(), ApiError>) -> Result<(), ApiError> {
    match result {
        Err(error) if matches!(error.reason, Reason::Conflict | Reason::NotFound | Reason::AlreadyExists) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        Api,
        schema::{Schema, codec},
    };

    #[test]
    fn every_version_of_every_group_but_the_aggregators_own_has_a_service_with_known_priorities() {
        let api = Api::builtin();
        let wanted = wanted(api.registry.groups());
        assert!(wanted.iter().all(|each| each.managed == "onstart" && each.group != GROUP));
        assert!(wanted.iter().all(|each| each.group_priority > 16000), "{wanted:?}");
        let core = wanted.iter().find(|each| each.name == "v1.").unwrap();
        assert_eq!((core.group_priority, core.version_priority), (18000, 1));
        assert!(core.object()["spec"].get("group").is_none());
    }

    #[test]
    fn a_service_is_put_right_and_marked_available_once() {
        let api = Api::builtin();
        let apps = wanted(api.registry.groups()).into_iter().find(|each| each.name == "v1.apps").unwrap();
        let mut found = apps.object();
        assert!(apps.corrected(&found).is_none());
        found["spec"]["versionPriority"] = json!(7);
        assert_eq!(apps.corrected(&found).unwrap()["spec"]["versionPriority"], 15);
        let marked = available(&found, "2026-01-01T00:00:00Z").unwrap();
        assert!(available(&marked, "2026-01-01T00:00:01Z").is_none());
        let read =
            |json: &Value| codec::decode_json(&Schema::builtin(), json.to_string().as_bytes(), None).unwrap().object;
        for (json, said, is_marked) in [(&apps.object(), true, false), (&marked, false, true)] {
            let object = read(json);
            assert_eq!((apps.is_said_by(&object), is_available(&object)), (said, is_marked), "{json}");
        }
    }
}
