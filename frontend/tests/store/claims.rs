//! Services take addresses and node ports from all others. Here every conditional write of every way to write a Service
//! is refused once, since somebody else was faster; afterwards nothing may be taken that no Service holds, and nothing
//! may be free that one does.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use frontend::api::schema::{Schema, codec};
use http::Method;
use serde_json::{Value, json};

use crate::{
    rival::Intrude,
    world::{APPLY, Act, JSON, MERGE, World},
};

const FIRST_PORT: usize = 30000;
/// Owners in it are nobody's Services: they hold what a rival took.
const ELSEWHERE: &str = "elsewhere";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";

impl World {
    /// What the allocator says is taken, and what Services hold: addresses by their owner, and ports.
    async fn compare(&self, case: &str) {
        let (mut held, mut held_ports) = (BTreeMap::new(), BTreeSet::new());
        for service in self.items(SERVICES).await {
            let name = service["metadata"]["name"].as_str().unwrap().to_owned();
            let addresses = service["spec"]["clusterIPs"].as_array().cloned().unwrap_or_default();
            for address in addresses {
                held.insert(address.as_str().unwrap().to_owned(), name.clone());
            }
            let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
            let ports = ports.iter().map(|port| &port["nodePort"]).chain([&service["spec"]["healthCheckNodePort"]]);
            held_ports.extend(ports.filter_map(Value::as_u64));
        }
        let addresses = self.items(ADDRESSES).await;
        let owned = addresses.iter().filter(|address| address["spec"]["parentRef"]["namespace"] != ELSEWHERE);
        let taken: BTreeMap<String, String> = owned
            .map(|address| (&address["metadata"]["name"], &address["spec"]["parentRef"]["name"]))
            .map(|(address, owner)| (address.as_str().unwrap().to_owned(), owner.as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(taken, held, "{case}: addresses taken, and addresses held");
        assert_eq!(self.taken_ports().await, held_ports, "{case}: ports taken, and ports held");
    }

    async fn taken_ports(&self) -> BTreeSet<u64> {
        let key = format!("{}/ranges/servicenodeports", self.direct.prefix());
        let Some(stored) = self.direct.get(&key).await.unwrap() else { return BTreeSet::new() };
        let mut json = Vec::new();
        codec::encode_json(&codec::decode_stored(&Schema::builtin(), &stored.value).unwrap(), &mut json);
        let allocation: Value = serde_json::from_slice(&json).unwrap();
        let data = STANDARD.decode(allocation["data"].as_str().unwrap_or_default()).unwrap();
        let bits = data.iter().rev().enumerate();
        let set =
            bits.flat_map(|(at, byte)| (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| at * 8 + bit));
        set.map(|at| (FIRST_PORT + at) as u64).collect()
    }

    /// Removes everything, also what a rival took.
    async fn clear(&self) {
        for service in self.items(SERVICES).await {
            self.call(&Act::delete(service["metadata"]["name"].as_str().unwrap())).await.unwrap();
        }
        for prefix in ["ipaddresses", "services/specs"] {
            let page = self.direct.list(&format!("{}/{prefix}/", self.direct.prefix()), 0).await.unwrap();
            for stored in page.items {
                let left = format!("{}", stored.key);
                let owned = String::from_utf8_lossy(&stored.value).contains(ELSEWHERE);
                assert!(owned, "{left} was left behind");
                self.direct.delete(&left, stored.mod_revision).await.unwrap();
            }
        }
        assert_eq!(self.taken_ports().await, BTreeSet::new());
    }
}

impl Act {
    fn service(name: &str, spec: &str) -> Option<Value> {
        let spec: Value = serde_json::from_str(spec).unwrap();
        Some(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}))
    }

    fn create(name: &str, spec: &str) -> Act {
        Act::of(Method::POST, SERVICES.to_owned(), JSON, Act::service(name, spec))
    }

    fn update(name: &str, spec: &str) -> Act {
        Act::of(Method::PUT, format!("{SERVICES}/{name}"), JSON, Act::service(name, spec))
    }

    fn merge(name: &str, spec: &str) -> Act {
        let spec: Value = serde_json::from_str(spec).unwrap();
        Act::of(Method::PATCH, format!("{SERVICES}/{name}"), MERGE, Some(json!({"spec": spec})))
    }

    fn apply(name: &str, spec: &str) -> Act {
        let path = format!("{SERVICES}/{name}?fieldManager=test&force=true");
        Act::of(Method::PATCH, path, APPLY, Act::service(name, spec))
    }

    fn delete(name: &str) -> Act {
        Act::of(Method::DELETE, format!("{SERVICES}/{name}"), JSON, None)
    }

    fn delete_all(_: &str, _: &str) -> Act {
        Act::of(Method::DELETE, SERVICES.to_owned(), JSON, None)
    }

