//! A value made to fit the tables of a custom resource: what kube-apiserver calls pruning and coercing.
//!
//! In: a free tree, or a value of another version of the kind. Out: a value of the field, without members that the
//! schema has no place for and without nulls that it does not allow; and the paths of what was left out. Values of the
//! wrong type stay, so that validation can name them. Not here: defaults (`defaults`), validation.

use super::{
    codec,
    structural::Node,
    tables::{Field, Kind, Shape, StructRef},
    text::Text,
    value::{MapValue, Struct, Value},
};

/// What was left out on the way, and where the walk is.
#[derive(Default)]
pub struct Fitting {
    path: Vec<Step>,
    nulls: Nulls,
    /// Paths of members that the schema has no place for.
    pub unknown: Vec<String>,
    /// The same in metadata of embedded objects.
    pub unknown_metadata: Vec<String>,
    /// Why embedded metadata could not be read; the first.
    pub malformed: Option<String>,
}

/// What becomes of nulls that the schema does not allow and has no default for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Nulls {
    /// They go, as where an object is read.
    #[default]
    Dropped,
    /// They stay, and are refused when the object is validated: so it is with what was merged.
    Kept,
}

enum Step {
    Name(Text),
    /// A key of a map, which paths of metadata write in brackets.
    Key(Text),
    Index(usize),
}

/// The members of an object as a struct of this definition.
pub fn fit_struct(members: Vec<(Text, Value)>, def: &StructRef, cx: &mut Fitting) -> Struct {
    let mut fitted = Struct::new(def);
    let mut rest = Vec::new();
    for (name, value) in members {
        let Some(slot) = def.slot_of(&name).filter(|_| !name.is_empty()) else {
            if def.open {
                rest.push((name, value));
            } else {
                cx.note(&name);
            }
            continue;
        };
        let field = &def.fields[slot];
        cx.path.push(Step::Name(name));
        let value = match field.node {
            Some(_) => fit_field(value, field, cx),
            None => fit_metadata(value, field, cx),
        };
        cx.path.pop();
        if value != Value::Null || cx.keeps_null(field.node.as_deref()) {
            fitted.slots_mut()[slot] = Some(value);
        }
    }
    if !rest.is_empty()
        && let Some(last) = fitted.slots_mut().last_mut()
    {
        *last = Some(MapValue::from_entries(rest).into());
    }
    fitted
}

/// A value as a field holds it.
pub fn fit_field(value: Value, field: &Field, cx: &mut Fitting) -> Value {
    let node = field.node.as_deref();
    match (value, field.shape) {
        (value, Shape::One) => fit_one(value, &field.kind, cx),
        (Value::List(items), Shape::List) => {
            let fit = |(at, item)| cx.within(Step::Index(at), |cx| fit_one(item, &field.kind, cx));
            Value::List(items.into_iter().enumerate().map(fit).collect())
        }
        (value @ (Value::Map(_) | Value::Struct(_)), Shape::Map) => {
            let each = node.and_then(|node| match &node.additional {
                super::structural::Additional::Each(each) => Some(&**each),
                _ => None,
            });
            let mut entries = Vec::new();
            for (name, item) in members(value) {
                let item = cx.within(Step::Key(name.clone()), |cx| fit_one(item, &field.kind, cx));
                if item != Value::Null || each.is_none() || cx.keeps_null(each) {
                    entries.push((name, item));
                }
            }
            MapValue::from_entries(entries).into()
        }
        (value, _) if node.is_some_and(|node| node.preserve_unknown) => free(value),
        (value, _) => prune_all(value, cx),
    }
}

fn fit_one(value: Value, kind: &Kind, cx: &mut Fitting) -> Value {
    match (kind, value) {
        (Kind::Struct(def), value @ (Value::Map(_) | Value::Struct(_))) => fit_struct(members(value), def, cx).into(),
        (Kind::Struct(def), value) if def.open => free(value),
        (Kind::Nested(inner), value) => fit_field(value, &inner.0, cx),
        (Kind::Any, value) => free(value),
        (_, value) => prune_all(value, cx),
    }
}

