use serde_json::json;

use super::*;

#[test]
fn durations_in_two_or_three_figures() {
    let cases: [(i128, &str); 16] = [
        (-3, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (600, "10m"),
        (179 * 60, "179m"),
        (180 * 60, "3h"),
        (7 * 3600 + 5 * 60, "7h5m"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (8 * 86400, "8d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ];
    for (seconds, text) in cases {
        assert_eq!(format::human_duration(seconds * 1000), text, "{seconds}");
    }
}

#[test]
fn include_object_is_one_of_three() {
    assert_eq!(IncludeObject::parse("").unwrap(), IncludeObject::Metadata);
    assert_eq!(IncludeObject::parse("None").unwrap(), IncludeObject::None);
    assert_eq!(
        IncludeObject::parse("All").unwrap_err().message,
        "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": \
         must be 'Metadata', 'Object', 'None', or empty"
    );
}

mod recorded {
    //! Compares with answers recorded from the original, where RECORDED_CONVERSATIONS names their folder.

    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    use super::*;
    use crate::{
        api::registry::Registry,
        request::info::{Query, RequestInfo},
    };

    fn resource_at(path: &str) -> Option<RequestInfo> {
        let path = path.replace("${ns}", "ns").split('?').next()?.to_owned();
        RequestInfo::parse(&http::Method::GET, &path.parse().ok()?, &Query::parse("")).ok()
    }

    #[test]
    fn headers_are_equal() {
        let Ok(folder) = std::env::var("RECORDED_CONVERSATIONS") else { return };
        let (registry, schema) = (Registry::builtin(), Schema::builtin());
        let (mut compared, mut different) = (0, BTreeSet::new());
        for file in std::fs::read_dir(folder).unwrap() {
            let Ok(file) = serde_json::from_slice::<Json>(&std::fs::read(file.unwrap().path()).unwrap()) else {
                continue;
            };
            for step in file["steps"].as_array().into_iter().flatten() {
                let recorded = &step["response"]["body"];
                if recorded["kind"] != "Table" {
                    continue;
                }
                let Some(info) = step["path"].as_str().and_then(resource_at) else { continue };
                let Some(resource) = registry.get(&info.group, &info.version, &info.resource) else { continue };
                let item = match resource.subresource(&info.subresource) {
                    Some(subresource) => Item::of_subresource(resource, subresource),
                    None => Item::of(resource),
                };
                let options = Options {
                    include: IncludeObject::None,
                    headers: true,
                    version: MetaVersion::V1,
                    now: Timestamp::UNIX_EPOCH,
                };
                let ours = table(&schema, &item, [], &ListMeta::default(), &options).unwrap();
                let ours: Json = serde_json::from_slice(&ours).unwrap();
                let pairs = [&ours, recorded].map(|t| t["columnDefinitions"].as_array().cloned().unwrap_or_default());
                assert_eq!(pairs[0].len(), pairs[1].len(), "{item:?}");
                for (ours, theirs) in pairs[0].iter().zip(&pairs[1]) {
                    compared += 1;
                    if ours != theirs {
                        different.insert(format!("{}\n  {ours}\n  {theirs}", item.gvk.kind));
                    }
                }
            }
        }
        assert!(compared > 100, "{compared}");
        assert!(different.is_empty(), "{}", different.into_iter().collect::<Vec<_>>().join("\n"));
    }
}

/// The cells of one object, counted to this moment.
const NOW: &str = "2026-01-10T00:00:00Z";

fn row(json: serde_json::Value) -> serde_json::Value {
    let mut json = json;
    json["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    let text = json.to_string();
    let object = codec::decode_json(&Schema::builtin(), text.as_bytes(), None).unwrap().object;
    let item = Item { gvk: object.gvk().clone(), custom: false, columns: Vec::new() };
    let options = Options {
        include: IncludeObject::Metadata,
        headers: true,
        version: MetaVersion::V1,
        now: NOW.parse().unwrap(),
    };
    let table = table(&Schema::builtin(), &item, [&object], &ListMeta::default(), &options).unwrap();
    let table: serde_json::Value = serde_json::from_slice(&table).unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap().len();
    let row = table["rows"][0].clone();
    let stray = usize::from(item.gvk.kind == "IPAddress");
    assert_eq!(row["cells"].as_array().unwrap().len(), columns + stray, "a cell for each column");
    row
}

fn cells(json: serde_json::Value) -> String {
    row(json)["cells"].to_string()
}

fn pod(spec: serde_json::Value, status: serde_json::Value) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec, "status": status})
}

#[test]
fn a_pod_that_runs() {
    let status = json!({
        "phase": "Running",
        "podIPs": [{"ip": "10.0.0.7"}],
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "a/b", "status": "True"}],
        "containerStatuses": [
            {"name": "a", "ready": true, "restartCount": 2, "state": {"running": {}},
             "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-09T23:59:30Z"}}},
            {"name": "b", "ready": false, "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
        ],
    });
    let spec = json!({
        "nodeName": "n",
        "containers": [{"name": "a"}, {"name": "b"}],
        "readinessGates": [{"conditionType": "a/b"}, {"conditionType": "c/d"}],
    });
    assert_eq!(
        cells(pod(spec, status)),
        r#"["p","1/2","CrashLoopBackOff","3 (30s ago)","9d","10.0.0.7","n","<none>","1/2"]"#
    );
}

