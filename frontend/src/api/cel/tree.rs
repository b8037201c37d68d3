//! Reads the trees of objects as values of expressions, by reference.
//!
//! A tree is read in one of three ways: free JSON by what it is; a field of a built-in type as Kubernetes prints it in
//! JSON (zeros that are printed are there, times and quantities are texts); a declared type by its schema (dates are
//! timestamps, names are escaped, null is absent). Not here: where trees come from.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    decl::{DeclKind, DeclType, ListKind, Object},
    escape::{escape, unescape},
    timestamp::Timestamp,
    value::{Entries, EvalError, Evaluated, List, Map, Names, Val, fail},
};
use crate::api::schema::{
    Field, Kind, MapValue, Presence, Shape, Struct, StructDef, Value,
    scalar::{duration, time},
};

/// A list, map or struct in a tree, and how to read what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    node: Node<'a>,
    view: View<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Node<'a> {
    Items(&'a [Value]),
    Map(&'a MapValue),
    /// Without slots nothing in it was given.
    Struct(&'a StructDef, &'a [Option<Value>]),
}

/// How a value is read.
#[derive(Clone, Copy, Debug)]
enum View<'a> {
    Free,
    Field(&'a Kind),
    Declared(&'a DeclType),
}

/// An object of a built-in or of no known type, as its JSON.
pub fn free(value: &Value) -> Evaluated<'_> {
    read(value, View::Free)
}

/// The same for a root.
pub fn object(root: &Struct) -> Val<'_> {
    Val::Map(Map::Tree(Tree { node: Node::Struct(root.def(), root.slots()), view: View::Free }))
}

/// A value of a declared type.
pub fn declared<'a>(value: &'a Value, of: &'a DeclType) -> Evaluated<'a> {
    read(value, View::Declared(of))
}

/// The same for a root.
pub fn declared_object<'a>(root: &'a Struct, of: &'a DeclType) -> Val<'a> {
    Val::Map(Map::Tree(Tree { node: Node::Struct(root.def(), root.slots()), view: View::Declared(of) }))
}

fn read<'a>(value: &'a Value, view: View<'a>) -> Evaluated<'a> {
    if let View::Declared(of) = view {
        return read_declared(value, of);
    }
    Ok(match value {
        Value::Null => Val::Null,
        Value::Bool(truth) => Val::Bool(*truth),
        Value::Int(number) if matches!(view, View::Field(Kind::Float64)) => Val::Double(*number as f64),
        Value::Int(number) => Val::Int(*number),
        Value::Float(number) => Val::Double(*number),
        Value::Str(text) => Val::from(text.as_str()),
        Value::Bytes(json) if matches!(view, View::Field(Kind::Raw)) => {
            if json.is_empty() {
                Val::Null
            } else {
                read_json(json)?
            }
        }
        Value::Bytes(bytes) => Val::from(STANDARD.encode(bytes)),
        Value::List(items) => Val::List(List::Tree(Tree { node: Node::Items(items), view })),
        Value::Map(map) => Val::Map(Map::Tree(Tree { node: Node::Map(map), view })),
        Value::Struct(fields) => object(fields),
    })
}

/// JSON that was kept as its bytes.
fn read_json<'a>(json: &[u8]) -> Evaluated<'a> {
    match serde_json::from_slice(json) {
        Ok(value) => from_json(&value),
        Err(error) => fail(format!("invalid JSON: {error}")),
    }
}

/// A copy of a JSON value.
pub fn from_json<'a>(value: &serde_json::Value) -> Evaluated<'a> {
    copy(value, Names::AsTheyAre)
}

/// A copy of the claims of a token, or of what was made of them: names are escaped, and numbers are JavaScript's.
pub fn from_claims<'a>(value: &serde_json::Value) -> Evaluated<'a> {
    copy(value, Names::Escaped)
}

