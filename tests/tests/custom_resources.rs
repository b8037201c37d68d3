//! Custom resources as their users have them: an operator of kube-rs at work over two frontends, documents that follow
//! a definition on both, and definitions that no server should fall over.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, future::try_join_all};
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
    runtime::{
        Controller,
        controller::Action,
        finalizer::{self, finalizer},
        watcher,
    },
};
use serde_json::{Map, Value, json};
use tests::{
    cluster::{Cluster, Spec},
    process::eventually,
    rest::Rest,
};

const WITHIN: Duration = Duration::from_secs(30);
const GROUP: &str = "plants.example.com";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const OPERATOR: &str = "gardener";
const FINALIZER: &str = "plants.example.com/beds";

fn definition(plural: &str, kind: &str, schema: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema}}]},
    })
}

fn gardens() -> Value {
    let spec = json!({"type": "object", "required": ["plants"], "properties": {
        "plants": {"type": "integer", "minimum": 0}, "soil": {"type": "string", "default": "loam"}}});
    let status = json!({"type": "object", "properties": {
        "planted": {"type": "integer"}, "observedGeneration": {"type": "integer"}}});
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    definition("gardens", "Garden", &schema)
}

/// One client for each frontend.
fn each(cluster: &Cluster) -> Result<Vec<Rest>> {
    let one = |url: &String| Ok(Rest::new(cluster.admin_client()?, vec![url.clone()]));
    cluster.frontends.iter().map(|frontend| one(&frontend.url)).collect()
}

async fn two_frontends() -> Result<Cluster> {
    Cluster::start(Spec { endpoint: Some("memory:".to_owned()), shims: 1, frontends: 2 }).await
}

async fn client(cluster: &Cluster, frontend: usize) -> Result<Client> {
    let config = kube::config::Kubeconfig::read_from(&cluster.frontends[frontend].kubeconfig)?;
    Ok(Client::try_from(
        kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await?,
    )?)
}

fn garden() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1", "Garden"), "gardens")
}

/// What the operator works with.
struct Operator {
    gardens: Api<DynamicObject>,
    maps: Api<ConfigMap>,
}

type Failure = finalizer::Error<kube::Error>;

/// Each garden has a ConfigMap that lists its plants; its status says for which generation.
async fn reconcile(garden: Arc<DynamicObject>, operator: Arc<Operator>) -> Result<Action, Failure> {
    let own = Arc::clone(&operator);
    let work = |event: finalizer::Event<DynamicObject>| async move {
        match event {
            finalizer::Event::Apply(garden) => plant(&own, &garden).await,
            finalizer::Event::Cleanup(garden) => clear(&own, &garden).await,
        }
    };
    finalizer(&operator.gardens, FINALIZER, garden, work).await
}

async fn plant(operator: &Operator, garden: &DynamicObject) -> Result<Action, kube::Error> {
    let (name, plants) = (garden.name_any(), garden.data["spec"]["plants"].as_i64().unwrap_or_default());
    let rows: Map<String, Value> = (0..plants).map(|number| (format!("row{number}"), "bean".into())).collect();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": rows});
    let apply = PatchParams::apply(OPERATOR).force();
    operator.maps.patch(&name, &apply, &Patch::Apply(&map)).await?;
    let status = json!({"planted": plants, "observedGeneration": garden.metadata.generation});
    if garden.data["status"] != status {
        let status = json!({"status": status});
        operator.gardens.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await?;
    }
    Ok(Action::await_change())
}

async fn clear(operator: &Operator, garden: &DynamicObject) -> Result<Action, kube::Error> {
    match operator.maps.delete(&garden.name_any(), &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        answer => drop(answer?),
    }
    Ok(Action::await_change())
}