/// apiVersion, kind and metadata of an object: metadata is read as what it is everywhere.
fn fit_metadata(value: Value, field: &Field, cx: &mut Fitting) -> Value {
    let Kind::Struct(def) = &field.kind else { return value };
    match value {
        Value::Struct(metadata) if metadata.def() == def => metadata.into(),
        Value::Null => Struct::new(def).into(),
        other => {
            let mut json = Vec::new();
            codec::encode_free(&other, &mut json);
            match codec::decode_struct_json(def, &json) {
                Ok((metadata, strict)) => {
                    let path = cx.bracketed();
                    cx.unknown_metadata.extend(strict.iter().filter_map(|error| match error {
                        codec::StrictError::UnknownField(name) => Some(format!("{path}.{name}")),
                        codec::StrictError::DuplicateField(_) | codec::StrictError::RepeatedKeys(_) => None,
                    }));
                    metadata.into()
                }
                Err(error) => {
                    let (path, shown) = (cx.path_of(""), String::from_utf8_lossy(&json).into_owned());
                    cx.malformed.get_or_insert(format!("{path}: Invalid value: {shown}: {error}"));
                    Value::Null
                }
            }
        }
    }
}

/// Members where the schema has none: all of them go, however deep.
fn prune_all(value: Value, cx: &mut Fitting) -> Value {
    match value {
        value @ (Value::Map(_) | Value::Struct(_)) => {
            members(value).iter().for_each(|(name, _)| cx.note(name));
            MapValue::new().into()
        }
        Value::List(items) => {
            let prune = |(at, item)| cx.within(Step::Index(at), |cx| prune_all(item, cx));
            Value::List(items.into_iter().enumerate().map(prune).collect())
        }
        scalar => scalar,
    }
}

fn members(value: Value) -> Vec<(Text, Value)> {
    match value {
        Value::Struct(fields) => fields.into_members(),
        Value::Map(map) => map.into_entries(),
        _ => Vec::new(),
    }
}

/// The value without structs in it.
pub fn free(value: Value) -> Value {
    match value {
        Value::Struct(fields) => {
            let entries = fields.into_members().into_iter().map(|(name, member)| (name, free(member)));
            MapValue::from_entries(entries.collect()).into()
        }
        Value::Map(map) => {
            let entries = map.into_entries().into_iter().map(|(name, member)| (name, free(member)));
            MapValue::from_entries(entries.collect()).into()
        }
        Value::List(items) => Value::List(items.into_iter().map(free).collect()),
        scalar => scalar,
    }
}

impl Fitting {
    pub fn with(nulls: Nulls) -> Fitting {
        Fitting { nulls, ..Fitting::default() }
    }

    /// A null stays where it is allowed, and where a default will take its place.
    fn keeps_null(&self, node: Option<&Node>) -> bool {
        self.nulls == Nulls::Kept || node.is_none_or(|node| !node.refuses_null() || node.default.is_some())
    }

    fn within<T>(&mut self, step: Step, work: impl FnOnce(&mut Fitting) -> T) -> T {
        self.path.push(step);
        let done = work(self);
        self.path.pop();
        done
    }

    fn note(&mut self, name: &str) {
        let path = self.path_of(name);
        self.unknown.push(path);
    }

    /// Where the walk is, with keys of maps in brackets.
    fn bracketed(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Name(name) => push_name(&mut path, name),
                Step::Key(key) => path.push_str(&format!("[{key}]")),
                Step::Index(at) => path.push_str(&format!("[{at}]")),
            }
        }
        path
    }

    fn path_of(&self, last: &str) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Name(name) | Step::Key(name) => push_name(&mut path, name),
                Step::Index(at) => path.push_str(&format!("[{at}]")),
            }
        }
        push_name(&mut path, last);
        path
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() && !name.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}
