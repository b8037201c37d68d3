//! A webhook that converts between two versions of a kind, honestly or not.
//!
//! In v1 `spec.args` is a map and the number is `spec.size`; in v2 `spec.args` is a list of names with values and the
//! number is `spec.count`.

use serde_json::{Map, Value, json};

/// The answer to a ConversionReview, as the path of the webhook says: `honest`, or a way to lie.
pub fn answer(way: &str, review: &Value) -> Value {
    let asked = &review["request"];
    let version = asked["desiredAPIVersion"].as_str().unwrap_or_default();
    let objects = asked["objects"].as_array().cloned().unwrap_or_default();
    let mut converted: Vec<Value> = objects.into_iter().map(|object| convert(object, version)).collect();
    let mut result = json!({"status": "Success"});
    match way {
        "renames" => converted.iter_mut().for_each(|object| object["metadata"]["name"] = "another".into()),
        "moves" => converted.iter_mut().for_each(|object| object["metadata"]["namespace"] = "kube-system".into()),
        "new-uid" => converted.iter_mut().for_each(|object| object["metadata"]["uid"] = "another".into()),
        "other-kind" => converted.iter_mut().for_each(|object| object["kind"] = "Other".into()),
        "other-version" => converted.iter_mut().for_each(|object| object["apiVersion"] = "example.com/v9".into()),
        "forgets" => converted.clear(),
        "doubles" => converted.extend(converted.clone()),
        "nulls" => converted.iter_mut().for_each(|object| *object = Value::Null),
        "refuses" => result = json!({"status": "Failed", "message": "not today"}),
        "garbage" => return json!("garbage"),
        _ => {}
    }
    let response = json!({"uid": asked["uid"], "result": result, "convertedObjects": converted});
    json!({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})
}

fn convert(mut object: Value, version: &str) -> Value {
    object["apiVersion"] = version.into();
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return object };
    let (from, to) = if version.ends_with("/v1") { ("count", "size") } else { ("size", "count") };
    if let Some(number) = spec.remove(from) {
        spec.insert(to.to_owned(), number);
    }
    let args = match spec.remove("args") {
        Some(Value::Array(list)) if to == "size" => list
            .into_iter()
            .map(|arg| (arg["name"].as_str().unwrap_or_default().to_owned(), arg["value"].clone()))
            .collect::<Map<_, _>>()
            .into(),
        Some(Value::Object(map)) if to == "count" => {
            map.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
        }
        Some(other) => other,
        None => return object,
    };
    spec.insert("args".to_owned(), args);
    object
}