#[test]
fn a_pod_that_starts_ends_and_goes() {
    let status = |status: serde_json::Value| {
        let spec = json!({
            "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "a"}],
        });
        let row = row(pod(spec, status));
        format!("{} {}", row["cells"][1].as_str().unwrap(), row["cells"][2].as_str().unwrap())
    };
    assert_eq!(status(json!({"phase": "Pending"})), "0/2 Pending");
    let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
    assert_eq!(status(json!({"phase": "Pending", "conditions": gated})), "0/2 SchedulingGated");
    let waiting = json!([{"name": "i", "state": {"waiting": {"reason": "PodInitializing"}}}]);
    assert_eq!(status(json!({"phase": "Pending", "initContainerStatuses": waiting})), "0/2 Init:0/2");
    let failed = json!([{"name": "i", "state": {"terminated": {"exitCode": 3}}}]);
    assert_eq!(status(json!({"phase": "Pending", "initContainerStatuses": failed})), "0/2 Init:ExitCode:3");
    let initialized = json!([
        {"name": "i", "state": {"terminated": {"exitCode": 0}}},
        {"name": "s", "ready": true, "started": true, "state": {"running": {}}},
    ]);
    let ended = json!([{"name": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]);
    let done = json!({"phase": "Succeeded", "initContainerStatuses": initialized, "containerStatuses": ended});
    assert_eq!(status(done), "1/2 Completed");
    let mut going = pod(json!({"containers": [{"name": "a"}]}), json!({"phase": "Running"}));
    going["metadata"]["deletionTimestamp"] = "2026-01-09T00:00:00Z".into();
    assert_eq!(row(going)["cells"][2], "Terminating");
}

#[test]
fn a_pod_that_is_done_says_so_as_a_condition() {
    let done = row(pod(json!({"containers": []}), json!({"phase": "Failed"})));
    assert_eq!(
        done["conditions"].to_string(),
        r#"[{"type":"Completed","status":"True","reason":"Failed","message":"The pod failed."}]"#
    );
    assert_eq!(done["object"]["kind"], "PartialObjectMetadata");
    assert!(row(pod(json!({"containers": []}), json!({"phase": "Running"})))["conditions"].is_null());
}

fn object(api_version: &str, kind: &str, mut rest: serde_json::Value) -> serde_json::Value {
    rest["apiVersion"] = api_version.into();
    rest["kind"] = kind.into();
    rest["metadata"]["name"] = "x".into();
    rest
}

#[test]
fn workloads() {
    let template = json!({"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j:2"}]}});
    let selector = json!({
        "matchLabels": {"b": "2"},
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["y", "x"]},
            {"key": "c", "operator": "DoesNotExist"},
        ],
    });
    let spec = json!({"replicas": 3, "template": template, "selector": selector});
    let status = json!({"readyReplicas": 1, "updatedReplicas": 2, "replicas": 3});
    assert_eq!(
        cells(object("apps/v1", "Deployment", json!({"spec": spec, "status": status}))),
        r#"["x","1/3",2,0,"9d","a,b","i:1,j:2","a in (x,y),b=2,!c"]"#
    );
    assert_eq!(
        cells(object("apps/v1", "ReplicaSet", json!({"spec": spec, "status": status}))),
        r#"["x",3,3,1,"9d","a,b","i:1,j:2","a in (x,y),b=2,!c"]"#
    );
    let job = json!({
        "spec": {"parallelism": 2, "template": template},
        "status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:05:30Z",
                   "conditions": [{"type": "Complete", "status": "True"}]},
    });
    assert_eq!(
        cells(object("batch/v1", "Job", job)),
        r#"["x","Complete","1/1 of 2","5m30s","9d","a,b","i:1,j:2","<none>"]"#
    );
    let cron =
        json!({"spec": {"schedule": "* * * * *", "suspend": false, "jobTemplate": {"spec": {"template": template}}}});
    assert_eq!(
        cells(object("batch/v1", "CronJob", cron)),
        r#"["x","* * * * *","<none>","False",0,"<none>","9d","a,b","i:1,j:2","<none>"]"#
    );
}

