//! Equality as the API means it: quantities by their amount; nothing and empty are the same, unless a pointer tells
//! them apart.

use crate::api::schema::{Field, Kind, Object, Presence, Shape, Struct, Value, scalar::quantity::Quantity};

/// Whether two values, absent or not, mean the same. What is absent counts as a plain field's zero.
pub fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(value), None) | (None, Some(value)) => is_nothing(value),
        (Some(a), Some(b)) => same_values(None, a, b),
    }
}

/// Whether a field means the same in two objects of one kind.
pub fn same_at(a: &Object, b: &Object, path: &[&str]) -> bool {
    let mut def = a.root().def();
    let mut field = None;
    for (at, name) in path.iter().enumerate() {
        field = def.field(name);
        match field.and_then(Field::struct_ref) {
            Some(inner) => def = inner,
            None if at + 1 < path.len() => return same(a.get(path), b.get(path)),
            None => {}
        }
    }
    match field {
        Some(field) => same_fields(field, a.get(path), b.get(path)),
        None => same(a.get(path), b.get(path)),
    }
}

/// Whether two objects of one kind mean the same, but for who owns what.
pub fn same_but_entries(a: &Object, b: &Object) -> bool {
    let fields = a.root().def().fields.iter();
    fields.filter(|field| field.name != "metadata").all(|field| same_at(a, b, &[&field.name]))
        && match (a.get(&["metadata"]), b.get(&["metadata"])) {
            (Some(Value::Struct(a)), Some(Value::Struct(b))) => {
                let fields = a.def().fields.iter().filter(|field| field.name != "managedFields");
                fields.into_iter().all(|field| same_fields(field, a.get(&field.name), b.get(&field.name)))
            }
            (a, b) => same(a, b),
        }
}

fn same_fields(field: &Field, a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_values(Some(field), a, b),
        (None, None) => true,
        (Some(one), None) | (None, Some(one)) => is_unset(field, one),
    }
}

/// Whether a value of a field means the same as no value.
fn is_unset(field: &Field, value: &Value) -> bool {
    match field.presence {
        Presence::Pointer | Presence::Nullable => matches!(value, Value::List(_) | Value::Map(_)) && is_nothing(value),
        Presence::Omit | Presence::Always => is_nothing(value) || is_no_amount(field, value),
    }
}

/// A quantity of zero: a plain one is always written, whether it was given or not.
fn is_no_amount(field: &Field, value: &Value) -> bool {
    field.kind == Kind::Quantity
        && field.shape == Shape::One
        && value.as_str().and_then(|text| Quantity::parse(text).ok()).is_some_and(|amount| amount.is_zero())
}

fn same_values(field: Option<&Field>, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Struct(a), Value::Struct(b)) if a.def() == b.def() => {
            let slots = a.slots().iter().zip(b.slots());
            a.def().fields.iter().zip(slots).all(|(field, (a, b))| same_fields(field, a.as_ref(), b.as_ref()))
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_values(field, a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same_values(field, v, w)))
        }
        (Value::Str(a), Value::Str(b)) if field.is_some_and(|field| field.kind == Kind::Quantity) => {
            a == b || matches!((Quantity::parse(a), Quantity::parse(b)), (Ok(a), Ok(b)) if a == b)
        }
        (a, b) => a == b,
    }
}

/// A zero all the way down.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Struct(fields) => is_nothing_in(fields),
        other => other.is_zero(),
    }
}

fn is_nothing_in(fields: &Struct) -> bool {
    let slots = fields.def().fields.iter().zip(fields.slots());
    slots.filter_map(|(field, value)| Some((field, value.as_ref()?))).all(|(field, value)| is_unset(field, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{Schema, codec};

    fn pod(spec: &str) -> Object {
        let text = format!(r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"a"}},"spec":{spec}}}"#);
        codec::decode_json(&Schema::builtin(), text.as_bytes(), None).unwrap().object
    }

    /// A container that reads its own limit, in units that may be given.
    fn divisor(given: &str) -> String {
        let field = format!(r#"{{"resource":"limits.cpu"{given}}}"#);
        format!(
            r#"{{"containers":[{{"name":"c","env":[{{"name":"E","valueFrom":{{"resourceFieldRef":{field}}}}}]}}]}}"#
        )
    }

    #[test]
    fn specs_mean_the_same() {
        let (unsaid, zero, one) = (divisor(""), divisor(r#","divisor":"0""#), divisor(r#","divisor":"1""#));
        let cases = [
            (r#"{}"#, r#"{"nodeName":""}"#, true),
            (r#"{}"#, r#"{"hostNetwork":false,"tolerations":[]}"#, true),
            (r#"{}"#, r#"{"priority":0}"#, false),
            (r#"{}"#, r#"{"affinity":{}}"#, false),
            (r#"{"overhead":{"cpu":"1000m"}}"#, r#"{"overhead":{"cpu":"1"}}"#, true),
            (r#"{"overhead":{"cpu":"1000m"}}"#, r#"{"overhead":{"cpu":"2"}}"#, false),
            (r#"{"overhead":{"memory":"1Gi"}}"#, r#"{"overhead":{"memory":"1073741824"}}"#, true),
            (r#"{"overhead":{"cpu":"0"}}"#, r#"{"overhead":{}}"#, false),
            (unsaid.as_str(), zero.as_str(), true),
            (unsaid.as_str(), one.as_str(), false),
        ];
        for (a, b, wanted) in cases {
            assert_eq!(same_at(&pod(a), &pod(b), &["spec"]), wanted, "{a} {b}");
        }
    }
}
