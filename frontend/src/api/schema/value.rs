//! The dynamic tree every object is made of. In: what the codecs read. Out: what verbs, defaulting and the codecs
//! walk. A [`Struct`] is guided by the schema (slots in JSON order); a [`MapValue`] has free keys. Absent (no slot),
//! null and empty are three states. Not here: paths through a whole object (`object`), text forms (`codec`).
//!
//! Text forms are kept canonical in the tree: times as RFC 3339 in UTC, quantities and durations as Kubernetes prints
//! them, embedded raw objects (`RawExtension`, `FieldsV1`, `JSON`) as the bytes of their JSON.

use super::{
    tables::{Field, StructRef},
    text::Text,
};

/// One value. 24 bytes: everything larger is behind one pointer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Only inside free-form trees; a typed field that is null is absent.
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Text),
    Bytes(Box<[u8]>),
    List(Vec<Value>),
    Map(MapValue),
    Struct(Struct),
}

impl Value {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            Value::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&MapValue> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_map_mut(&mut self) -> Option<&mut MapValue> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_struct(&self) -> Option<&Struct> {
        match self {
            Value::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    pub fn as_struct_mut(&mut self) -> Option<&mut Struct> {
        match self {
            Value::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// The child under a JSON name or map key.
    pub fn child(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(fields) => fields.get(name),
            Value::Map(map) => map.get(name),
            _ => None,
        }
    }

    pub fn child_mut(&mut self, name: &str) -> Option<&mut Value> {
        match self {
            Value::Struct(fields) => fields.get_mut(name),
            Value::Map(map) => map.get_mut(name),
            _ => None,
        }
    }

    /// The value at the end of a path of JSON names and map keys; not into lists.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, name| value.child(name))
    }

    pub fn at_mut(&mut self, path: &[&str]) -> Option<&mut Value> {
        path.iter().try_fold(self, |value, name| value.child_mut(name))
    }

    /// What Go calls the zero value of a field: false, 0, "", nothing in it.
    pub fn is_zero(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(truth) => !truth,
            Value::Int(number) => *number == 0,
            Value::Float(number) => *number == 0.0,
            Value::Str(text) => text.is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::Struct(fields) => fields.is_empty(),
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(text.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::List(items)
    }
}

impl From<MapValue> for Value {
    fn from(map: MapValue) -> Value {
        Value::Map(map)
    }
}

impl From<Struct> for Value {
    fn from(fields: Struct) -> Value {
        Value::Struct(fields)
    }
}

/// String keys in byte order, as Kubernetes writes maps in JSON and in protobuf.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MapValue(Box<Entries>);

#[derive(Clone, Debug, PartialEq, Default)]
struct Entries {
    sorted: Vec<(Text, Value)>,
}

impl MapValue {
    pub fn new() -> MapValue {
        MapValue::default()
    }

    /// Of several entries with one key the last stays.
    pub fn from_entries(mut entries: Vec<(Text, Value)>) -> MapValue {
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.reverse();
            entries.dedup_by(|a, b| a.0 == b.0);
            entries.reverse();
        }
        MapValue(Box::new(Entries { sorted: entries }))
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.sorted.binary_search_by(|entry| entry.0.as_str().cmp(key))
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.find(key).ok().map(|at| &self.0.sorted[at].1)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let at = self.find(key).ok()?;
        Some(&mut self.0.sorted[at].1)
    }

    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0.sorted[at].1, value)),
            Err(at) => {
                self.0.sorted.insert(at, (key, value));
                None
            }
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.find(key).ok()?;
        Some(self.0.sorted.remove(at).1)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> + ExactSizeIterator {
        self.0.sorted.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Value)> {
        self.0.sorted.iter_mut().map(|(key, value)| (&**key, value))
    }

    pub fn into_entries(self) -> Vec<(Text, Value)> {
        self.0.sorted
    }

    pub fn len(&self) -> usize {
        self.0.sorted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.sorted.is_empty()
    }
}

/// A value whose fields the schema knows: one slot a field, in the order in which Kubernetes prints them.
#[derive(Clone, PartialEq)]
pub struct Struct(Box<Body>);

#[derive(Clone, PartialEq)]
struct Body {
    def: StructRef,
    slots: Box<[Option<Value>]>,
}

