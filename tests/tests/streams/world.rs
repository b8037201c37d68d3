//! A frontend, a stand-in for a kubelet, and pods on its node.

use anyhow::Result;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tests::{
    cluster::{Cluster, Spec},
    kubelet::Kubelet,
    upgrade::{self, Answer},
};
use tokio::{io::AsyncReadExt, net::TcpListener};

/// A frontend, a kubelet, and on its node the pods `one` (container `main`) and `two` (`a` and `b`); `none` has no
/// node.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) kubelet: Kubelet,
    pub(crate) pods: Api<Pod>,
}

fn pod(name: &str, node: Option<&str>, containers: &[&str]) -> Result<Pod> {
    let containers: Vec<Value> = containers.iter().map(|name| json!({"name": name, "image": "i"})).collect();
    let spec = json!({"containers": containers, "nodeName": node, "automountServiceAccountToken": false});
    Ok(serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}))?)
}

impl World {
    pub(crate) async fn start() -> Result<World> {
        let cluster = Cluster::start(Spec { endpoint: Some("memory:".to_owned()), shims: 1, frontends: 1 }).await?;
        let kubelet = Kubelet::start(&cluster.path("pki"), "kubelet").await?;
        let config = kube::config::Kubeconfig::read_from(&cluster.frontends[0].kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await?;
        let client = Client::try_from(config)?;
        let nodes: Api<Node> = Api::all(client.clone());
        nodes.create(&PostParams::default(), &serde_json::from_value(json!({"metadata": {"name": "here"}}))?).await?;
        let port = kubelet.address.port();
        let status = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }});
        nodes.patch_status("here", &PatchParams::default(), &Patch::Merge(status)).await?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(client, "default");
        // There is no controller that would make it.
        accounts
            .create(&PostParams::default(), &serde_json::from_value(json!({"metadata": {"name": "default"}}))?)
            .await?;
        for pod in [
            pod("one", Some("here"), &["main"])?,
            pod("two", Some("here"), &["a", "b"])?,
            pod("none", None, &["main"])?,
            pod("lost", Some("nowhere"), &["main"])?,
        ] {
            pods.create(&PostParams::default(), &pod).await?;
        }
        // kubectl forwards no port of a pod that does not run.
        let status = json!({"status": {"phase": "Running"}});
        pods.patch_status("one", &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(World { cluster, kubelet, pods })
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Result<Answer> {
        let path = format!("/api/v1/namespaces/default/pods{}{path}", if path.starts_with('?') { "" } else { "/" });
        upgrade::ask(&self.cluster.frontends[0].url, &self.cluster.path("pki"), "admin", method, &path, headers).await
    }
}

pub(crate) async fn all(mut from: impl tokio::io::AsyncRead + Unpin) -> Result<String> {
    let mut text = String::new();
    from.read_to_string(&mut text).await?;
    Ok(text)
}

/// A server that answers each line with itself.
pub(crate) async fn echo_server() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = connection.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    Ok(port)
}
