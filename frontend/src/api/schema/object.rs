//! An object of a known kind and the paths through it. Not here: metadata's names (`meta`), bytes (`codec`).

use super::{
    tables::{Field, Gvk, Kind, Shape, Type},
    value::{MapValue, Struct, Value},
};

/// A root struct and its kind. `kind` and `apiVersion` are fields of it like any other.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    ty: Type,
    root: Value,
}

impl Object {
    pub fn new(kind: &Type) -> Object {
        let mut root = Struct::new(&kind.root);
        root.set("kind", kind.gvk.kind.as_ref());
        root.set("apiVersion", kind.gvk.api_version().as_ref());
        Object { ty: kind.clone(), root: Value::Struct(root) }
    }

    /// A root that was built elsewhere, for instance an item of a list: named as `kind` says.
    pub fn from_root(kind: &Type, mut root: Struct) -> Object {
        root.set("kind", kind.gvk.kind.as_ref());
        root.set("apiVersion", kind.gvk.api_version().as_ref());
        Object { ty: kind.clone(), root: Value::Struct(root) }
    }

    pub fn gvk(&self) -> &Gvk {
        &self.ty.gvk
    }

    pub fn ty(&self) -> &Type {
        &self.ty
    }

    pub fn root(&self) -> &Struct {
        match &self.root {
            Value::Struct(root) => root,
            _ => unreachable!("both constructors make a struct and nothing replaces it"),
        }
    }

    pub fn root_mut(&mut self) -> &mut Struct {
        match &mut self.root {
            Value::Struct(root) => root,
            _ => unreachable!("both constructors make a struct and nothing replaces it"),
        }
    }

    /// The whole object as a value.
    pub fn value(&self) -> &Value {
        &self.root
    }

    /// The value at a path of JSON names and map keys; not into lists.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        self.root.at(path)
    }

    pub fn get_mut(&mut self, path: &[&str]) -> Option<&mut Value> {
        self.root.at_mut(path)
    }

    pub fn get_str(&self, path: &[&str]) -> Option<&str> {
        self.get(path)?.as_str()
    }

    pub fn get_i64(&self, path: &[&str]) -> Option<i64> {
        self.get(path)?.as_i64()
    }

    pub fn get_bool(&self, path: &[&str]) -> Option<bool> {
        self.get(path)?.as_bool()
    }

    pub fn get_list(&self, path: &[&str]) -> Option<&[Value]> {
        self.get(path)?.as_list()
    }

    pub fn get_map(&self, path: &[&str]) -> Option<&MapValue> {
        self.get(path)?.as_map()
    }

    /// Sets a value, making structs and maps on the way. False when the schema has no such path.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) -> bool {
        set_in_struct(self.root_mut(), path, value.into())
    }

    pub fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        match self.root.at_mut(parents)? {
            Value::Struct(fields) => fields.remove(last),
            Value::Map(map) => map.remove(last),
            _ => None,
        }
    }

    /// Copies what `other` has at the path, or removes it here when it is absent there.
    pub fn copy_from(&mut self, other: &Object, path: &[&str]) {
        match other.get(path) {
            Some(value) => {
                self.set(path, value.clone());
            }
            None => {
                self.remove(path);
            }
        }
    }
}

/// Sets `path` below `fields`. False when the schema has no such path.
pub fn set_in_struct(fields: &mut Struct, path: &[&str], value: Value) -> bool {
    let [name, rest @ ..] = path else { return false };
    if fields.def().open && fields.def().slot_of(name).is_none() {
        return set_in_rest(fields, name, rest, value);
    }
    let (def, slots) = fields.parts_mut();
    let Some(at) = def.slot_of(name) else { return false };
    let (field, slot) = (&def.fields[at], &mut slots[at]);
    if rest.is_empty() {
        *slot = Some(value);
        return true;
    }
    match field.shape {
        Shape::List => false,
        Shape::Map => set_in_map(slot.get_or_insert_with(|| MapValue::new().into()), field, rest, value),
        Shape::One => set_in_one(slot, &field.kind, field, rest, value),
    }
}

/// Sets a path that begins with a member that no field describes.
fn set_in_rest(fields: &mut Struct, name: &str, path: &[&str], value: Value) -> bool {
    if path.is_empty() {
        return fields.set(name, value);
    }
    let mut child = fields.remove(name).unwrap_or_else(|| MapValue::new().into());
    let done = set_in_free(&mut child, path, value);
    fields.set(name, child);
    done
}

fn set_in_free(tree: &mut Value, path: &[&str], value: Value) -> bool {
    let (Some(map), [key, rest @ ..]) = (tree.as_map_mut(), path) else { return false };
    if rest.is_empty() {
        map.insert(*key, value);
        return true;
    }
    let mut child = map.remove(key).unwrap_or_else(|| MapValue::new().into());
    let done = set_in_free(&mut child, rest, value);
    map.insert(*key, child);
    done
}

fn set_in_one(slot: &mut Option<Value>, kind: &Kind, field: &Field, rest: &[&str], value: Value) -> bool {
    match kind {
        Kind::Struct(def) => {
            // A custom resource may hold a value of the wrong type here.
            let child = slot.take().filter(|child| child.as_struct().is_some());
            let child = slot.insert(child.unwrap_or_else(|| Struct::new(def).into()));
            child.as_struct_mut().is_some_and(|child| set_in_struct(child, rest, value))
        }
        Kind::Any => set_in_map(slot.get_or_insert_with(|| MapValue::new().into()), field, rest, value),
        _ => false,
    }
}

fn set_in_map(map: &mut Value, field: &Field, path: &[&str], value: Value) -> bool {
    let (Some(map), [key, rest @ ..]) = (map.as_map_mut(), path) else { return false };
    if rest.is_empty() {
        map.insert(*key, value);
        return true;
    }
    let mut child = map.remove(key);
    let done = set_in_one(&mut child, &field.kind, field, rest, value);
    if let Some(child) = child {
        map.insert(*key, child);
    }
    done
}
