//! JSON merge patch (RFC 7386).

use serde_json::{Map, Value};

/// Merges `patch` into `target`: null removes, objects merge, everything else replaces. Objects that take part come out
/// with sorted keys, as they do from the real server: error messages show the document.
pub fn merge_patch(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    target.sort_keys();
    for (key, value) in patch {
        match (target.get_mut(&key), value) {
            (_, Value::Null) => {
                target.shift_remove(&key);
            }
            (Some(Value::Object(current)), Value::Object(patch)) => merge_patch(current, patch),
            (_, mut value) => {
                prune_nulls(&mut value);
                target.insert(key, value);
            }
        }
    }
    target.sort_keys();
}

/// What is new carries no nulls in objects; those in lists are values.
fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.sort_keys();
            map.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}