fn copy<'a>(value: &serde_json::Value, names: Names) -> Evaluated<'a> {
    use serde_json::Value as Json;
    Ok(match value {
        Json::Null => Val::Null,
        Json::Bool(truth) => Val::Bool(*truth),
        Json::Number(number) => match number.as_i64().filter(|_| names == Names::AsTheyAre) {
            Some(number) => Val::Int(number),
            None => Val::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Val::from(text.clone()),
        Json::Array(items) => Val::from(items.iter().map(|item| copy(item, names)).collect::<Result<Vec<_>, _>>()?),
        Json::Object(fields) => {
            let mut entries = Entries::named(names);
            for (name, value) in fields {
                entries.set(Val::from(name.clone()), copy(value, names)?)?;
            }
            Val::Map(Map::Owned(Arc::new(entries)))
        }
    })
}

fn read_declared<'a>(value: &'a Value, of: &'a DeclType) -> Evaluated<'a> {
    let view = View::Declared(of);
    match (&of.kind, value) {
        (DeclKind::Dyn | DeclKind::Any | DeclKind::Quantity, value) => read(value, View::Free),
        (_, Value::Null) if of.nullable => Ok(Val::Null),
        (_, Value::Null) => fail("invalid data, got null for schema with nullable=false"),
        (DeclKind::Bool, Value::Bool(truth)) => Ok(Val::Bool(*truth)),
        (DeclKind::Int | DeclKind::IntOrString, Value::Int(number)) => Ok(Val::Int(*number)),
        (DeclKind::Int, Value::Float(number)) if number.fract() == 0.0 => Ok(Val::Int(*number as i64)),
        (DeclKind::Double, Value::Int(number)) => Ok(Val::Double(*number as f64)),
        (DeclKind::Double, Value::Float(number)) => Ok(Val::Double(*number)),
        (DeclKind::String | DeclKind::IntOrString, Value::Str(text)) => Ok(Val::from(text.as_str())),
        (DeclKind::Bytes, Value::Str(text)) => match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Val::Bytes(bytes.into())),
            Err(error) => fail(format!("invalid byte formatted string {}: {error}", text.as_str())),
        },
        (DeclKind::Duration, Value::Str(text)) => match duration::parse(text) {
            Ok(nanos) => Ok(Val::Duration(nanos)),
            Err(error) => fail(format!("Invalid duration {}: {error}", text.as_str())),
        },
        (DeclKind::Date, Value::Str(text)) => match time::parse_time(&format!("{}T00:00:00Z", text.as_str())) {
            Ok(at) => Ok(Val::Timestamp(Timestamp::utc(at.seconds, at.nanos))),
            Err(error) => fail(format!("Invalid date formatted string {}: {error}", text.as_str())),
        },
        (DeclKind::Timestamp, Value::Str(text)) => match Timestamp::parse(text) {
            Some(at) => Ok(Val::Timestamp(at)),
            None => fail(format!("Invalid date-time formatted string {}", text.as_str())),
        },
        (DeclKind::List(..), Value::List(items)) => Ok(Val::List(List::Tree(Tree { node: Node::Items(items), view }))),
        (DeclKind::Map(_) | DeclKind::Object(_), Value::Map(map)) => {
            Ok(Val::Map(Map::Tree(Tree { node: Node::Map(map), view })))
        }
        (DeclKind::Map(_) | DeclKind::Object(_), Value::Struct(fields)) => {
            Ok(Val::Map(Map::Tree(Tree { node: Node::Struct(fields.def(), fields.slots()), view })))
        }
        (kind, value) => fail(misfit(kind, value)),
    }
}

/// A value that is not what its schema says: only stored objects that are older than their schema can have one.
fn misfit(kind: &DeclKind, value: &Value) -> String {
    let wanted = match kind {
        DeclKind::IntOrString => {
            return "invalid data, expected XIntOrString value to be either a string or integer".to_owned();
        }
        DeclKind::Map(_) | DeclKind::Object(_) => {
            return "invalid data, expected a map for the provided schema with type=object".to_owned();
        }
        DeclKind::List(..) => {
            return "invalid data, expected an array for the provided schema with type=array".to_owned();
        }
        DeclKind::Bool => "bool",
        DeclKind::Int => "int",
        DeclKind::Double => "float",
        _ => "string",
    };
    let found = match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) => "string",
        Value::List(_) => "[]interface {}",
        _ => "map[string]interface {}",
    };
    format!("invalid data, expected {wanted}, got {found}")
}

impl<'a> Tree<'a> {
    /// Read by a schema's declaration.
    pub(super) fn is_declared(&self) -> bool {
        matches!(self.view, View::Declared(_))
    }

