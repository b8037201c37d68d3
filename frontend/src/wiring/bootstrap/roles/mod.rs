//! The roles and bindings that every cluster has: made, and brought up to date, when a server starts.
//!
//! In: the table, and what the store has. Out: objects that permit at least what the table says. What an operator added
//! stays; an object annotated with autoupdate "false" is left alone. Many servers may do this at once: who finds that
//! another was faster looks again.

mod table;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{AT_ONCE, SelfClient};
use crate::{
    access::authz::rbac::{Rule, missing},
    request::status::ApiError,
};

/// A role that changes under our hands is read again this often.
const ATTEMPTS: usize = 5;
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// The rules of a role of the table.
pub(crate) fn rules_of(name: &str) -> Result<Vec<Rule>, String> {
    let objects = table::objects().map_err(|error| error.to_string())?;
    let named = objects.iter().find(|object| object["kind"] == "ClusterRole" && object["metadata"]["name"] == name);
    Ok(named.map(|role| list(role, "rules").iter().map(Rule::of_json).collect()).unwrap_or_default())
}

/// Makes every object of the table as it must be at least, in no order. The first failure ends it; the next try begins
/// anew.
pub(crate) async fn reconcile(client: &SelfClient) -> Result<(), ApiError> {
    let objects = table::objects().map_err(|error| ApiError::internal(error.to_string()))?;
    stream::iter(&objects).map(Ok).try_for_each_concurrent(AT_ONCE, |wanted| reconcile_one(client, wanted)).await
}

fn collection(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let plural = format!("{}s", text(&object["kind"]).to_lowercase());
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{plural}"),
        None => format!("/apis/rbac.authorization.k8s.io/v1/{plural}"),
    }
}

async fn reconcile_one(client: &SelfClient, wanted: &Value) -> Result<(), ApiError> {
    let collection = collection(wanted);
    let path = format!("{collection}/{}", wanted["metadata"]["name"].as_str().unwrap_or_default());
    let mut attempt = 1;
    loop {
        let outcome = match client.get(&path).await? {
            None => client.create(&collection, wanted).await,
            Some(found) => match change(&found, wanted) {
                Change::None => return Ok(()),
                Change::Update(object) => client.replace(&path, &object).await,
                // What a binding refers to cannot be changed.
                Change::Replace(object) => {
                    client.delete(&path).await?;
                    client.create(&collection, &object).await
                }
            },
        };
        match outcome {
            Err(error) if attempt < ATTEMPTS && [404, 409].contains(&error.code) => attempt += 1,
            outcome => return outcome,
        }
    }
}

/// What must become of an object.
#[derive(Debug, PartialEq)]
enum Change {
    None,
    Update(Value),
    Replace(Value),
}

fn change(found: &Value, wanted: &Value) -> Change {
    if found["metadata"]["annotations"][AUTO_UPDATE] == "false" {
        return Change::None;
    }
    let mut object = found.clone();
    for part in ["labels", "annotations"] {
        for (key, value) in wanted["metadata"][part].as_object().into_iter().flatten() {
            // What is there counts more: an operator may have changed it.
            if object["metadata"][part].get(key).is_none() {
                object["metadata"][part][key] = value.clone();
            }
        }
    }
    if wanted.get("roleRef").is_some() {
        add_missing(&mut object, wanted, "subjects");
        if found["roleRef"] != wanted["roleRef"] {
            let mut new = wanted.clone();
            new["subjects"] = object["subjects"].clone();
            new["metadata"]["labels"] = object["metadata"]["labels"].clone();
            new["metadata"]["annotations"] = object["metadata"]["annotations"].clone();
            return Change::Replace(new);
        }
    } else {
        add_missing_rules(&mut object, wanted);
        add_missing_selectors(&mut object, wanted);
    }
    if &object == found { Change::None } else { Change::Update(object) }
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn add_missing(object: &mut Value, wanted: &Value, name: &str) {
    let mut items = list(object, name).to_vec();
    let lacking: Vec<Value> = list(wanted, name).iter().filter(|item| !items.contains(item)).cloned().collect();
    if !lacking.is_empty() {
        items.extend(lacking);
        object[name] = Value::Array(items);
    }
}

fn add_missing_rules(object: &mut Value, wanted: &Value) {
    let rules = |object: &Value| -> Vec<Rule> { list(object, "rules").iter().map(Rule::of_json).collect() };
    let lacking = missing(&rules(object), &rules(wanted));
    if !lacking.is_empty() {
        let mut items = list(object, "rules").to_vec();
        items.extend(lacking.iter().map(Rule::to_json));
        object["rules"] = Value::Array(items);
    }
}

/// A role that is not aggregated in the table must not be here.
fn add_missing_selectors(object: &mut Value, wanted: &Value) {
    const SELECTORS: &str = "clusterRoleSelectors";
    match wanted.get("aggregationRule") {
        None => drop(object.as_object_mut().and_then(|object| object.remove("aggregationRule"))),
        Some(rule) => {
            let mut kept = object.get("aggregationRule").cloned().unwrap_or_else(|| json!({}));
            add_missing(&mut kept, rule, SELECTORS);
            object["aggregationRule"] = kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(rules: Value) -> Value {
        json!({"kind": "ClusterRole", "metadata": {"name": "r", "labels": {"a": "b"}, "annotations": {}}, "rules": rules})
    }

    fn wanted() -> Value {
        json!({
            "kind": "ClusterRole",
            "metadata": {"name": "r", "labels": {"a": "x", "c": "d"}, "annotations": {AUTO_UPDATE: "true"}},
            "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}],
        })
    }

    #[test]
    fn what_lacks_is_added_and_what_is_more_stays() {
        let found = role(json!([{"verbs": ["get", "watch"], "apiGroups": ["*"], "resources": ["*"]}]));
        let Change::Update(updated) = change(&found, &wanted()) else { panic!("no update") };
        assert_eq!(updated["metadata"]["labels"], json!({"a": "b", "c": "d"}));
        assert_eq!(
            updated["rules"],
            json!([
                {"verbs": ["get", "watch"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]},
            ])
        );
        assert_eq!(change(&updated, &wanted()), Change::None);
    }

    #[test]
    fn an_operator_may_turn_it_off() {
        let mut found = role(json!([]));
        found["metadata"]["annotations"][AUTO_UPDATE] = json!("false");
        assert_eq!(change(&found, &wanted()), Change::None);
    }

    #[test]
    fn a_binding_of_another_role_is_made_anew() {
        let binding = |role: &str, user: &str| {
            json!({"kind": "ClusterRoleBinding", "metadata": {"labels": {}, "annotations": {}},
                   "roleRef": {"name": role}, "subjects": [{"kind": "User", "name": user}]})
        };
        let Change::Replace(new) = change(&binding("other", "op"), &binding("r", "x")) else { panic!("kept") };
        assert_eq!(new["roleRef"]["name"], "r");
        assert_eq!(new["subjects"].as_array().unwrap().len(), 2);
        assert_eq!(change(&binding("r", "x"), &binding("r", "x")), Change::None);
    }
}