impl std::fmt::Debug for Struct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter().map(|(field, value)| (&field.name, value))).finish()
    }
}

impl Struct {
    pub fn new(def: &StructRef) -> Struct {
        let slots = vec![None; def.fields.len()].into_boxed_slice();
        Struct(Box::new(Body { def: def.clone(), slots }))
    }

    pub fn def(&self) -> &StructRef {
        &self.0.def
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        match self.0.def.slot_of(name) {
            Some(slot) => self.slot(slot),
            None => self.rest()?.get(name),
        }
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        match self.0.def.slot_of(name) {
            Some(slot) => self.0.slots[slot].as_mut(),
            None => self.rest_mut()?.as_map_mut()?.get_mut(name),
        }
    }

    /// False when the schema has no such field.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> bool {
        if let Some(slot) = self.0.def.slot_of(name) {
            self.0.slots[slot] = Some(value.into());
            return true;
        }
        if !self.0.def.open {
            return false;
        }
        if let Some(last) = self.0.slots.last_mut()
            && let Value::Map(rest) = last.get_or_insert_with(|| MapValue::new().into())
        {
            rest.insert(name, value);
        }
        true
    }

    pub fn remove(&mut self, name: &str) -> Option<Value> {
        match self.0.def.slot_of(name) {
            Some(slot) => self.0.slots[slot].take(),
            None => self.rest_mut()?.as_map_mut()?.remove(name),
        }
    }

    /// The members that no field describes; only an open struct has them.
    pub fn rest(&self) -> Option<&MapValue> {
        if !self.0.def.open {
            return None;
        }
        self.0.slots.last()?.as_ref()?.as_map()
    }

    fn rest_mut(&mut self) -> Option<&mut Value> {
        if !self.0.def.open {
            return None;
        }
        self.0.slots.last_mut()?.as_mut()
    }

    /// Every member by its name: those of fields in the order of the schema, then those without a field.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        let fields = self.iter().filter(|(field, _)| !field.name.is_empty());
        let rest = self.rest().into_iter().flat_map(MapValue::iter);
        fields.map(|(field, value)| (&*field.name, value)).chain(rest)
    }

    /// The members as a free tree.
    pub fn into_members(mut self) -> Vec<(Text, Value)> {
        let rest = if self.0.def.open { self.0.slots.last_mut().and_then(Option::take) } else { None };
        let def = self.0.def.clone();
        let slots = self.0.slots.into_vec().into_iter().zip(def.fields.iter());
        let mut members: Vec<(Text, Value)> =
            slots.filter_map(|(slot, field)| Some((Text::from(&*field.name), slot?))).collect();
        if let Some(Value::Map(rest)) = rest {
            members.extend(rest.0.sorted);
        }
        members
    }

    pub fn slot(&self, slot: usize) -> Option<&Value> {
        self.0.slots.get(slot)?.as_ref()
    }

    pub fn slots(&self) -> &[Option<Value>] {
        &self.0.slots
    }

    pub fn slots_mut(&mut self) -> &mut [Option<Value>] {
        &mut self.0.slots
    }

    /// The definition and the slots at once, for walks that change values field by field.
    pub fn parts_mut(&mut self) -> (&StructRef, &mut [Option<Value>]) {
        (&self.0.def, &mut self.0.slots)
    }

    /// Fields that are present, in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &Value)> {
        self.0.def.fields.iter().zip(self.0.slots.iter()).filter_map(|(field, slot)| Some((field, slot.as_ref()?)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.slots.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_small() {
        assert_eq!(std::mem::size_of::<Value>(), 24);
        assert_eq!(std::mem::size_of::<Option<Value>>(), 24);
    }

    #[test]
    fn maps_are_sorted_and_the_last_of_equal_keys_wins() {
        let map = MapValue::from_entries(vec![
            ("b".into(), Value::Int(1)),
            ("a".into(), Value::Int(2)),
            ("b".into(), Value::Int(3)),
        ]);
        let entries: Vec<_> = map.iter().map(|(key, value)| (key.to_owned(), value.as_i64())).collect();
        assert_eq!(entries, vec![("a".to_owned(), Some(2)), ("b".to_owned(), Some(3))]);
    }
}
