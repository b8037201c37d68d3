//! Custom resources of several versions: who owns a field when managers apply in different ones, versions that a
//! definition has no longer, and conversion webhooks that do not do what they should.

use std::time::Duration;

use anyhow::{Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::Method;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tests::{
    cluster::{Cluster, Spec},
    process::eventually,
    rest::Rest,
    stand_in::StandIn,
};

const WITHIN: Duration = Duration::from_secs(30);
const GROUP: &str = "conversion.example.com";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// What a test talks to.
struct World {
    cluster: Cluster,
    client: Client,
    rest: Rest,
}

impl World {
    async fn start() -> Result<World> {
        let spec = Spec { endpoint: Some("memory:".to_owned()), shims: 1, frontends: 1 };
        let cluster = Cluster::start(spec).await?;
        let config = kube::config::Kubeconfig::read_from(&cluster.frontends[0].kubeconfig)?;
        let options = kube::config::KubeConfigOptions::default();
        let client = Client::try_from(kube::Config::from_custom_kubeconfig(config, &options).await?)?;
        let rest = Rest::new(cluster.admin_client()?, vec![cluster.frontends[0].url.clone()]);
        Ok(World { cluster, client, rest })
    }

    /// Defines a kind and waits until its first version is served.
    async fn define(&self, plural: &str, versions: Value, conversion: Value) -> Result<()> {
        let served = versions[0]["name"].as_str().unwrap_or_default().to_owned();
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{GROUP}")},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": {"plural": plural, "kind": kind_of(plural)},
                "versions": versions, "conversion": conversion},
        });
        self.rest.must(Method::POST, DEFINITIONS, Some(&definition)).await?;
        eventually("the kind is served", WITHIN, || async {
            let path = format!("/apis/{GROUP}/{served}/namespaces/default/{plural}");
            self.rest.must(Method::GET, &path, None).await
        })
        .await?;
        Ok(())
    }

    fn of(&self, plural: &str, version: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(GROUP, version, &kind_of(plural));
        Api::namespaced_with(self.client.clone(), "default", &ApiResource::from_gvk_with_plural(&gvk, plural))
    }

    async fn apply(&self, (plural, version): (&str, &str), name: &str, manager: &str, spec: Value) -> Result<Value> {
        let config = json!({"apiVersion": format!("{GROUP}/{version}"), "kind": kind_of(plural),
            "metadata": {"name": name}, "spec": spec});
        let applied =
            self.of(plural, version).patch(name, &PatchParams::apply(manager), &Patch::Apply(&config)).await?;
        Ok(serde_json::to_value(applied)?)
    }

    async fn read(&self, plural: &str, version: &str, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.of(plural, version).get(name).await?)?)
    }
}

fn kind_of(plural: &str) -> String {
    plural.trim_end_matches('s').to_owned()
}

fn version(name: &str, stored: bool, spec: Value) -> Value {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    json!({"name": name, "served": true, "storage": stored, "schema": {"openAPIV3Schema": schema}})
}

/// As `tests::converter` has them: a map and a size, a list and a count.
fn versions() -> Value {
    let text = || json!({"type": "string"});
    let map = json!({"type": "object", "additionalProperties": text()});
    let item =
        json!({"type": "object", "required": ["name", "value"], "properties": {"name": text(), "value": text()}});
    let list = json!({"type": "array", "items": item,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "value"]});
    let number = json!({"type": "integer"});
    let spec = |args: Value, name: &str| json!({"type": "object", "properties": {"args": args, name: number}});
    json!([version("v1", false, spec(map, "size")), version("v2", true, spec(list, "count"))])
}

fn webhook(world: &World, stand_in: &StandIn, way: &str) -> Result<Value> {
    let ca = BASE64_STANDARD.encode(std::fs::read(world.cluster.path("pki").join("ca.crt"))?);
    let client_config = json!({"url": format!("{}/convert/{way}", stand_in.url), "caBundle": ca});
    let webhook = json!({"clientConfig": client_config, "conversionReviewVersions": ["v1"]});
    Ok(json!({"strategy": "Webhook", "webhook": webhook}))
}

