//! The path to a struct of an object, as apimachinery's field.Path, together with the struct. In: the tree. Out: fields
//! by name, with Go's zero values for what is absent, and paths as errors show them. Not here: the rules.

use std::fmt;

use crate::api::schema::{MapValue, Struct, Value};

/// Which of several values behind one field.
#[derive(Clone, Copy)]
pub(super) enum Nth<'t> {
    Only,
    Index(usize),
    Key(&'t str),
}

/// A struct of a tree that lives for `'t`, where it hangs and below what.
#[derive(Clone, Copy)]
pub(super) struct FieldPath<'p, 't> {
    pub(super) fields: &'t Struct,
    pub(super) up: Option<&'p FieldPath<'p, 't>>,
    /// The field of `up` that holds it; "" at the root.
    pub(super) field: &'t str,
    pub(super) nth: Nth<'t>,
}

/// Struct, field, and how errors below it call the field: the real server says it in another way for a few.
const SHOWN: &[(&str, &str, &str)] = &[
    ("Volume", "gcePersistentDisk", "persistentDisk"),
    ("Volume", "cephfs", "cephfs"),
    ("PersistentVolumeSpec", "gcePersistentDisk", "persistentDisk"),
];

impl<'p, 't> FieldPath<'p, 't> {
    pub(super) fn root(fields: &'t Struct) -> FieldPath<'p, 't> {
        FieldPath { fields, up: None, field: "", nth: Nth::Only }
    }

    /// A struct behind a field of this one.
    pub(super) fn below(&'p self, field: &'t str, nth: Nth<'t>, fields: &'t Struct) -> FieldPath<'p, 't> {
        FieldPath { fields, up: Some(self), field, nth }
    }

    /// The name of the struct: "PodSpec".
    pub(super) fn name(&self) -> &'t str {
        &self.fields.def().name
    }

    pub(super) fn get(&self, name: &str) -> Option<&'t Value> {
        self.fields.get(name)
    }

    /// A value further down; not through lists.
    pub(super) fn at(&self, path: &[&str]) -> Option<&'t Value> {
        let (first, rest) = path.split_first()?;
        self.get(first)?.at(rest)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> &'t str {
        self.optional_text(name).unwrap_or_default()
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<&'t str> {
        self.get(name)?.as_str()
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    pub(super) fn truth(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    /// A flag that is given and set.
    pub(super) fn is(&self, name: &str) -> bool {
        self.truth(name) == Some(true)
    }

    pub(super) fn list(&self, name: &str) -> &'t [Value] {
        self.get(name).and_then(Value::as_list).unwrap_or_default()
    }

    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &'t str> + use<'t> {
        self.list(name).iter().filter_map(Value::as_str)
    }

    pub(super) fn structs(&self, name: &str) -> impl ExactSizeIterator<Item = &'t Struct> + use<'t> {
        structs(self.list(name))
    }

    pub(super) fn map(&self, name: &str) -> Option<&'t MapValue> {
        self.get(name)?.as_map()
    }

    /// The texts of a map, sorted by key.
    pub(super) fn pairs(&self, name: &str) -> impl Iterator<Item = (&'t str, &'t str)> + use<'t> {
        self.map(name).into_iter().flat_map(MapValue::iter).filter_map(|(key, value)| Some((key, value.as_str()?)))
    }

    pub(super) fn child(&self, name: &str) -> Option<&'t Struct> {
        self.get(name)?.as_struct()
    }

    /// The nearest struct above that has this name.
    pub(super) fn above(&self, name: &str) -> Option<&'p FieldPath<'p, 't>> {
        std::iter::successors(self.up, |path| path.up).find(|path| path.name() == name)
    }

    /// The path of a field, or of this struct when `field` is empty. `field` may be a path of its own.
    pub(super) fn to(&self, field: &str) -> String {
        let mut path = self.to_string();
        if !field.is_empty() {
            if !path.is_empty() && !field.starts_with('[') {
                path.push('.');
            }
            path.push_str(field);
        }
        path
    }
}

/// The structs of a list.
pub(super) fn structs(items: &[Value]) -> impl ExactSizeIterator<Item = &Struct> {
    debug_assert!(items.iter().all(|item| item.as_struct().is_some()), "a list of structs");
    items.iter().map(|item| item.as_struct().expect("the schema makes lists uniform"))
}

impl fmt::Display for FieldPath<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(up) = self.up else { return Ok(()) };
        write!(f, "{up}")?;
        if up.up.is_some() {
            f.write_str(".")?;
        }
        let shown = SHOWN.iter().find(|(owner, field, _)| *owner == up.name() && *field == self.field);
        f.write_str(shown.map_or(self.field, |(_, _, shown)| shown))?;
        match self.nth {
            Nth::Only => Ok(()),
            Nth::Index(at) => write!(f, "[{at}]"),
            Nth::Key(key) => write!(f, "[{key}]"),
        }
    }
}