#[test]
fn services_and_endpoints() {
    let service = json!({"spec": {
        "type": "LoadBalancer", "clusterIPs": ["10.0.0.1"], "selector": {"a": "b"}, "externalIPs": ["1.2.3.4"],
        "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
    }, "status": {"loadBalancer": {"ingress": [{"hostname": "h"}, {"ip": "5.6.7.8"}]}}});
    assert_eq!(
        cells(object("v1", "Service", service)),
        r#"["x","LoadBalancer","10.0.0.1","5.6.7.8,h,1.2.3.4","80:30080/TCP,53/UDP","9d","a=b"]"#
    );
    let addresses = json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]);
    let subsets = json!([{"addresses": addresses, "ports": [{"port": 80}, {"port": 443}]}]);
    assert_eq!(
        cells(object("v1", "Endpoints", json!({"subsets": subsets}))),
        r#"["x","10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more...","9d"]"#
    );
    let slice = json!({"addressType": "IPv4", "endpoints": [], "ports": [{"name": "a"}, {"port": 1}, {}]});
    assert_eq!(cells(object("discovery.k8s.io/v1", "EndpointSlice", slice)), r#"["x","IPv4","a,1,*","<unset>","9d"]"#);
    let parent = json!({"spec": {"parentRef": {"group": "g", "resource": "Rs", "namespace": "n", "name": "m"}}});
    assert_eq!(cells(object("networking.k8s.io/v1", "IPAddress", parent)), r#"["x","rs.g/n/m","9d"]"#);
}

#[test]
fn nodes_volumes_and_quotas() {
    let node = json!({
        "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}},
        "spec": {"unschedulable": true},
        "status": {
            "conditions": [{"type": "Ready", "status": "Unknown"}],
            "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
            "nodeInfo": {"kubeletVersion": "v1"},
        },
    });
    assert_eq!(
        cells(object("v1", "Node", node)),
        r#"["x","NotReady,SchedulingDisabled","edge,worker","9d","v1","10.1.1.1","<none>","<unknown>","<unknown>","<unknown>"]"#
    );
    let claim = json!({
        "spec": {"volumeName": "v", "storageClassName": "c"},
        "status": {"phase": "Bound", "accessModes": ["ReadWriteMany", "ReadWriteOnce"], "capacity": {"storage": "1Gi"}},
    });
    assert_eq!(
        cells(object("v1", "PersistentVolumeClaim", claim)),
        r#"["x","Bound","v","1Gi","RWO,RWX","c","<unset>","9d","<unset>"]"#
    );
    let quota = json!({"status": {
        "hard": {"pods": "10", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "3", "limits.cpu": "500m"},
    }});
    assert_eq!(
        cells(object("v1", "ResourceQuota", quota)),
        r#"["x","cpu: 0/1, pods: 3/10","limits.cpu: 500m/2","9d"]"#
    );
}

#[test]
fn kinds_without_columns_of_their_own_show_when_they_were_made() {
    let role = object("rbac.authorization.k8s.io/v1", "ClusterRole", json!({"rules": []}));
    assert_eq!(cells(role), r#"["x","2026-01-01T00:00:00Z"]"#);
    let item = Item { gvk: Gvk::from_static("", "v1", "LimitRange"), custom: false, columns: Vec::new() };
    let options = Options {
        include: IncludeObject::None,
        headers: false,
        version: MetaVersion::V1Beta1,
        now: NOW.parse().unwrap(),
    };
    let list = ListMeta { resource_version: "7", ..ListMeta::default() };
    assert_eq!(
        String::from_utf8(table(&Schema::builtin(), &item, [], &list, &options).unwrap()).unwrap(),
        "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1beta1\",\"metadata\":{\"resourceVersion\":\"7\"},\
         \"columnDefinitions\":null,\"rows\":null}\n"
    );
}

#[test]
fn flow_schemas_stand_in_the_order_in_which_they_match() {
    let schema = Schema::builtin();
    let one = |name: &str, precedence: i64| {
        let json = json!({
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": name},
            "spec": {"matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": "p"}},
        });
        codec::decode_json(&schema, json.to_string().as_bytes(), None).unwrap().object
    };
    let objects = [one("a", 900), one("b", 100), one("c", 900)];
    let item = Item { gvk: objects[0].gvk().clone(), custom: false, columns: Vec::new() };
    let options =
        Options { include: IncludeObject::None, headers: true, version: MetaVersion::V1, now: NOW.parse().unwrap() };
    let json = table(&schema, &item, &objects, &ListMeta::default(), &options).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let names: Vec<_> = json["rows"].as_array().unwrap().iter().map(|r| r["cells"][0].as_str().unwrap()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert!(json["rows"][0]["object"].is_null());
}
