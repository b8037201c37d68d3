//! What an aggregated server tells of itself: its resources, and where its OpenAPI is.
//!
//! In: a server that is well. Out: its documents, kept with its route. A server that tells nothing, or something that
//! is not understood, leaves what it told before. Answers have a bound in size and time, and of each only the part
//! about the server's own group and version is kept.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method, header};
use serde_json::{Map, Value, json};

use super::check::headers;
use crate::{
    api::openapi::ForeignV2,
    cluster::{Cluster, Documents, Remote},
};

const TIME_MAX: Duration = Duration::from_secs(5);
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// Asks for everything, and keeps what came.
pub(super) async fn learn(cluster: &Cluster, remote: &Remote) {
    let before = remote.documents();
    let resources = resources(cluster, remote).await;
    let resources = resources.or_else(|| before.as_ref().and_then(|before| before.resources.clone()));
    let openapi_v3 = match get(cluster, remote, "/openapi/v3", "application/json").await {
        Some(index) => index["paths"][remote.root().trim_start_matches('/')]["serverRelativeURL"]
            .as_str()
            .filter(|url| url.starts_with("/openapi/v3/"))
            .map(str::to_owned),
        None => before.as_ref().and_then(|before| before.openapi_v3.clone()),
    };
    let openapi_v2 = match get(cluster, remote, "/openapi/v2", "application/json").await {
        Some(document) => ForeignV2::cut(&document, &remote.root()).map(Arc::new),
        None => before.as_ref().and_then(|before| before.openapi_v2.clone()),
    };
    let documents = Documents { resources, openapi_v3, openapi_v2 };
    if before.as_deref() != Some(&documents) {
        remote.tell(documents);
    }
}

async fn get(cluster: &Cluster, remote: &Remote, path: &str, accept: &'static str) -> Option<Value> {
    let address = cluster.address_of(remote).ok()?;
    let client = cluster.client_of(remote, &address).ok()?;
    let url = format!("https://{}{path}", address.authority());
    let mut headers = headers();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    let reply = client.call(Method::GET, &url, headers, bytes::Bytes::new(), TIME_MAX).await.ok()?;
    serde_json::from_slice(&reply.body).ok().filter(|_| reply.status.is_success())
}

/// From aggregated discovery where the server speaks it, else from the older document.
async fn resources(cluster: &Cluster, remote: &Remote) -> Option<Value> {
    let root = if remote.group.is_empty() { "/api" } else { "/apis" };
    if let Some(list) = get(cluster, remote, root, AGGREGATED).await
        && list["kind"] == "APIGroupDiscoveryList"
    {
        let named = |each: &&Value| each["metadata"]["name"].as_str().unwrap_or_default() == remote.group;
        let group = list["items"].as_array().and_then(|items| items.iter().find(named));
        let versions = group.and_then(|group| group["versions"].as_array());
        let version = versions.and_then(|all| all.iter().find(|each| each["version"] == remote.version.as_str()));
        if let Some(version) = version {
            return Some(version["resources"].clone()).filter(Value::is_array);
        }
    }
    let list = get(cluster, remote, &remote.root(), "application/json").await?;
    Some(from_older(list["resources"].as_array()?, &remote.group, &remote.version))
}

/// An APIResourceList's resources in the form of aggregated discovery: subresources below their resources.
fn from_older(resources: &[Value], group: &str, version: &str) -> Value {
    let mut all: Vec<Map<String, Value>> = Vec::new();
    let kind = |each: &Value| {
        let own =
            |field: &str, else_: &str| each[field].as_str().filter(|text| !text.is_empty()).unwrap_or(else_).to_owned();
        json!({"group": own("group", group), "version": own("version", version), "kind": each["kind"]})
    };
    for each in resources {
        let name = each["name"].as_str().unwrap_or_default();
        let scope = if each["namespaced"] == true { "Namespaced" } else { "Cluster" };
        let Some((parent, subresource)) = name.split_once('/') else {
            let mut entry = Map::new();
            entry.insert("resource".to_owned(), json!(name));
            entry.insert("responseKind".to_owned(), kind(each));
            entry.insert("scope".to_owned(), json!(scope));
            entry.insert("singularResource".to_owned(), json!(each["singularName"].as_str().unwrap_or_default()));
            entry.insert("verbs".to_owned(), each["verbs"].clone());
            for field in ["shortNames", "categories"] {
                if each[field].is_array() {
                    entry.insert(field.to_owned(), each[field].clone());
                }
            }
            all.push(entry);
            continue;
        };
        let below = json!({"subresource": subresource, "responseKind": kind(each), "verbs": each["verbs"]});
        let Some(of) = all.iter_mut().find(|entry| entry["resource"] == parent) else { continue };
        match of.entry("subresources").or_insert_with(|| json!([])) {
            Value::Array(list) => list.push(below),
            other => *other = json!([below]),
        }
    }
    Value::Array(all.into_iter().map(Value::Object).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_document_becomes_the_newer_form() {
        let older = json!([
            {"name": "beasts", "singularName": "beast", "namespaced": true, "kind": "Beast", "verbs": ["get"], "shortNames": ["b"]},
            {"name": "beasts/status", "singularName": "", "namespaced": true, "kind": "Beast", "verbs": ["get"]},
            {"name": "lost/scale", "kind": "Scale", "verbs": ["get"]},
        ]);
        let newer = from_older(older.as_array().unwrap(), "wild.example", "v1");
        let kind = json!({"group": "wild.example", "version": "v1", "kind": "Beast"});
        let expected = json!([{
            "resource": "beasts", "responseKind": kind, "scope": "Namespaced", "singularResource": "beast",
            "verbs": ["get"], "shortNames": ["b"],
            "subresources": [{"subresource": "status", "responseKind": kind, "verbs": ["get"]}],
        }]);
        assert_eq!(newer, expected);
    }
}
