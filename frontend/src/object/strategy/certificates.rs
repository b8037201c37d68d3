//! CertificateSigningRequests: who asks is said by the server; what is asked for never changes; the decision is another
//! endpoint's.

use super::writer::Writer;
use crate::api::schema::{MapValue, Object, Struct, Value};

const CONDITIONS: &[&str] = &["status", "conditions"];
/// What approvers decide.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

pub(super) fn created(object: &mut Object, writer: &Writer) {
    for field in ["username", "uid", "groups", "extra"] {
        object.remove(&["spec", field]);
    }
    let user = writer.user;
    let texts = |list: &[String]| Value::List(list.iter().map(|text| Value::from(text.as_str())).collect());
    for (field, text) in [("username", &user.name), ("uid", &user.uid)] {
        if !text.is_empty() {
            object.set(&["spec", field], text.as_str());
        }
    }
    if !user.groups.is_empty() {
        object.set(&["spec", "groups"], texts(&user.groups));
    }
    if !user.extra.is_empty() {
        let entries = user.extra.iter().map(|(key, values)| (key.as_str().into(), texts(values)));
        object.set(&["spec", "extra"], MapValue::from_entries(entries.collect()));
    }
}

pub(super) fn changed(object: &mut Object, old: &Object, _: &Writer) {
    object.copy_from(old, &["spec"]);
}

/// The approval endpoint changes conditions alone.
pub(super) fn approved(object: &mut Object, old: &Object, writer: &Writer) {
    set_times(object, old, writer);
    let conditions = object.get(CONDITIONS).cloned();
    object.copy_from(old, &["spec"]);
    object.copy_from(old, &["status"]);
    match conditions {
        Some(conditions) => drop(object.set(CONDITIONS, conditions)),
        None => drop(object.remove(CONDITIONS)),
    }
}

/// The status endpoint leaves decisions as they were, as long as they are as many.
pub(super) fn status_changed(object: &mut Object, old: &Object, writer: &Writer) {
    for kind in DECISIONS {
        let before: Vec<Value> = of_kind(old, kind).cloned().collect();
        if before.len() != of_kind(object, kind).count() {
            continue;
        }
        let Some(Value::List(conditions)) = object.get_mut(CONDITIONS) else { continue };
        let decided = conditions.iter_mut().filter(|condition| is_of(condition, kind));
        decided.zip(before).for_each(|(new, old)| *new = old);
    }
    set_times(object, old, writer);
}

fn is_of(condition: &Value, kind: &str) -> bool {
    condition.child("type").and_then(Value::as_str) == Some(kind)
}

fn of_kind<'a>(object: &'a Object, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    object.get_list(CONDITIONS).unwrap_or_default().iter().filter(move |condition| is_of(condition, kind))
}

/// Conditions say when they were written, and since when they hold.
fn set_times(object: &mut Object, old: &Object, writer: &Writer) {
    let before = old.get_list(CONDITIONS).unwrap_or_default();
    let Some(Value::List(conditions)) = object.get_mut(CONDITIONS) else { return };
    for condition in conditions.iter_mut().filter_map(Value::as_struct_mut) {
        if condition.get("lastUpdateTime").is_none() {
            condition.set("lastUpdateTime", writer.now.as_str());
        }
        if condition.get("lastTransitionTime").is_none() {
            let since = before.iter().filter_map(Value::as_struct).find(|old| {
                let same = |field| old.get(field) == condition.get(field);
                same("type") && same("status") && old.get("lastTransitionTime").is_some()
            });
            let since = since.and_then(|old: &Struct| old.get("lastTransitionTime").cloned());
            condition.set("lastTransitionTime", since.unwrap_or_else(|| Value::from(writer.now.as_str())));
        }
    }
}
