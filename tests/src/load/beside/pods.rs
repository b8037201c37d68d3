//! A pod of some 7.7 kB as a controller makes it: owners, labels, probes, environments, volumes.

use serde_json::{Value, json};

fn container(name: &str) -> Value {
    let env: Vec<Value> = (0..14)
        .map(|n| json!({"name": format!("SETTING_{name}_{n}").to_uppercase(), "value": format!("value-of-setting-{n}-for-{name}")}))
        .chain([json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}})])
        .collect();
    let probe = |path: &str| {
        json!({"httpGet": {"path": path, "port": 8080, "scheme": "HTTP"}, "initialDelaySeconds": 5, "timeoutSeconds": 1,
            "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
    };
    json!({"name": name, "image": format!("registry.example.com/team/{name}:v1.28.3"),
        "args": ["--config=/etc/config/config.yaml", "--log-level=info", "--listen=0.0.0.0:8080"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}], "env": env,
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config", "readOnly": true}, {"name": "data", "mountPath": "/var/lib/data"}],
        "livenessProbe": probe("/healthz"), "readinessProbe": probe("/readyz")})
}

pub(super) fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "load", "tier": "backend", "pod-template-hash": "5d4f8c7b9"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "load-5d4f8c7b9",
                "uid": "4d6c1f0e-1b1f-4b9e-8a65-7d3f2c1b0a99", "controller": true, "blockOwnerDeletion": true}]},
        "spec": {"containers": [container("web"), container("proxy")],
            "volumes": [{"name": "config", "configMap": {"name": "load-config"}}, {"name": "data", "emptyDir": {}}],
            "nodeSelector": {"kubernetes.io/os": "linux"}, "serviceAccountName": "default",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]}})
}