    /// Of a list.
    pub(super) fn items(&self) -> &'a [Value] {
        match self.node {
            Node::Items(items) => items,
            _ => &[],
        }
    }

    pub(super) fn item(&self, at: usize) -> Option<Evaluated<'a>> {
        let item = self.items().get(at)?;
        let view = match self.view {
            View::Declared(DeclType { kind: DeclKind::List(of, _), .. }) => View::Declared(of),
            other => other,
        };
        Some(read(item, view))
    }

    pub(super) fn list_kind(&self) -> &'a ListKind {
        match self.view {
            View::Declared(DeclType { kind: DeclKind::List(_, kind), .. }) => kind,
            _ => &ListKind::Atomic,
        }
    }

    fn declared_object(&self) -> Option<&'a Object> {
        match self.view {
            View::Declared(DeclType { kind: DeclKind::Object(object), .. }) => Some(object),
            _ => None,
        }
    }

    /// Of a map or struct, under the name that expressions use.
    pub(super) fn field(&self, name: &str) -> Option<Evaluated<'a>> {
        match self.view {
            View::Declared(of) => self.declared_field(of, name),
            view => match self.node {
                Node::Items(_) => None,
                Node::Map(map) => map.get(name).map(|value| read(value, view)),
                Node::Struct(def, slots) => {
                    let slot = def.slot_of(name)?;
                    printed(&def.fields[slot], slots.get(slot).and_then(Option::as_ref))
                }
            },
        }
    }

    fn declared_field(&self, of: &'a DeclType, name: &str) -> Option<Evaluated<'a>> {
        match &of.kind {
            DeclKind::Map(of) => self.raw(name).map(|value| read_declared(value, of)),
            DeclKind::Object(object) => {
                let plain = unescape(name)?;
                let value = self.raw(&plain).filter(|value| !matches!(value, Value::Null))?;
                let field = object.fields.get(name).or_else(|| object.fields.get(&*escape(&plain)?))?;
                Some(read_declared(value, &field.of))
            }
            _ => None,
        }
    }

    fn raw(&self, name: &str) -> Option<&'a Value> {
        match self.node {
            Node::Items(_) => None,
            Node::Map(map) => map.get(name),
            Node::Struct(def, slots) => {
                let slot = def.slot_of(name)?;
                let value = slots.get(slot)?.as_ref()?;
                is_printed(&def.fields[slot], Some(value)).then_some(value)
            }
        }
    }

    fn raw_names(&self) -> Vec<&'a str> {
        match self.node {
            Node::Items(_) => Vec::new(),
            Node::Map(map) => map.iter().map(|(name, _)| name).collect(),
            Node::Struct(def, slots) => def
                .fields
                .iter()
                .enumerate()
                .filter(|(slot, field)| is_printed(field, slots.get(*slot).and_then(Option::as_ref)))
                .map(|(_, field)| &*field.name)
                .collect(),
        }
    }

    pub(super) fn field_names(&self) -> Vec<std::borrow::Cow<'a, str>> {
        let names = self.raw_names().into_iter();
        match self.declared_object() {
            None => names.map(std::borrow::Cow::Borrowed).collect(),
            Some(object) => names.filter_map(escape).filter(|name| object.fields.contains_key(&**name)).collect(),
        }
    }

    /// All that is there, whether a schema knows it or not.
    pub(super) fn field_count(&self) -> usize {
        match self.node {
            Node::Items(_) => 0,
            Node::Map(map) => map.len(),
            Node::Struct(..) => self.raw_names().len(),
        }
    }

    /// Whether what expressions cannot see is the same, where both have it.
    pub(super) fn hidden_fields_equal(&self, other: &Tree<'_>) -> bool {
        let Some(object) = self.declared_object() else { return true };
        let is_hidden = |name: &str| escape(name).is_none_or(|name| !object.fields.contains_key(&*name));
        self.raw_names().into_iter().filter(|name| is_hidden(name)).all(|name| {
            match (self.raw(name), other.raw(name)) {
                (Some(ours), Some(theirs)) => ours == theirs,
                _ => true,
            }
        })
    }
}

fn is_printed(field: &Field, value: Option<&Value>) -> bool {
    match (field.presence, value) {
        (Presence::Always | Presence::Nullable, _) => true,
        (_, None) => false,
        (Presence::Pointer, Some(_)) | (Presence::Omit, Some(Value::Struct(_))) => true,
        (Presence::Omit, Some(value)) => !value.is_zero(),
    }
}

/// A field of a built-in type as its JSON says it; zeros that JSON prints are there.
fn printed<'a>(field: &'a Field, value: Option<&'a Value>) -> Option<Evaluated<'a>> {
    if !is_printed(field, value) {
        return None;
    }
    if let Some(value) = value {
        return Some(read(value, View::Field(&field.kind)));
    }
    if field.presence == Presence::Nullable || field.shape != Shape::One {
        return Some(Ok(Val::Null));
    }
    Some(Ok(match &field.kind {
        Kind::Struct(def) => Val::Map(Map::Tree(Tree { node: Node::Struct(def, &[]), view: View::Free })),
        Kind::Bool => Val::Bool(false),
        Kind::Int32 | Kind::Int64 | Kind::IntOrString => Val::Int(0),
        Kind::Float64 => Val::Double(0.0),
        Kind::Str => Val::from(""),
        Kind::Quantity => Val::from("0"),
        Kind::Duration => Val::from("0s"),
        _ => Val::Null,
    }))
}

/// A map's entries as they would be if it had been computed.
pub(super) fn owned_entries<'a>(map: &Map<'a>) -> Result<Entries<'a>, EvalError> {
    if let Map::Owned(entries) = map {
        return Ok((**entries).clone());
    }
    let mut entries = Entries::default();
    for (key, value) in map.entries()? {
        entries.set(key, value)?;
    }
    Ok(entries)
}
