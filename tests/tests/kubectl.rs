//! kubectl's everyday commands over many kinds, on the embedded store and over two frontends, two shims and one
//! PostgreSQL.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tests::{
    cluster::{Cluster, Spec},
    kubectl::Kubectl,
    postgres,
};

/// (kind as kubectl prints it in lower case, name, namespaced, manifest).
const OBJECTS: &str = include_str!("objects.yaml");

/// resource, name, namespaced; in the order of the manifest.
const NAMES: [(&str, &str, bool); 24] = [
    ("configmaps", "settings", true),
    ("secrets", "password", true),
    ("serviceaccounts", "robot", true),
    ("services", "web", true),
    ("pods", "one", true),
    ("persistentvolumeclaims", "disk", true),
    ("limitranges", "limits", true),
    ("resourcequotas", "quota", true),
    ("deployments.apps", "web", true),
    ("statefulsets.apps", "db", true),
    ("daemonsets.apps", "agent", true),
    ("replicasets.apps", "rs", true),
    ("jobs.batch", "once", true),
    ("cronjobs.batch", "nightly", true),
    ("ingresses.networking.k8s.io", "site", true),
    ("networkpolicies.networking.k8s.io", "closed", true),
    ("roles.rbac.authorization.k8s.io", "reader", true),
    ("rolebindings.rbac.authorization.k8s.io", "readers", true),
    ("poddisruptionbudgets.policy", "web", true),
    ("horizontalpodautoscalers.autoscaling", "web", true),
    ("leases.coordination.k8s.io", "leader", true),
    ("storageclasses.storage.k8s.io", "case-fast", false),
    ("priorityclasses.scheduling.k8s.io", "case-high", false),
    ("clusterroles.rbac.authorization.k8s.io", "case-auditor", false),
];

struct Pair {
    /// Everything is written here ...
    writer: Kubectl,
    /// ... and read here: the same frontend, or another one on another shim.
    reader: Kubectl,
}

impl Pair {
    fn of(cluster: &Cluster, program: &std::path::Path) -> Self {
        let last = cluster.frontends.len() - 1;
        let kubectl = |n: usize| {
            Kubectl::new(program, &cluster.frontends[n].kubeconfig, cluster.path(&format!("kubectl-home-{n}")))
        };
        Self { writer: kubectl(0), reader: kubectl(last) }
    }

