//! The roles and bindings that every cluster begins with, read from the table beside.
//!
//! A line that begins in the first column names an object; the lines below it are its parts:
//!
//! ```text
//! clusterrole NAME                        role NAMESPACE NAME
//!   label KEY                               a label with the value "true"
//!   aggregates KEY                          the rules of all roles with this label
//!   VERBS: GROUPS / RESOURCES [NAMES]       a rule; "core" is the group without a name
//!   VERBS: PATHS
//! clusterrolebinding NAME = clusterrole ROLE
//! rolebinding NAMESPACE NAME = role ROLE
//!   user NAME, group NAME, account NAMESPACE NAME
//! ```

use serde_json::{Value, json};

const TABLE: &str = include_str!("roles.txt");
const VERSION: &str = "rbac.authorization.k8s.io/v1";
const GROUP: &str = "rbac.authorization.k8s.io";

/// A line that says nothing known; the table is checked by a test, so that no server meets one.
#[derive(Debug, thiserror::Error)]
#[error("the table of roles, line {line}: {text}")]
pub(super) struct BadLine {
    line: usize,
    text: &'static str,
}

/// Whole objects, cluster roles first and bindings after all roles.
pub(super) fn objects() -> Result<Vec<Value>, BadLine> {
    let mut objects: Vec<Value> = Vec::new();
    for (at, text) in TABLE.lines().enumerate() {
        let bad = || BadLine { line: at + 1, text };
        match (text.strip_prefix("  "), objects.last_mut()) {
            (Some(part), Some(object)) => add_part(object, part).ok_or_else(bad)?,
            (Some(_), None) => return Err(bad()),
            (None, _) => objects.push(object(text).ok_or_else(bad)?),
        }
    }
    Ok(objects)
}

fn object(line: &str) -> Option<Value> {
    let (head, role) = match line.split_once(" = ") {
        Some((head, role)) => (head, Some(role)),
        None => (line, None),
    };
    let words: Vec<&str> = head.split(' ').collect();
    let (kind, namespace, name) = match words.as_slice() {
        ["clusterrole", name] => ("ClusterRole", None, name),
        ["role", namespace, name] => ("Role", Some(namespace), name),
        ["clusterrolebinding", name] => ("ClusterRoleBinding", None, name),
        ["rolebinding", namespace, name] => ("RoleBinding", Some(namespace), name),
        _ => return None,
    };
    let mut object = json!({
        "apiVersion": VERSION,
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
    });
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    match role.map(|role| role.split_once(' ')) {
        Some(Some(("clusterrole", role))) => {
            object["roleRef"] = json!({"apiGroup": GROUP, "kind": "ClusterRole", "name": role});
        }
        Some(Some(("role", role))) => object["roleRef"] = json!({"apiGroup": GROUP, "kind": "Role", "name": role}),
        Some(_) => return None,
        None => {}
    }
    Some(object)
}

fn add_part(object: &mut Value, part: &str) -> Option<()> {
    if object.get("roleRef").is_some() {
        push(object, "subjects", subject(part)?);
        return Some(());
    }
    match part.split_once(": ") {
        Some((verbs, target)) => push(object, "rules", rule(verbs, target)?),
        None => match part.split_once(' ')? {
            ("label", key) => object["metadata"]["labels"][key] = json!("true"),
            ("aggregates", key) => {
                object["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {key: "true"}}]});
            }
            _ => return None,
        },
    }
    Some(())
}

fn push(object: &mut Value, list: &str, value: Value) {
    match object[list].as_array_mut() {
        Some(items) => items.push(value),
        None => object[list] = json!([value]),
    }
}

fn subject(part: &str) -> Option<Value> {
    match part.split(' ').collect::<Vec<_>>().as_slice() {
        ["user", name] => Some(json!({"kind": "User", "apiGroup": GROUP, "name": name})),
        ["group", name] => Some(json!({"kind": "Group", "apiGroup": GROUP, "name": name})),
        ["account", namespace, name] => Some(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})),
        _ => None,
    }
}

fn rule(verbs: &str, target: &str) -> Option<Value> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let Some((groups, resources)) = target.split_once(" / ") else {
        return Some(json!({"verbs": words(verbs), "nonResourceURLs": words(target)}));
    };
    let groups: Vec<&str> = groups.split(',').map(|group| if group == "core" { "" } else { group }).collect();
    let (resources, names) = match resources.split_once(" [") {
        Some((resources, names)) => (resources, Some(words(names.strip_suffix(']')?))),
        None => (resources, None),
    };
    let mut rule = json!({"verbs": words(verbs), "apiGroups": groups, "resources": words(resources)});
    if let Some(names) = names {
        rule["resourceNames"] = json!(names);
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_understood() {
        let objects = objects().unwrap();
        let count = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).count();
        let kinds = ["ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding"].map(count);
        assert_eq!(kinds, [68, 7, 49, 7]);
    }

    #[test]
    fn lines_become_whole_objects() {
        let objects = objects().unwrap();
        let find = |kind: &str, name: &str| {
            objects.iter().find(|o| o["kind"] == kind && o["metadata"]["name"] == name).unwrap().clone()
        };
        assert_eq!(
            find("ClusterRole", "cluster-admin")["rules"],
            json!([
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ])
        );
        let edit = find("ClusterRole", "edit");
        assert_eq!(edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"], "true");
        assert!(edit.get("rules").is_none());
        let proxier = find("RoleBinding", "system::leader-locking-kube-scheduler");
        assert_eq!(proxier["metadata"]["namespace"], "kube-system");
        assert_eq!(
            proxier["subjects"],
            json!([
                {"kind": "User", "apiGroup": GROUP, "name": "system:kube-scheduler"},
                {"kind": "ServiceAccount", "name": "kube-scheduler", "namespace": "kube-system"},
            ])
        );
    }

    #[test]
    fn bindings_name_roles_of_the_table() {
        let objects = objects().unwrap();
        for binding in objects.iter().filter(|o| o.get("roleRef").is_some()) {
            let role = objects.iter().find(|o| {
                o["kind"] == binding["roleRef"]["kind"] && o["metadata"]["name"] == binding["roleRef"]["name"]
            });
            assert!(role.is_some(), "{binding}");
        }
    }
}
