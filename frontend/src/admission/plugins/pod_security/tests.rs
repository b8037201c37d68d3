use serde_json::json;

use super::{policy::Version, *};
use crate::api::schema::{Schema, codec};

fn pod(spec: serde_json::Value) -> Object {
    let kind = Schema::builtin().kind("", "v1", "Pod").unwrap();
    let text = json!({"metadata": {"annotations": {}}, "spec": spec}).to_string();
    codec::decode_json_as(&kind, text.as_bytes()).unwrap().object
}

fn told(level: Level, minor: u32, spec: serde_json::Value) -> String {
    let pod = pod(spec);
    let looked = Pod { metadata: pod.get(&["metadata"]), spec: pod.get(&["spec"]).unwrap() };
    details(&violations(Standard { level, version: Version::Minor(minor) }, looked))
}

#[test]
fn a_plain_pod_is_baseline_and_not_restricted() {
    let plain = || json!({"containers": [{"name": "a"}]});
    assert_eq!(told(Level::Baseline, 35, plain()), "");
    assert_eq!(
        told(Level::Restricted, 35, plain()),
        "allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false), \
         unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]), \
         runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true), \
         seccompProfile (pod or container \"a\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    assert_eq!(
        told(Level::Restricted, 0, plain()),
        "runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true)"
    );
}

#[test]
fn a_restricted_check_takes_the_place_of_the_baseline_one() {
    let spec = || {
        json!({"containers": [{"name": "a", "securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}}],
               "volumes": [{"name": "v", "hostPath": {"path": "/"}}]})
    };
    let baseline = told(Level::Baseline, 22, spec());
    assert!(baseline.contains("non-default capabilities") && baseline.contains("hostPath volumes (volume \"v\")"));
    let restricted = told(Level::Restricted, 22, spec());
    assert!(!restricted.contains("non-default capabilities") && !restricted.contains("hostPath volumes"));
    assert!(restricted.contains("unrestricted capabilities"));
    assert!(restricted.contains("restricted volume types (volume \"v\" uses restricted volume type \"hostPath\")"));
}

#[test]
fn rules_change_with_versions() {
    let sysctl =
        || json!({"containers": [], "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}});
    assert_eq!(told(Level::Baseline, 31, sysctl()), "forbidden sysctls (net.ipv4.tcp_rmem)");
    assert_eq!(told(Level::Baseline, 32, sysctl()), "");
    let own_users = || json!({"hostUsers": false, "containers": [{"name": "a", "securityContext": {"runAsUser": 0}}]});
    assert!(
        told(Level::Restricted, 34, own_users()).contains("runAsUser=0 (container \"a\" must not set runAsUser=0)")
    );
    assert!(!told(Level::Restricted, 35, own_users()).contains("runAsUser"));
    let probe = || json!({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": 1, "host": "x"}}}]});
    assert_eq!(told(Level::Baseline, 33, probe()), "");
    assert_eq!(
        told(Level::Baseline, 34, probe()),
        "probe or lifecycle host (container \"a\" uses probe or lifecycle host \"x\")"
    );
}

#[test]
fn only_images_and_containers_make_a_change_worth_a_look() {
    let one = pod(json!({"containers": [{"name": "a", "image": "x"}]}));
    let other = pod(json!({"containers": [{"name": "a", "image": "y"}]}));
    let debugged =
        pod(json!({"containers": [{"name": "a", "image": "x"}], "ephemeralContainers": [{"name": "d", "image": "z"}]}));
    assert!(!changes_what_runs(&one, &one) && changes_what_runs(&other, &one));
    assert!(changes_what_runs(&debugged, &one) && !changes_what_runs(&one, &debugged));
}

/// Pods with what a kube-apiserver 1.35 said of them, from each version on that says something else.
#[test]
fn every_standard_and_version_says_what_the_real_server_says() {
    let fixtures: Vec<serde_json::Value> = serde_json::from_str(include_str!("fixtures.json")).unwrap();
    let kind = Schema::builtin().kind("", "v1", "Pod").unwrap();
    for fixture in &fixtures {
        let text = json!({"metadata": {"annotations": fixture["annotations"]}, "spec": fixture["spec"]}).to_string();
        let pod = codec::decode_json_as(&kind, text.as_bytes()).unwrap().object;
        let looked = Pod { metadata: pod.get(&["metadata"]), spec: pod.get(&["spec"]).unwrap() };
        for (level, name) in [(Level::Baseline, "baseline"), (Level::Restricted, "restricted")] {
            let changes = fixture[name].as_array().unwrap();
            let mut said = "";
            for version in (0..=36).map(Version::Minor).chain([Version::Latest]) {
                let change = changes.iter().find(|change| change[0] == version.to_string());
                said = change.map_or(said, |change| change[1].as_str().unwrap());
                let found = details(&violations(Standard { level, version }, looked));
                assert_eq!(found, said, "{name} {version} {text}");
            }
        }
    }
}