    fn read(&self, args: &[&str]) -> Result<String> {
        self.reader.run(args)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyday_commands_on_the_embedded_store() -> Result<()> {
    let Some(program) = Kubectl::find("everyday_commands_on_the_embedded_store") else { return Ok(()) };
    let cluster = Cluster::start(Spec { endpoint: None, shims: 1, frontends: 1 }).await?;
    everyday_commands(&Pair::of(&cluster, &program))
}

#[tokio::test(flavor = "multi_thread")]
async fn everyday_commands_across_two_frontends_and_two_shims() -> Result<()> {
    let case = "everyday_commands_across_two_frontends_and_two_shims";
    let (Some(program), Some(postgres)) = (Kubectl::find(case), postgres::shared(case)) else { return Ok(()) };
    let endpoint = Some(postgres.database().await?);
    let cluster = Cluster::start(Spec { endpoint, shims: 2, frontends: 2 }).await?;
    let pair = Pair::of(&cluster, &program);
    everyday_commands(&pair)?;
    watch_shows_within_100_ms(&pair)
}

fn everyday_commands(pair: &Pair) -> Result<()> {
    discovery(pair)?;
    create_and_read(pair)?;
    output_formats(pair)?;
    change(pair)?;
    patches_and_scale(pair)?;
    explain_and_describe(pair)?;
    refusals(pair)?;
    delete(pair)
}

fn discovery(pair: &Pair) -> Result<()> {
    let resources = pair.read(&["api-resources", "-o", "name"])?;
    for (resource, ..) in NAMES {
        ensure!(resources.lines().any(|line| line == resource), "api-resources lacks {resource}:\n{resources}");
    }
    let versions = pair.read(&["api-versions"])?;
    for version in ["v1", "apps/v1", "batch/v1", "autoscaling/v2", "policy/v1"] {
        ensure!(versions.lines().any(|line| line == version), "api-versions lacks {version}:\n{versions}");
    }
    Ok(())
}

fn create_and_read(pair: &Pair) -> Result<()> {
    pair.writer.run(&["create", "namespace", "case"])?;
    let applied = pair.writer.run_with(&["apply", "-n", "case", "-f", "-"], OBJECTS)?;
    ensure!(applied.lines().count() == NAMES.len(), "apply said:\n{applied}");
    let again = pair.writer.run_with(&["apply", "-n", "case", "-f", "-"], OBJECTS)?;
    // kubectl itself finds something to send for three of them, whatever the server.
    let sent = ["secret/", "limitrange/", "poddisruptionbudget"];
    let steady = |line: &str| line.ends_with("unchanged") || sent.iter().any(|kind| line.starts_with(kind));
    ensure!(again.lines().all(steady), "a second apply changed something:\n{again}");
    for (resource, name, _) in NAMES {
        let table = pair.read(&["get", resource, name, "-n", "case"])?;
        ensure!(table.contains(name) && table.contains("NAME"), "get {resource}:\n{table}");
    }
    Ok(())
}

fn output_formats(pair: &Pair) -> Result<()> {
    let get = |resource: &str, format: &str| pair.read(&["get", resource, "-n", "case", "-o", format]);
    for (resource, name, namespaced) in NAMES {
        let json: serde_json::Value = serde_json::from_str(&get(&format!("{resource}/{name}"), "json")?)?;
        ensure!(json["metadata"]["name"] == name && json["metadata"]["uid"].is_string(), "{resource}: {json}");
        ensure!(json["metadata"]["namespace"].is_string() == namespaced, "{resource}: {json}");
        ensure!(get(resource, "yaml")?.contains(&format!("name: {name}")), "{resource} as YAML");
        ensure!(get(resource, "name")?.contains(&format!("/{name}")), "{resource} as names");
        ensure!(get(resource, "wide")?.contains(name), "{resource} wide");
        ensure!(get(resource, "jsonpath={.items[*].metadata.name}")?.contains(name), "{resource} by jsonpath");
        ensure!(get(resource, "custom-columns=N:.metadata.name")?.contains(name), "{resource} in custom columns");
        let template = "go-template={{range .items}}{{.metadata.name}} {{end}}";
        ensure!(get(resource, template)?.contains(name), "{resource} by template");
    }
    Ok(())
}

fn change(pair: &Pair) -> Result<()> {
    pair.writer.run(&["label", "configmap/settings", "-n", "case", "colour=blue"])?;
    ensure!(pair.read(&["get", "cm", "-n", "case", "-l", "colour=blue", "-o", "name"])? == "configmap/settings\n");
    ensure!(pair.read(&["get", "cm", "-n", "case", "-l", "colour!=blue", "-o", "name"])?.find("settings").is_none());
    pair.writer.run(&["annotate", "pod/one", "-n", "case", "note=seen"])?;
    let note = pair.read(&["get", "pod/one", "-n", "case", "-o", "jsonpath={.metadata.annotations.note}"])?;
    ensure!(note == "seen", "annotation: {note}");
    ensure!(
        pair.read(&["get", "pods", "-n", "case", "--field-selector", "metadata.name=one", "-o", "name"])?
            == "pod/one\n"
    );

    let mut edit = pair.writer.command(&["edit", "configmap/settings", "-n", "case"]);
    let output = edit.env("KUBE_EDITOR", "sed -i s/level:.info/level:\\ debug/").output()?;
    ensure!(output.status.success(), "edit: {}", String::from_utf8_lossy(&output.stderr));
    let level = pair.read(&["get", "cm/settings", "-n", "case", "-o", "jsonpath={.data.level}"])?;
    ensure!(level == "debug", "after edit: {level}");

    let current = pair.writer.run(&["get", "cm/settings", "-n", "case", "-o", "json"])?;
    pair.writer.run_with(&["replace", "-f", "-"], &current.replace("\"debug\"", "\"warn\""))?;
    let level = pair.read(&["get", "cm/settings", "-n", "case", "-o", "jsonpath={.data.level}"])?;
    ensure!(level == "warn", "after replace: {level}");
    Ok(())
}

fn patches_and_scale(pair: &Pair) -> Result<()> {
    let patch =
        |kind: &str, patch: &str| pair.writer.run(&["patch", "deploy/web", "-n", "case", "--type", kind, "-p", patch]);
    let look = |path: &str| pair.read(&["get", "deploy/web", "-n", "case", "-o", &format!("jsonpath={{{path}}}")]);
    patch("json", r#"[{"op":"replace","path":"/spec/replicas","value":4}]"#)?;
    ensure!(look(".spec.replicas")? == "4");
    patch("merge", r#"{"spec":{"paused":true,"template":{"metadata":{"labels":{"tier":"front"}}}}}"#)?;
    ensure!(look(".spec.paused")? == "true" && look(".spec.template.metadata.labels.tier")? == "front");
    // A strategic merge patch finds the container by its name and leaves the other alone.
    patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:2"}]}}}}"#)?;
    ensure!(look(".spec.template.spec.containers[*].image")? == "web:2 side:1");
    pair.writer.run(&["scale", "deploy/web", "-n", "case", "--replicas=7"])?;
    ensure!(look(".spec.replicas")? == "7" && look(".metadata.generation")? == "5");
    pair.reader.run(&["wait", "deploy/web", "-n", "case", "--for=jsonpath={.spec.replicas}=7", "--timeout=10s"])?;
    Ok(())
}

fn explain_and_describe(pair: &Pair) -> Result<()> {
    let explained = pair.read(&["explain", "pod.spec.containers.image"])?;
    ensure!(explained.contains("FIELD: image <string>"), "explain:\n{explained}");
    ensure!(pair.read(&["explain", "deployment", "--recursive"])?.contains("progressDeadlineSeconds"));
    for (resource, name, _) in NAMES {
        let described = pair.read(&["describe", resource, name, "-n", "case"])?;
        ensure!(described.contains(name), "describe {resource}:\n{described}");
    }
    Ok(())
}

fn refusals(pair: &Pair) -> Result<()> {
    let cases: [(&[&str], &str); 5] = [
        (&["get", "cm", "absent", "-n", "case"], "Error from server (NotFound): configmaps \"absent\" not found"),
        (&["create", "cm", "settings", "-n", "case"], "configmaps \"settings\" already exists"),
        (&["create", "cm", "Not_A_Name", "-n", "case"], "a lowercase RFC 1123 subdomain must consist of"),
        (&["get", "wombats"], "the server doesn't have a resource type \"wombats\""),
        (
            &["patch", "cm/settings", "-n", "case", "--type=merge", "-p", r#"{"metadata":{"resourceVersion":"1"}}"#],
            "the object has been modified; please apply your changes to the latest version and try again",
        ),
    ];
    for (args, text) in cases {
        let said = pair.writer.refused(args)?;
        ensure!(said.contains(text), "kubectl {args:?} said:\n{said}");
    }
    Ok(())
}

fn delete(pair: &Pair) -> Result<()> {
    // Its protection is lifted by a controller, which does not run here.
    let unprotected = r#"{"metadata":{"finalizers":null}}"#;
    pair.writer.run(&["patch", "pvc/disk", "-n", "case", "--type=merge", "-p", unprotected])?;
    for (resource, name, _) in NAMES {
        pair.writer.run(&["delete", resource, name, "-n", "case", "--timeout=20s"])?;
        let said = pair.reader.refused(&["get", resource, name, "-n", "case"])?;
        ensure!(said.contains("(NotFound)"), "after deleting {resource}:\n{said}");
    }
    Ok(())
}

/// `kubectl get --watch` at one frontend shows what was applied at the other.
fn watch_shows_within_100_ms(pair: &Pair) -> Result<()> {
    let mut command = pair.reader.command(&["get", "cm", "-n", "case", "--watch", "-o", "name"]);
    let mut watch = command.stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(watch.stdout.take().context("no output")?).lines();
    let result = measure_watch(pair, lines);
    watch.kill()?;
    watch.wait()?;
    let mut delays = result?;
    delays.sort_unstable();
    println!("from the server's answer at A to kubectl's line at B: {delays:?}");
    let median = delays[delays.len() / 2];
    ensure!(median < Duration::from_millis(100), "median {median:?}");
    Ok(())
}

fn measure_watch(pair: &Pair, mut lines: impl Iterator<Item = std::io::Result<String>>) -> Result<Vec<Duration>> {
    // The first object also shows that the watch has begun.
    pair.writer.run(&["create", "cm", "seen-0", "-n", "case"])?;
    let mut delays = Vec::new();
    for number in 0..10 {
        let wanted = format!("configmap/seen-{number}");
        while lines.next().context("the watch ended")?? != wanted {}
        let name = format!("seen-{}", number + 1);
        let before = Instant::now();
        pair.writer.run(&["create", "cm", &name, "-n", "case"])?;
        let answered = Instant::now();
        let wanted = format!("configmap/{name}");
        while lines.next().context("the watch ended")?? != wanted {}
        ensure!(before.elapsed() < Duration::from_secs(10), "no event in time");
        delays.push(answered.elapsed());
        pair.writer.run(&["label", "cm", &name, "-n", "case", "again=yes"])?;
    }
    Ok(delays)
}
