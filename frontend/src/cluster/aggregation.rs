//! Versions of groups that other servers serve: what APIServices route away from this one.
//!
//! In: APIServices that name a Service. Out: for a path, the server that answers it, and the connections to it. Every
//! such server has connections of its own, so that a slow or dead one harms its own group and nothing else. Not here:
//! whether they are available (the wiring asks and says it in their status), and how a request is forwarded.

use std::{collections::HashMap, sync::Arc};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;

use crate::{
    api::{
        discovery::Foreign,
        openapi::ForeignV2,
        schema::{Object, Value},
    },
    client::{Address, CallError, Client, Identity, Peer},
};

/// So many addresses of one server have connections; another one makes all be made anew.
const ADDRESSES_MAX: usize = 64;

/// What is routed away, and what this server shows those that it calls.
#[derive(Default)]
pub struct Aggregation {
    routes: ArcSwap<Routes>,
    identity: ArcSwapOption<Identity>,
}

/// By group and version.
type Routes = HashMap<(String, String), Arc<Remote>>;

impl Aggregation {
    /// The server behind a path; none: this one.
    pub fn route(&self, path: &str) -> Option<Arc<Remote>> {
        let routes = self.routes.load();
        if routes.is_empty() {
            return None;
        }
        let mut parts = path.trim_start_matches('/').split('/');
        let key = match parts.next()? {
            "api" => (String::new(), parts.next()?.to_owned()),
            "apis" => (parts.next()?.to_owned(), parts.next()?.to_owned()),
            _ => return None,
        };
        routes.get(&key).cloned()
    }

    /// All servers, in the order of their APIServices' names.
    pub fn remotes(&self) -> Vec<Arc<Remote>> {
        let mut all: Vec<Arc<Remote>> = self.routes.load().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Replaces the routes. A server whose APIService is as it was keeps its connections.
    pub fn set(&self, services: impl IntoIterator<Item = Spec>) {
        let before = self.routes.load_full();
        let routes = services.into_iter().map(|spec| {
            let key = (spec.group.clone(), spec.version.clone());
            let kept = before.get(&key).filter(|remote| remote.spec == spec).cloned();
            let documents = || before.get(&key).map(|remote| Arc::clone(&remote.documents)).unwrap_or_default();
            let remote = kept.unwrap_or_else(|| Arc::new(Remote::new(spec, documents())));
            (key, remote)
        });
        self.routes.store(Arc::new(routes.collect()));
    }

    /// What aggregated servers know this one by.
    pub fn identify(&self, identity: Option<Identity>) {
        if self.identity.load().as_deref() != identity.as_ref() {
            self.identity.store(identity.map(Arc::new));
            self.routes.load().values().for_each(|remote| remote.clients.lock().clear());
        }
    }

    pub fn identity(&self) -> Option<Identity> {
        self.identity.load().as_deref().cloned()
    }

    /// What discovery says of them.
    pub fn foreign(&self) -> Vec<Foreign> {
        self.remotes().iter().map(|remote| remote.foreign()).collect()
    }

    /// Their documents of OpenAPI v3, by path.
    pub fn openapi(&self) -> Vec<(String, String)> {
        let told = |remote: &Arc<Remote>| {
            let url = remote.documents()?.openapi_v3.clone()?;
            Some((remote.root().trim_start_matches('/').to_owned(), url))
        };
        self.remotes().iter().filter_map(told).collect()
    }

    /// What they put into the document of OpenAPI v2, the more important first.
    pub fn openapi_v2(&self) -> Vec<Arc<ForeignV2>> {
        let mut remotes = self.remotes();
        remotes.sort_by_key(|remote| std::cmp::Reverse((remote.group_priority, remote.version_priority)));
        remotes.iter().filter_map(|remote| remote.documents()?.openapi_v2.clone()).collect()
    }
}

/// What an APIService says of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub name: String,
    pub group: String,
    pub version: String,
    pub namespace: String,
    pub service: String,
    pub port: u16,
    pub ca: Vec<u8>,
    pub insecure: bool,
    pub group_priority: i64,
    pub version_priority: i64,
    /// Its last check was passed.
    pub available: bool,
}

impl Spec {
    /// None of one that this server serves itself.
    pub fn read(object: &Object) -> Option<Spec> {
        let spec = object.get(&["spec"])?;
        let service = spec.child("service")?;
        let text = |of: &Value, field: &str| of.child(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |field: &str| spec.child(field).and_then(Value::as_i64).unwrap_or(0);
        let conditions = object.get_list(&["status", "conditions"]).unwrap_or_default();
        let available =
            conditions.iter().any(|each| text(each, "type") == "Available" && text(each, "status") == "True");
        Some(Spec {
            name: object.name().to_owned(),
            group: text(spec, "group"),
            version: text(spec, "version"),
            namespace: text(service, "namespace"),
            service: text(service, "name"),
            port: service
                .child("port")
                .and_then(Value::as_i64)
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(443),
            ca: spec.child("caBundle").and_then(Value::as_bytes).unwrap_or_default().to_vec(),
            insecure: spec.child("insecureSkipTLSVerify").and_then(Value::as_bool).unwrap_or(false),
            group_priority: number("groupPriorityMinimum"),
            version_priority: number("versionPriority"),
            available,
        })
    }

    /// Where its discovery is.
    pub fn root(&self) -> String {
        match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        }
    }
}