fn again(_: Arc<DynamicObject>, _: &Failure, _: Arc<Operator>) -> Action {
    Action::requeue(Duration::from_millis(200))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_on_one_frontend_serves_users_of_the_other() -> Result<()> {
    let cluster = two_frontends().await?;
    let rest = each(&cluster)?;
    rest[1].must(Method::POST, DEFINITIONS, Some(&gardens())).await?;
    for rest in &rest {
        eventually("gardens are served", WITHIN, || async {
            rest.must(Method::GET, &format!("/apis/{GROUP}/v1/gardens"), None).await.map(drop)
        })
        .await?;
    }
    let (theirs, ours) = (client(&cluster, 0).await?, client(&cluster, 1).await?);
    let api = |client: Client| Api::<DynamicObject>::namespaced_with(client, "default", &garden());
    let operator = Operator { gardens: api(theirs.clone()), maps: Api::namespaced(theirs, "default") };
    let controller = Controller::new_with(operator.gardens.clone(), watcher::Config::default(), garden());
    let running = tokio::spawn(controller.run(reconcile, again, Arc::new(operator)).for_each(|_| async {}));

    let (gardens, maps) = (api(ours.clone()), Api::<ConfigMap>::namespaced(ours, "default"));
    let grow = |number: i64| {
        let (gardens, maps) = (gardens.clone(), maps.clone());
        async move {
            let name = format!("garden{number}");
            let wanted = DynamicObject::new(&name, &garden()).data(json!({"spec": {"plants": number}}));
            let made = gardens.create(&PostParams::default(), &wanted).await?;
            ensure!(made.data["spec"]["soil"] == "loam", "{made:?}");
            for (plants, generation) in [(number, 1), (number + 1, 2)] {
                let spec = json!({"spec": {"plants": plants}});
                gardens.patch(&name, &PatchParams::default(), &Patch::Merge(&spec)).await?;
                eventually("the garden is planted", WITHIN, || async {
                    let found = gardens.get(&name).await?;
                    let status = json!({"planted": plants, "observedGeneration": generation});
                    ensure!(found.data["status"] == status, "{found:?}");
                    let rows = maps.get(&name).await?.data.unwrap_or_default().len();
                    ensure!(i64::try_from(rows)? == plants, "{rows} rows");
                    Ok(())
                })
                .await?;
            }
            gardens.delete(&name, &DeleteParams::default()).await?;
            eventually("the garden is gone, and what was planted", WITHIN, || async {
                ensure!(gardens.get_opt(&name).await?.is_none() && maps.get_opt(&name).await?.is_none());
                Ok(())
            })
            .await
        }
    };
    try_join_all((0..10).map(grow)).await?;
    ensure!(!running.is_finished(), "the operator has ended");
    running.abort();
    Ok(())
}

/// The hash that the index has for a document.
async fn hash(rest: &Rest, path: &str) -> Result<String> {
    let index = rest.must(Method::GET, "/openapi/v3", None).await?;
    let url = index["paths"][path]["serverRelativeURL"].as_str().with_context(|| format!("no {path}"))?;
    Ok(url.rsplit("hash=").next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_follow_a_definition_on_every_frontend_and_others_stay_as_they_are() -> Result<()> {
    let cluster = two_frontends().await?;
    let rest = each(&cluster)?;
    let deep = |name: &str| {
        let inner = json!({"type": "object", "properties": {name: {"type": "string", "description": "deep down"}}});
        let spec = json!({"type": "object", "properties": {"bed": {"type": "array", "items": inner}}});
        definition("trees", "Tree", &json!({"type": "object", "properties": {"spec": spec}}))
    };
    let made = rest[0].must(Method::POST, DEFINITIONS, Some(&deep("first"))).await?;
    let own = format!("apis/{GROUP}/v1");
    let mut before: Vec<(String, String)> = Vec::new();
    for (step, name) in ["first", "second"].into_iter().enumerate() {
        if step > 0 {
            let mut changed = deep(name);
            changed["metadata"]["resourceVersion"] = rest[0]
                .must(Method::GET, &format!("{DEFINITIONS}/trees.{GROUP}"), None)
                .await?["metadata"]["resourceVersion"]
                .clone();
            rest[0].must(Method::PUT, &format!("{DEFINITIONS}/trees.{GROUP}"), Some(&changed)).await?;
        }
        let mut hashes = Vec::new();
        for rest in &rest {
            eventually("both dialects have the field", WITHIN, || async {
                let third = rest.must(Method::GET, &format!("/openapi/v3/{own}"), None).await?;
                let second = rest.must(Method::GET, "/openapi/v2", None).await?;
                for definitions in [&third["components"]["schemas"], &second["definitions"]] {
                    let tree = &definitions["com.example.plants.v1.Tree"]["properties"]["spec"]["properties"]["bed"];
                    ensure!(tree["items"]["properties"][name]["type"] == "string", "{tree}");
                }
                Ok(())
            })
            .await?;
            hashes.push((hash(rest, &own).await?, hash(rest, "apis/apps/v1").await?));
        }
        ensure!(hashes[0] == hashes[1], "two frontends name one document by two hashes: {hashes:?}");
        if let Some(old) = before.first() {
            ensure!(old.0 != hashes[0].0, "a property deep down changes the document, but not its hash");
            ensure!(old.1 == hashes[0].1, "a definition changes the hash of another group's document");
        }
        before = hashes;
    }
    let path = format!("{DEFINITIONS}/trees.{GROUP}");
    rest[1].must(Method::DELETE, &path, None).await?;
    for rest in &rest {
        eventually("the group is gone", WITHIN, || async {
            ensure!(rest.once(Method::GET, &format!("/openapi/v3/{own}"), None).await?.0 == 404);
            Ok(())
        })
        .await?;
    }
    ensure!(made["kind"] == "CustomResourceDefinition");
    Ok(())
}

/// A schema with objects in objects.
fn nested(depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..depth {
        text.push_str(r#"{"type":"object","properties":{"a":"#);
    }
    text.push_str(r#"{"type":"string"}"#);
    text.push_str(&"}}".repeat(depth));
    text
}

/// A schema with a rule.
fn ruled(kind: &str, rule: &str) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": kind, "x-kubernetes-validations": [{"rule": rule}]}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_nobody_should_fall_over() -> Result<()> {
    let cluster = two_frontends().await?;
    let rest = &each(&cluster)?[0];
    let mut many = Map::new();
    for number in 0..10_000 {
        many.insert(format!("p{number}"), json!({"type": "string"}));
    }
    let spec = |schema: Value| json!({"type": "object", "properties": {"spec": schema}});
    let loops = "[1,2,3,4,5,6,7,8,9,10].map(a, ".repeat(8) + "1" + &")".repeat(8) + ".size() > 0";
    // The code, and a word of the refusal.
    let cases: Vec<(&str, Value, u16, &str)> = vec![
        ("wide", spec(json!({"type": "object", "properties": many})), 201, ""),
        ("nested", serde_json::from_str(&nested(60))?, 201, ""),
        ("refers", spec(json!({"$ref": "#"})), 422, "$ref"),
        ("contradicts", spec(json!({"type": "string", "minLength": 5, "maxLength": 1})), 201, ""),
        ("pattern", spec(json!({"type": "string", "pattern": "(("})), 422, "pattern"),
        ("quadratic", spec(json!({"type": "string", "pattern": "^(a+)+$"})), 201, ""),
        ("default", spec(json!({"type": "string", "default": 5})), 422, "default"),
        ("loops", ruled("object", &loops), 422, "cost"),
        ("brackets", ruled("object", &format!("{}true{}", "(".repeat(400), ")".repeat(400))), 422, "recursion"),
        ("unfinished", ruled("object", "self."), 422, "Syntax error"),
        ("root", json!({"type": "array", "items": {"type": "string"}}), 422, "object"),
    ];
    for (name, schema, code, word) in cases {
        let plural = format!("{name}s");
        let (status, body) = rest.once(Method::POST, DEFINITIONS, Some(&definition(&plural, name, &schema))).await?;
        ensure!(status.as_u16() == code, "{name}: {status} {body}");
        let message = body["message"].as_str().unwrap_or_default();
        ensure!(message.contains(word), "{name}: {message}");
    }
    // Deeper than any reader goes: refused, and the server lives.
    for depth in [3_000, 12_000] {
        let mut text = String::new();
        write!(text, "{}", definition("deeps", "Deep", &json!("here")))?;
        let text = text.replace("\"here\"", &nested(depth));
        let answer =
            tests::upgrade::ask_with_body(&cluster.frontends[0].url, &cluster.path("pki"), "POST", DEFINITIONS, &text)
                .await?;
        ensure!((400..500).contains(&answer.status), "{depth}: {}", answer.head);
    }
    // A text that a careless engine needs for ever.
    eventually("the kind with the quadratic pattern is served", WITHIN, || async {
        let object = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "quadratic",
            "metadata": {"name": "long"}, "spec": format!("{}!", "a".repeat(50_000))});
        let path = format!("/apis/{GROUP}/v1/namespaces/default/quadratics");
        let (status, body) = rest.once(Method::POST, &path, Some(&object)).await?;
        ensure!(status == 422, "{status} {body}");
        Ok(())
    })
    .await?;
    for rest in each(&cluster)? {
        rest.must(Method::GET, "/api/v1/namespaces/default", None).await?;
    }
    Ok(())
}
