//! Values carried over to another version by the names of fields.

use crate::api::schema::{
    tables::{Field, Kind, Shape, StructRef},
    value::{MapValue, Struct, Value},
};

/// Struct, its field in one version, in the other; read in both directions.
const RENAMED: &[(&str, &str, &str)] = &[
    ("CustomResourceColumnDefinition", "jsonPath", "JSONPath"),
    ("Event", "involvedObject", "regarding"),
    ("Event", "message", "note"),
    ("Event", "source", "deprecatedSource"),
    ("Event", "firstTimestamp", "deprecatedFirstTimestamp"),
    ("Event", "lastTimestamp", "deprecatedLastTimestamp"),
    ("Event", "count", "deprecatedCount"),
    ("Event", "reportingComponent", "reportingController"),
];

/// A struct as another definition has it, carried over by names.
pub fn convert_struct(from: &Struct, to: &StructRef) -> Struct {
    if from.def() == to {
        return from.clone();
    }
    let mut converted = Struct::new(to);
    for (target, slot) in to.fields.iter().zip(converted.slots_mut()) {
        let name = old_name(&to.name, &target.name, from);
        if let Some((source, at)) =
            name.and_then(|name| from.def().slot_of(name)).map(|at| (&from.def().fields[at], at))
        {
            *slot = convert_field(source, from.slot(at), target);
        }
    }
    converted
}

/// How `from` calls the field that is called `name` in the other version.
fn old_name<'a>(owner: &str, name: &'a str, from: &Struct) -> Option<&'a str> {
    let renamed = RENAMED.iter().filter(|(at, ..)| *at == owner).find_map(|(_, one, other)| match name {
        _ if *one == name => Some(*other),
        _ if *other == name => Some(*one),
        _ => None,
    });
    let names = [Some(name), renamed];
    names.into_iter().flatten().find(|name| from.def().slot_of(name).is_some())
}

fn convert_field(source: &Field, value: Option<&Value>, target: &Field) -> Option<Value> {
    let plain = |field: &Field| field.presence.is_plain();
    let Some(value) = value else {
        // A plain zero becomes a pointer to it.
        return match (&source.kind, source.shape) {
            (Kind::Bool, Shape::One) if plain(source) && !plain(target) => Some(Value::Bool(false)),
            (Kind::Int32 | Kind::Int64, Shape::One) if plain(source) && !plain(target) => Some(Value::Int(0)),
            _ => None,
        };
    };
    let converted = convert_value(value, &target.kind);
    let scalar = !matches!(converted, Value::List(_) | Value::Map(_) | Value::Struct(_) | Value::Bytes(_));
    (!(scalar && plain(target) && target.shape == Shape::One && converted.is_zero())).then_some(converted)
}

pub(super) fn convert_value(value: &Value, target: &Kind) -> Value {
    let def = match target {
        Kind::Struct(def) | Kind::SchemaOrBool(def) | Kind::SchemaOrArray(def) | Kind::SchemaOrStringArray(def) => def,
        _ => return value.clone(),
    };
    match value {
        Value::Struct(inner) => convert_struct(inner, def).into(),
        Value::List(items) => Value::List(items.iter().map(|item| convert_value(item, target)).collect()),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, item)| (key.into(), convert_value(item, target)));
            MapValue::from_entries(entries.collect()).into()
        }
        other => other.clone(),
    }
}

/// A value of one version as the field `name` of `target`'s struct.
pub(super) fn put(target: &mut Struct, name: &str, value: Option<&Value>) {
    let converted = match (target.def().field(name), value) {
        (Some(field), Some(value)) => Some(convert_value(value, &field.kind)),
        _ => None,
    };
    match converted {
        Some(value) => drop(target.set(name, value)),
        None => drop(target.remove(name)),
    }
}