/// What a server tells of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Documents {
    /// Its resources, as aggregated discovery lists them; none while it never told them.
    pub resources: Option<serde_json::Value>,
    /// The document of OpenAPI v3 of its version, as its index names it.
    pub openapi_v3: Option<String>,
    /// What it puts into the document of OpenAPI v2.
    pub openapi_v2: Option<Arc<ForeignV2>>,
}

/// One aggregated server, as one APIService names it.
pub struct Remote {
    spec: Spec,
    /// Shared by all that one group and version had, so that whoever is just asking does not tell it to one that is
    /// gone.
    documents: Arc<ArcSwapOption<Documents>>,
    clients: Mutex<HashMap<Address, Client>>,
}

impl std::ops::Deref for Remote {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

impl Remote {
    fn new(spec: Spec, documents: Arc<ArcSwapOption<Documents>>) -> Remote {
        Remote { spec, documents, clients: Mutex::default() }
    }

    /// What it told of itself when it was last asked.
    pub fn documents(&self) -> Option<Arc<Documents>> {
        self.documents.load_full()
    }

    pub fn tell(&self, documents: Documents) {
        self.documents.store(Some(Arc::new(documents)));
    }

    fn foreign(&self) -> Foreign {
        let documents = self.documents();
        Foreign {
            group: self.spec.group.clone(),
            version: self.spec.version.clone(),
            group_priority: self.spec.group_priority,
            version_priority: self.spec.version_priority,
            is_current: self.spec.available && documents.as_ref().is_some_and(|told| told.resources.is_some()),
            resources: documents.and_then(|told| told.resources.clone()),
        }
    }

    /// The connections to an address of it, on which this server shows who it is.
    pub fn client(&self, address: &Address, identity: Option<Identity>) -> Result<Client, CallError> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(address) {
            return Ok(client.clone());
        }
        let client = Client::new(&Peer {
            ca: self.spec.ca.clone(),
            server_name: Some(format!("{}.{}.svc", self.spec.service, self.spec.namespace)),
            identity,
            insecure: self.spec.insecure,
            address: Some(address.clone()),
        })?;
        if clients.len() >= ADDRESSES_MAX {
            clients.clear();
        }
        clients.insert(address.clone(), client.clone());
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{Schema, codec};

    fn spec(available: &str) -> Spec {
        let json = format!(
            r#"{{"kind":"APIService","apiVersion":"apiregistration.k8s.io/v1","metadata":{{"name":"v1.wild.example"}},
            "spec":{{"group":"wild.example","version":"v1","service":{{"namespace":"n","name":"s"}},
            "groupPriorityMinimum":2000,"versionPriority":15,"insecureSkipTLSVerify":true}},
            "status":{{"conditions":[{{"type":"Available","status":"{available}"}}]}}}}"#
        );
        let decoded = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap();
        Spec::read(&decoded.object).unwrap()
    }

    #[test]
    fn paths_of_a_version_go_to_its_server_and_no_others_do() {
        let aggregation = Aggregation::default();
        assert!(aggregation.route("/apis/wild.example/v1").is_none());
        aggregation.set([spec("True")]);
        for (path, routed) in [
            ("/apis/wild.example/v1", true),
            ("/apis/wild.example/v1/", true),
            ("/apis/wild.example/v1/namespaces/x/beasts", true),
            ("/apis/wild.example/v10/beasts", false),
            ("/apis/wild.example", false),
            ("/api/v1/pods", false),
            ("/healthz", false),
        ] {
            assert_eq!(aggregation.route(path).is_some(), routed, "{path}");
        }
        let remote = aggregation.route("/apis/wild.example/v1").unwrap();
        assert_eq!((remote.port, remote.root().as_str(), remote.available), (443, "/apis/wild.example/v1", true));
    }

    #[test]
    fn what_a_server_told_outlives_a_change_of_its_status() {
        let aggregation = Aggregation::default();
        aggregation.set([spec("True")]);
        let before = aggregation.route("/apis/wild.example/v1").unwrap();
        before.tell(Documents { openapi_v3: Some("/x".to_owned()), ..Documents::default() });
        aggregation.set([spec("True")]);
        assert!(Arc::ptr_eq(&before, &aggregation.route("/apis/wild.example/v1").unwrap()));
        aggregation.set([spec("False")]);
        let after = aggregation.route("/apis/wild.example/v1").unwrap();
        assert!(!after.available && after.documents().is_some());
        // Whoever began to ask before the change tells the server of now.
        before.tell(Documents { openapi_v3: Some("/y".to_owned()), ..Documents::default() });
        assert_eq!(after.documents().and_then(|told| told.openapi_v3.clone()).as_deref(), Some("/y"));
        assert!(!aggregation.foreign()[0].is_current);
    }
}
