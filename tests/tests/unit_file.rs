//! The unit file of an operator who began with an old version of kube-apiserver starts a frontend: what is gone is
//! accepted, and a warning says what took its place. A port without TLS is not opened.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::{
    cluster::{Cluster, Spec},
    process::{Process, free_port, own_program},
};

fn flags(cluster: &Cluster, port: u16) -> Vec<String> {
    let pki = |name: &str| cluster.path(&format!("pki/{name}")).display().to_string();
    let servers = [cluster.shims[0].url.as_str(); 3].join(",");
    vec![
        "--authorization-mode=Node,RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--client-ca-file={}", pki("ca.crt")),
        "--disable-admission-plugins=PersistentVolumeLabel,LimitPodHardAntiAffinityTopology".to_owned(),
        "--event-ttl=24h0m0s".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--enable-bootstrap-token-auth=true".to_owned(),
        format!("--etcd-cafile={}", pki("ca.crt")),
        format!("--etcd-certfile={}", pki("frontend.crt")),
        format!("--etcd-keyfile={}", pki("frontend.key")),
        format!("--etcd-servers={servers}"),
        "--feature-gates=PodPriority=false".to_owned(),
        format!("--kubelet-client-certificate={}", pki("frontend.crt")),
        format!("--kubelet-client-key={}", pki("frontend.key")),
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname".to_owned(),
        "--logtostderr=false".to_owned(),
        format!("--log-dir={}", cluster.path("logs").display()),
        format!("--proxy-client-cert-file={}", pki("frontend.crt")),
        format!("--proxy-client-key-file={}", pki("frontend.key")),
        "--port=0".to_owned(),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        format!("--requestheader-client-ca-file={}", pki("ca.crt")),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        format!("--secure-port={port}"),
        format!("--service-account-key-file={}", pki("accounts.crt")),
        "--service-cluster-ip-range=10.178.64.0/19".to_owned(),
        format!("--tls-cert-file={}", pki("frontend.crt")),
        format!("--tls-private-key-file={}", pki("frontend.key")),
        "-v=4".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_unit_file_starts_a_frontend() -> Result<()> {
    let cluster = Cluster::start(Spec { endpoint: None, shims: 1, frontends: 0 }).await?;
    let (program, port) = (own_program("frontend")?, free_port()?);
    let mut frontend = Process::start("frontend", &program, flags(&cluster, port), cluster.path("old.log"))?;
    let (client, url) = (cluster.admin_client()?, format!("https://127.0.0.1:{port}/readyz").parse::<http::Uri>()?);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !client.get(url.clone()).await.is_ok_and(|answer| answer.status() == 200) {
        frontend.check_alive()?;
        ensure!(Instant::now() < deadline, "not ready:\n{}", frontend.output());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = frontend.output();
    for (what, instead) in [
        ("--port", "serving without TLS is gone; use --secure-port and --bind-address"),
        ("--log-dir", "the log goes to stderr"),
        ("--logtostderr", "the log goes to stderr"),
        ("PersistentVolumeLabel", "cloud controller managers label volumes now"),
        ("feature-gates", ""),
    ] {
        let line = log.lines().find(|line| line.contains("WARN") && line.contains(what) && line.contains(instead));
        line.with_context(|| format!("no warning about {what} says {instead:?}:\n{log}"))?;
    }
    for flag in ["--port=8080", "--insecure-port=8080"] {
        let flags = flags(&cluster, port).into_iter().chain([flag.to_owned()]).collect();
        let log = cluster.path(&format!("{}.log", flag.len()));
        let mut refused = Process::start("frontend", &program, flags, log)?;
        ensure!(refused.wait(Duration::from_secs(10))? == Some(1), "{flag}: {}", refused.output());
        let said = refused.output();
        ensure!(said.contains(flag) && said.contains("--secure-port"), "{flag}: {said}");
    }
    Ok(())
}
