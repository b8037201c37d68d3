//! Lists in strategic merge: sets of scalars, and maps keyed by a field of their elements; and the order of the result.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    FieldMerge, MergeInfo, PatchError,
    strategic::{DIRECTIVE, bad, bad_directive, go_type, merge_map, without_directives},
};

/// Merges a list that the patch names without fixing an order.
pub(super) fn merge_list<M: MergeInfo>(
    original: Vec<Value>,
    patch: Vec<Value>,
    field: &FieldMerge<M>,
) -> Result<Vec<Value>, PatchError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !elements_are_objects(&original, &patch)? {
        let mut merged = original.clone();
        merged.extend(patch.iter().cloned());
        let merged = deduplicate(merged);
        return Ok(in_order(merged, &patch, &original, ""));
    }
    if field.merge_key.is_empty() {
        return bad(format!("cannot merge lists without merge key for {}", field.inner.kind_name()));
    }
    let (base, patch) = take_special_elements(original, patch, &field.merge_key)?;
    let server_order = base.clone();
    let merged = merge_elements(base, &patch, field)?;
    check_keys(&merged, &field.merge_key)?;
    Ok(in_order(merged, &patch, &server_order, &field.merge_key))
}

/// Merges a list for which `order` is given. `None`: there is no such list on either side.
pub(super) fn apply_order<M: MergeInfo>(
    server: Option<Vec<Value>>,
    patch: Option<Vec<Value>>,
    order: &[Value],
    field: &FieldMerge<M>,
) -> Result<Option<Vec<Value>>, PatchError> {
    check_order(patch.as_deref().unwrap_or_default(), order, &field.merge_key)?;
    let server_order = server.clone().unwrap_or_default();
    let given = patch.clone().unwrap_or_default();
    let merged = match (server, patch) {
        (None, None) => return Ok(None),
        (Some(server), None) => server,
        (None, Some(patch)) => patch.into_iter().filter_map(without_directives).collect(),
        (Some(server), Some(patch)) if field.merge => merge_list(server, patch, field)?,
        (Some(_), Some(patch)) => patch,
    };
    if !field.merge_key.is_empty() {
        check_keys(&merged, &field.merge_key)?;
    }
    elements_are_objects(&server_order, &given)?;
    Ok(Some(in_order(merged, order, &server_order, &field.merge_key)))
}

pub(super) fn elements_are_objects(original: &[Value], patch: &[Value]) -> Result<bool, PatchError> {
    let mut elements = original.iter().chain(patch);
    let Some(first) = elements.next() else { return bad("no elements in any of the given slices") };
    if first.is_array() {
        return Err(PatchError::DoesNotApply("lists of lists are not supported".to_owned()));
    }
    let same = |v: &Value| go_type(v) == go_type(first);
    if !elements.all(same) {
        let shown = |items: &[Value]| super::go_print(&Value::Array(items.to_vec()));
        return bad(format!("list element types are not identical: [{} {}]", shown(original), shown(patch)));
    }
    Ok(first.is_object())
}

/// Repetitions are filled from the end, as the real server does it.
fn deduplicate(mut items: Vec<Value>) -> Vec<Value> {
    let mut at = 0;
    while at < items.len() {
        let mut other = at + 1;
        while other < items.len() {
            if items[other] == items[at] {
                items.swap_remove(other);
            } else {
                other += 1;
            }
        }
        at += 1;
    }
    items
}

fn key_of<'a>(item: &'a Value, merge_key: &str) -> Option<&'a Value> {
    if merge_key.is_empty() { Some(item) } else { item.get(merge_key) }
}

fn no_merge_key<T>(item: &Value, merge_key: &str) -> Result<T, PatchError> {
    if !item.is_object() {
        return bad(format!("expected a map[string]interface {{}}, but received a {}", go_type(item)));
    }
    bad(format!("map: {} does not contain declared merge key: {merge_key}", super::go_print(item)))
}

fn check_keys(items: &[Value], merge_key: &str) -> Result<(), PatchError> {
    match items.iter().find(|item| item.get(merge_key).is_none()) {
        Some(item) => no_merge_key(item, merge_key),
        None => Ok(()),
    }
}

/// Acts on elements that are directives. Answers what is left of the original (nothing if it is replaced) and the
/// patch.
fn take_special_elements(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    merge_key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut plain = Vec::new();
    let mut replace = false;
    for item in patch {
        let Value::Object(map) = &item else { continue };
        let Some(directive) = map.get(DIRECTIVE) else {
            plain.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => match map.get(merge_key) {
                Some(key) => original.retain(|o| o.get(merge_key) != Some(key)),
                None => return no_merge_key(&item, merge_key),
            },
            Some("replace") => replace = true,
            Some("merge") => return bad("merging lists cannot yet be specified in the patch"),
            _ => return bad_directive(directive, map),
        }
    }
    Ok(if replace { (plain, Vec::new()) } else { (original, plain) })
}

fn merge_elements<M: MergeInfo>(
    mut original: Vec<Value>,
    patch: &[Value],
    field: &FieldMerge<M>,
) -> Result<Vec<Value>, PatchError> {
    for item in patch {
        let Some(key) = item.get(&field.merge_key) else { return no_merge_key(item, &field.merge_key) };
        match original.iter_mut().find(|o| o.get(&field.merge_key) == Some(key)) {
            Some(slot) => {
                let (Value::Object(current), Value::Object(change)) = (slot.take(), item.clone()) else { continue };
                *slot = Value::Object(merge_map(current, change, &field.inner)?);
            }
            None => original.push(item.clone()),
        }
    }
    Ok(original)
}

/// The elements that the patch adds or changes must stand in the order that it sets.
fn check_order(patch: &[Value], order: &[Value], merge_key: &str) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut expected = order.iter();
    let placed = patch.iter().filter(|item| item.get(DIRECTIVE).is_none());
    for item in placed {
        let Some(key) = key_of(item, merge_key) else { return no_merge_key(item, merge_key) };
        loop {
            match expected.next() {
                None => {
                    let shown = |items: &[Value]| super::go_print(&Value::Array(items.to_vec()));
                    return bad(format!(
                        "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                        shown(patch),
                        shown(order)
                    ));
                }
                Some(slot) => match key_of(slot, merge_key) {
                    None => return no_merge_key(slot, merge_key),
                    Some(found) if found == key => break,
                    Some(_) => {}
                },
            }
        }
    }
    Ok(())
}

/// Puts what the patch names in its order, the rest in the server's, and weaves the two by the server's order.
fn in_order(merged: Vec<Value>, patch_order: &[Value], server_order: &[Value], merge_key: &str) -> Vec<Value> {
    let position =
        |order: &[Value], item: &Value| order.iter().position(|o| key_of(o, merge_key) == key_of(item, merge_key));
    let (mut ours, mut theirs): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| position(patch_order, item).is_some());
    let by = |order: &[Value], a: &Value, b: &Value| match (position(order, a), position(order, b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    };
    ours.sort_by(|a, b| by(patch_order, a, b));
    // Elements that the server does not know yet cannot be among its own, so that this is a total order.
    theirs.sort_by(|a, b| by(server_order, a, b));
    let mut woven = Vec::with_capacity(ours.len() + theirs.len());
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    while let (Some(our), Some(their)) = (ours.peek(), theirs.peek()) {
        let theirs_first =
            matches!((position(server_order, their), position(server_order, our)), (Some(t), Some(o)) if t < o);
        woven.extend(if theirs_first { theirs.next() } else { ours.next() });
    }
    woven.extend(ours);
    woven.extend(theirs);
    woven
}
