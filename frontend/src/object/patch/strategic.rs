//! Strategic merge patch: a merge patch that knows which lists are sets or maps, and takes directives.
//!
//! `$patch: delete|replace`, `$setElementOrder/f`, `$deleteFromPrimitiveList/f` and `$retainKeys`.

use serde_json::{Map, Value};

use super::{
    FieldMerge, MergeInfo, PatchError,
    strategic_list::{apply_order, elements_are_objects, merge_list},
};

pub(super) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList";

/// Merges `patch` into `original`, an object of the type that `info` describes.
pub fn strategic_merge<M: MergeInfo>(
    original: Map<String, Value>,
    patch: Map<String, Value>,
    info: &M,
) -> Result<Map<String, Value>, PatchError> {
    merge_map(original, patch, info)
}

pub(super) fn bad<T>(text: impl Into<String>) -> Result<T, PatchError> {
    Err(PatchError::BadDirective(text.into()))
}

fn malformed<T>(text: &str) -> Result<T, PatchError> {
    Err(PatchError::Malformed(text.to_owned()))
}

pub(super) fn merge_map<M: MergeInfo>(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    info: &M,
) -> Result<Map<String, Value>, PatchError> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.shift_remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Map::new()),
            _ => bad_directive(directive, &patch),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    set_orders(&mut original, &mut patch, info)?;
    for (key, value) in patch {
        if let Some(list) = directive_target(&key, DELETE_PRIMITIVES) {
            let list = list.ok_or_else(|| PatchError::Malformed("invalid patch format of primitive list".into()))?;
            delete_primitives(&mut original, list, value, info)?;
        } else {
            merge_field(&mut original, key, value, info)?;
        }
    }
    Ok(original)
}

pub(super) fn bad_directive<T>(directive: &Value, map: &Map<String, Value>) -> Result<T, PatchError> {
    let shown = super::go_print(&Value::Object(map.clone()));
    bad(format!("unknown patch type: {} in map: {shown}", super::go_print(directive)))
}

/// The list that a prefixed key is about: `None` if the key is none, `Some(None)` if it lacks the name.
fn directive_target<'a>(key: &'a str, prefix: &str) -> Option<Option<&'a str>> {
    key.strip_prefix(prefix).map(|rest| rest.strip_prefix('/'))
}

/// `$retainKeys` lists all keys that may stay; the patch may set no other.
fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), PatchError> {
    let Some(listed) = patch.shift_remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(listed) = listed else { return malformed("invalid patch format of retainKeys") };
    let stays = |key: &str| listed.iter().any(|k| k.as_str() == Some(key));
    let unlisted = patch
        .iter()
        .any(|(k, v)| !v.is_null() && !k.starts_with(DELETE_PRIMITIVES) && !k.starts_with(SET_ORDER) && !stays(k));
    if unlisted {
        return malformed("invalid patch format of retainKeys");
    }
    original.retain(|k, _| stays(k));
    Ok(())
}

/// Merges the lists for which the patch fixes an order, and takes them out of it.
fn set_orders<M: MergeInfo>(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    info: &M,
) -> Result<(), PatchError> {
    let keys: Vec<String> = patch.keys().filter(|k| k.starts_with(SET_ORDER)).cloned().collect();
    for key in keys {
        let order = take_list(patch.shift_remove(&key))?.unwrap_or_default();
        let name = match directive_target(&key, SET_ORDER) {
            Some(Some(name)) => name.to_owned(),
            _ => return malformed("invalid patch format of setElementOrder list"),
        };
        let field = field(info, &name)?;
        let server = take_list(original.get(&name).cloned())?;
        let patched = take_list(patch.shift_remove(&name))?;
        if let Some(merged) = apply_order(server, patched, &order, &field)? {
            original.insert(name, Value::Array(merged));
        }
    }
    Ok(())
}

fn take_list(value: Option<Value>) -> Result<Option<Vec<Value>>, PatchError> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => bad(format!("expected a []interface {{}}, but received a {}", go_type(&other))),
    }
}

pub(super) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn field<M: MergeInfo>(info: &M, name: &str) -> Result<FieldMerge<M>, PatchError> {
    info.field(name).map_err(PatchError::BadDirective)
}

/// Takes scalars out of a list. Of other lists the real server makes what it does without the directive.
fn delete_primitives<M: MergeInfo>(
    original: &mut Map<String, Value>,
    name: &str,
    listed: Value,
    info: &M,
) -> Result<(), PatchError> {
    match (original.get_mut(name), listed) {
        (_, Value::Null) => drop(original.shift_remove(name)),
        (Some(Value::Array(items)), Value::Array(listed)) => {
            let field = field(info, name)?;
            if items.is_empty() && listed.is_empty() {
                return Ok(());
            }
            if elements_are_objects(items, &listed)? {
                *items = merge_list(std::mem::take(items), listed, &field)?;
            } else {
                items.retain(|item| !listed.contains(item));
            }
        }
        (Some(Value::Object(_)), Value::Object(patch)) => {
            merge_field(original, name.to_owned(), Value::Object(patch), info)?;
        }
        _ => {}
    }
    Ok(())
}

fn merge_field<M: MergeInfo>(
    original: &mut Map<String, Value>,
    key: String,
    value: Value,
    info: &M,
) -> Result<(), PatchError> {
    match (original.get_mut(&key), value) {
        (_, Value::Null) => {
            original.shift_remove(&key);
        }
        (Some(Value::Object(current)), Value::Object(patch)) => {
            let field = field(info, &key)?;
            *current = if field.replace { patch } else { merge_map(std::mem::take(current), patch, &field.inner)? };
        }
        (Some(Value::Array(current)), Value::Array(patch)) => {
            let field = field(info, &key)?;
            if field.merge {
                *current = merge_list(std::mem::take(current), patch, &field)?;
            } else {
                *current = patch;
            }
        }
        (_, mut fresh) => {
            discard_nulls(&mut fresh);
            match without_directives(fresh) {
                Some(fresh) => drop(original.insert(key, fresh)),
                None => drop(original.shift_remove(&key)),
            }
        }
    }
    Ok(())
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// What is new cannot carry directives: an object with one is left out.
pub(super) fn without_directives(value: Value) -> Option<Value> {
    Some(match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => return None,
        Value::Object(map) => {
            Value::Object(map.into_iter().filter_map(|(k, v)| Some((k, without_directives(v)?))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().filter_map(without_directives).collect()),
        scalar => scalar,
    })
}