    fn delete_one(name: &str, _: &str) -> Act {
        Act::delete(name)
    }
}

const INSIDE: &str = r#"{"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}"#;
const AT_ADDRESS: &str = r#"{"clusterIP": "10.0.0.77", "ports": [{"port": 80}]}"#;
const NODE_PORTS: &str = r#"{"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}"#;
const AT_PORT: &str = r#"{"type": "NodePort", "clusterIP": "10.0.0.77", "ports": [{"port": 80, "nodePort": 30099}]}"#;
const BALANCER: &str = r#"{"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}"#;
const OUTSIDE: &str = r#"{"type": "ExternalName", "externalName": "a.example.com"}"#;
const TO_OUTSIDE: &str = r#"{"type": "ExternalName", "externalName": "a.example.com", "ports": null}"#;

type Make = fn(&str, &str) -> Act;

/// What the Service is before, the request, what it becomes.
const WAYS: &[(&str, Make, &str)] = &[
    ("", Act::create, INSIDE),
    ("", Act::create, AT_ADDRESS),
    ("", Act::create, NODE_PORTS),
    ("", Act::create, AT_PORT),
    ("", Act::create, BALANCER),
    ("", Act::update, NODE_PORTS),
    ("", Act::update, AT_PORT),
    ("", Act::apply, NODE_PORTS),
    ("", Act::apply, AT_PORT),
    (INSIDE, Act::update, NODE_PORTS),
    (NODE_PORTS, Act::update, INSIDE),
    (BALANCER, Act::update, OUTSIDE),
    (OUTSIDE, Act::update, BALANCER),
    (INSIDE, Act::merge, NODE_PORTS),
    (NODE_PORTS, Act::merge, r#"{"type": "ClusterIP"}"#),
    (BALANCER, Act::merge, TO_OUTSIDE),
    (OUTSIDE, Act::merge, AT_PORT),
    (INSIDE, Act::apply, NODE_PORTS),
    (OUTSIDE, Act::apply, AT_PORT),
    (BALANCER, Act::delete_one, ""),
    (AT_PORT, Act::delete_all, ""),
];

/// Somebody else's: an address of another Service, or a Service of this name that takes nothing.
fn other(key: &str, _: &[u8]) -> Vec<u8> {
    let name = key.rsplit('/').next().unwrap_or_default();
    let metadata = json!({"name": name, "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"});
    let object = if key.contains("/ipaddresses/") {
        let parent = json!({"resource": "services", "namespace": ELSEWHERE, "name": "x"});
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": metadata,
            "spec": {"parentRef": parent}})
    } else {
        let mut metadata = metadata;
        metadata["namespace"] = "default".into();
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"type": "ExternalName", "externalName": "b.example.com", "sessionAffinity": "None"}})
    };
    object.to_string().into_bytes()
}

/// The very same, from a second server that was asked the same.
fn same(_: &str, value: &[u8]) -> Vec<u8> {
    value.to_vec()
}

/// Refuses the first conditional write of the request, then the second of a new one, and so on. How many there were.
async fn refuse_each(world: &World, (before, make, spec): (&str, Make, &str), intrude: Intrude) -> usize {
    for at in 0..32 {
        if !before.is_empty() {
            world.call(&Act::create("service", before)).await.unwrap();
        }
        let act = make("service", spec);
        world.rival.strike(at, intrude);
        let outcome = world.call(&act).await;
        let struck = world.rival.rest();
        let case = format!(
            "{} {} {before} -> {spec}, refused {at}: {struck:?}, {:?}",
            act.method,
            act.path,
            outcome.as_ref().err()
        );
        assert!(
            outcome.as_ref().is_ok_and(|_| true) || outcome.as_ref().is_err_and(|e| matches!(e.code, 409 | 422)),
            "{case}"
        );
        world.compare(&case).await;
        world.clear().await;
        if struck.is_none() {
            assert!(outcome.is_ok(), "{case}");
            return at;
        }
    }
    panic!("the conditional writes of {before} -> {spec} have no end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_address_and_no_port_is_leaked_or_given_twice_whatever_write_is_refused() {
    let Some(world) = World::start().await else { return };
    // The key of the ports is made by whoever takes the first.
    world.call(&Act::create("first", NODE_PORTS)).await.unwrap();
    world.call(&Act::delete("first")).await.unwrap();
    let mut refused = 0;
    for way in WAYS {
        let count = refuse_each(&world, *way, other).await;
        assert!(count > 0, "{way:?} writes nothing");
        refused += count;
    }
    // Two servers that are asked for the same Service at once: whoever comes second must not free what both have.
    for way in [("", Act::create as Make, AT_ADDRESS), ("", Act::update, AT_ADDRESS), ("", Act::apply, AT_ADDRESS)] {
        refused += refuse_each(&world, way, same).await;
    }
    assert!(refused > 60, "only {refused} conditional writes were refused");
}
