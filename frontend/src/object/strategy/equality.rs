//! Equality as the API means it: nothing and empty are the same, unless a pointer tells them apart.

use crate::api::schema::{Object, Presence, Value};

/// Whether two values, absent or not, mean the same.
pub fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(value), None) | (None, Some(value)) => is_nothing(value),
        (Some(a), Some(b)) => same_values(a, b),
    }
}

/// Whether two objects of one kind mean the same, but for who owns what.
pub fn same_but_entries(a: &Object, b: &Object) -> bool {
    let fields = a.root().def().fields.iter();
    fields.filter(|field| field.name != "metadata").all(|field| same(a.get(&[&field.name]), b.get(&[&field.name])))
        && match (a.get(&["metadata"]), b.get(&["metadata"])) {
            (Some(Value::Struct(a)), Some(Value::Struct(b))) => {
                let fields = a.def().fields.iter().filter(|field| field.name != "managedFields");
                fields.into_iter().all(|field| same(a.get(&field.name), b.get(&field.name)))
            }
            (a, b) => same(a, b),
        }
}

fn same_values(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Struct(a), Value::Struct(b)) if a.def() == b.def() => {
            let slots = a.slots().iter().zip(b.slots());
            a.def().fields.iter().zip(slots).all(|(field, (a, b))| match (a, b) {
                (Some(a), Some(b)) => same_values(a, b),
                (None, None) => true,
                (Some(one), None) | (None, Some(one)) => match field.presence {
                    Presence::Pointer | Presence::Nullable => {
                        matches!(one, Value::List(_) | Value::Map(_)) && is_nothing(one)
                    }
                    Presence::Omit | Presence::Always => is_nothing(one),
                },
            })
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_values(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same_values(v, w)))
        }
        (a, b) => a == b,
    }
}

/// A zero all the way down.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Struct(fields) => fields.slots().iter().flatten().all(is_nothing),
        other => other.is_zero(),
    }
}