/// Managers, with the version that each uses.
fn managers(object: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"].as_array();
    let pair = |entry: &Value| (text(&entry["manager"]), text(&entry["apiVersion"]).replace(&format!("{GROUP}/"), ""));
    entries.map(|entries| entries.iter().map(pair).collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_owned_across_versions_that_a_webhook_converts() -> Result<()> {
    let world = World::start().await?;
    let stand_in = StandIn::start(&world.cluster.path("pki"), "frontend").await?;
    world.define("jobs", versions(), webhook(&world, &stand_in, "honest")?).await?;
    let (v1, v2) = (("jobs", "v1"), ("jobs", "v2"));
    let arg = |name: &str, value: &str| json!({"name": name, "value": value});
    world.apply(v1, "a", "one", json!({"size": 3, "args": {"x": "1", "y": "2"}})).await?;
    // What the same manager names no longer goes, whichever version it names it in.
    let applied = world.apply(v2, "a", "one", json!({"count": 3, "args": [arg("x", "1")]})).await?;
    ensure!(applied["spec"] == json!({"count": 3, "args": [arg("x", "1")]}), "{applied}");
    ensure!(managers(&applied) == [("one".into(), "v2".into())], "{applied}");
    let applied = world.apply(v1, "a", "two", json!({"args": {"z": "9"}})).await?;
    ensure!(applied["spec"] == json!({"size": 3, "args": {"x": "1", "z": "9"}}), "{applied}");
    let applied = world.apply(v2, "a", "one", json!({"count": 3})).await?;
    ensure!(applied["spec"] == json!({"count": 3, "args": [arg("z", "9")]}), "{applied}");
    // A field of another name is the same field.
    let refused = world.apply(v1, "a", "two", json!({"size": 4, "args": {"z": "9"}})).await;
    let text = refused.map_or_else(|error| error.to_string(), |object| object.to_string());
    ensure!(text.contains(r#"conflict with "one": .spec.count"#), "{text}");
    // An updater takes it from whoever owned it in another version.
    let merge = json!({"spec": {"size": 5}});
    world.of("jobs", "v1").patch("a", &PatchParams::default(), &Patch::Merge(&merge)).await?;
    let read = world.read("jobs", "v2", "a").await?;
    ensure!(read["spec"]["count"] == 5, "{read}");
    ensure!(!managers(&read).iter().any(|(manager, _)| manager == "one"), "{read}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_gets_its_parameters_in_the_version_that_it_names() -> Result<()> {
    let world = World::start().await?;
    let stand_in = StandIn::start(&world.cluster.path("pki"), "frontend").await?;
    world.define("rules", versions(), webhook(&world, &stand_in, "honest")?).await?;
    let args = json!([{"name": "owner", "value": "ann"}]);
    world.apply(("rules", "v2"), "owners", "one", json!({"count": 3, "args": args})).await?;
    let rule = json!({"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
        "operations": ["CREATE"], "resources": ["configmaps"]}]});
    let expression = "object.data.owner == params.spec.args.owner && params.spec.size == 3";
    let parts = [
        (
            "Policy",
            json!({"failurePolicy": "Fail", "matchConstraints": rule,
            "paramKind": {"apiVersion": format!("{GROUP}/v1"), "kind": "rule"},
            "validations": [{"expression": expression, "message": "not its owner"}]}),
        ),
        (
            "PolicyBinding",
            json!({"policyName": "owners", "validationActions": ["Deny"],
            "paramRef": {"name": "owners", "namespace": "default", "parameterNotFoundAction": "Deny"}}),
        ),
    ];
    for (part, spec) in parts {
        let kind = format!("ValidatingAdmission{part}");
        let path = format!("/apis/admissionregistration.k8s.io/v1/{}", kind.to_lowercase());
        let path = path.strip_suffix('y').map_or(format!("{path}s"), |stem| format!("{stem}ies"));
        let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": "owners"}, "spec": spec});
        world.rest.must(Method::POST, &path, Some(&object)).await?;
    }
    let map = |name: &str, owner: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"generateName": name}, "data": {"owner": owner}})
    };
    let maps = "/api/v1/namespaces/default/configmaps";
    eventually("the policy refuses", WITHIN, || async {
        let (status, body) = world.rest.once(Method::POST, maps, Some(&map("bob", "bob"))).await?;
        ensure!(status == 422 && body["message"].to_string().contains("not its owner"), "{status} {body}");
        Ok(())
    })
    .await?;
    world.rest.must(Method::POST, maps, Some(&map("ann", "ann"))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_of_a_version_that_is_gone_refuse_applies_until_somebody_updates() -> Result<()> {
    let world = World::start().await?;
    let text = || json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    let both = json!([version("v1", false, text()), version("v2", true, text())]);
    world.define("olds", both, json!({"strategy": "None"})).await?;
    let v2 = ("olds", "v2");
    for name in ["x", "y"] {
        world.apply(("olds", "v1"), name, "one", json!({"a": "1"})).await?;
        world.apply(v2, name, "two", json!({"b": "1"})).await?;
    }
    let path = format!("{DEFINITIONS}/olds.{GROUP}");
    let mut unserved = version("v1", false, text());
    unserved["served"] = false.into();
    let change = json!({"spec": {"versions": [unserved, version("v2", true, text())]}});
    world.rest.must(Method::PATCH, &path, Some(&change)).await?;
    let gone = format!("/apis/{GROUP}/v1/namespaces/default/olds");
    let is_gone = || async {
        let (status, body) = world.rest.once(Method::GET, &gone, None).await?;
        ensure!(status == 404, "{status} {body}");
        Ok(())
    };
    eventually("version v1 is not served", WITHIN, is_gone).await?;
    // A version that is not served still has owners.
    let applied = world.apply(v2, "x", "two", json!({"b": "2"})).await?;
    ensure!(managers(&applied).contains(&("one".into(), "v1".into())), "{applied}");
    let refused = world.apply(v2, "x", "two", json!({"a": "3", "b": "2"})).await.err();
    ensure!(refused.is_some_and(|error| error.to_string().contains(r#"conflict with "one": .spec.a"#)));

    let change = json!({"status": {"storedVersions": ["v2"]}});
    world.rest.must(Method::PATCH, &format!("{path}/status"), Some(&change)).await?;
    let change = json!({"spec": {"versions": [version("v2", true, text())]}});
    world.rest.must(Method::PATCH, &path, Some(&change)).await?;
    let wanted = format!("request to convert CR to an invalid group/version: {GROUP}/v1");
    eventually("an apply is refused", WITHIN, || async {
        let refused = world.apply(v2, "x", "two", json!({"b": "2"})).await.err();
        ensure!(refused.is_some_and(|error| error.to_string().contains(&wanted)));
        Ok(())
    })
    .await?;
    ensure!(managers(&world.read("olds", "v2", "y").await?).len() == 2);
    // Any update, even one that changes nothing, leaves nobody.
    let same = world.of("olds", "v2").patch("y", &PatchParams::default(), &Patch::Merge(&json!({}))).await?;
    ensure!(managers(&serde_json::to_value(same)?).is_empty());
    world.apply(v2, "y", "two", json!({"b": "1"})).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_lies_is_not_believed() -> Result<()> {
    let world = World::start().await?;
    let stand_in = StandIn::start(&world.cluster.path("pki"), "frontend").await?;
    // A word of what the reader is told.
    let cases = [
        ("renames", "must have the same name"),
        ("moves", "must have the same namespace"),
        ("new-uid", "must have the same UID"),
        ("other-kind", "invalid kind"),
        ("other-version", "invalid groupVersion"),
        ("forgets", "returned 0 objects, expected 1"),
        ("doubles", "returned 2 objects, expected 1"),
        ("nulls", "null"),
        ("refuses", "not today"),
        ("garbage", "conversion webhook for"),
    ];
    for (way, word) in cases {
        let plural = format!("{}s", way.replace('-', ""));
        world.define(&plural, versions(), webhook(&world, &stand_in, way)?).await?;
        let object = json!({"apiVersion": format!("{GROUP}/v2"), "kind": kind_of(&plural),
            "metadata": {"name": "a"}, "spec": {"count": 1}});
        let object: DynamicObject = serde_json::from_value(object)?;
        // In the stored version nobody is asked.
        world.of(&plural, "v2").create(&PostParams::default(), &object).await?;
        let path = |version: &str| format!("/apis/{GROUP}/{version}/namespaces/default/{plural}");
        for path in [path("v1") + "/a", path("v1")] {
            let (status, body) = world.rest.once(Method::GET, &path, None).await?;
            let message = body["message"].as_str().unwrap_or_default();
            ensure!(status == 500 && message.contains(word), "{way}: {status} {body}");
        }
        world.rest.must(Method::GET, &(path("v2") + "/a"), None).await?;
    }
    Ok(())
}
