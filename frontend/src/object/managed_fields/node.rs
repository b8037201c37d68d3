//! Values as JSON shows them, whether the schema guides them or not, without copying: a field that Go prints although
//! nothing was given is there, one that it leaves out is not.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::api::schema::{Field, Kind, MapValue, Presence, Shape, Struct, StructDef, Text, Value, codec};

/// One value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'a str),
    /// Printed in base64.
    Bytes(&'a [u8]),
    /// The JSON of an embedded value.
    Raw(&'a [u8]),
    List(&'a [Value], ElementKind<'a>),
    Map(&'a MapValue, ElementKind<'a>),
    Struct(&'a Struct),
    /// A struct of which nothing was given.
    Zero(&'a StructDef),
}

/// The kind of a list's or map's elements; None in free trees, where a value says itself what it is.
pub(super) type ElementKind<'a> = Option<&'a Kind>;

impl<'a> Node<'a> {
    /// A value of a free tree, or of one whose kind is told.
    pub(super) fn of(value: &'a Value, kind: ElementKind<'a>) -> Node<'a> {
        match value {
            Value::Null => Node::Null,
            Value::Bool(truth) => Node::Bool(*truth),
            Value::Int(number) => Node::Int(*number),
            Value::Float(number) => Node::Float(*number),
            Value::Str(text) => Node::Str(text),
            Value::Bytes(raw) if matches!(kind, Some(Kind::Raw)) => match raw.as_ref() {
                b"" | b"null" => Node::Null,
                raw => Node::Raw(raw),
            },
            Value::Bytes(bytes) => Node::Bytes(bytes),
            Value::List(items) => Node::List(items, kind),
            Value::Map(map) => Node::Map(map, kind),
            Value::Struct(fields) => Node::Struct(fields),
        }
    }

    /// A field of a struct as JSON shows it; None when it is left out.
    pub(super) fn of_field(field: &'a Field, value: Option<&'a Value>) -> Option<Node<'a>> {
        let kind = Some(&field.kind);
        match (field.presence, value) {
            (Presence::Always | Presence::Nullable, None) => Some(Node::absent(field)),
            (_, None) => None,
            (Presence::Omit, Some(value)) if value.is_zero() && !matches!(value, Value::Struct(_)) => None,
            (_, Some(value)) => Some(Node::of(value, kind)),
        }
    }

    /// What is printed for a plain field that was never set.
    fn absent(field: &'a Field) -> Node<'a> {
        if field.presence == Presence::Nullable || field.shape != Shape::One {
            return Node::Null;
        }
        match &field.kind {
            Kind::Struct(def) => Node::Zero(def),
            Kind::Bool => Node::Bool(false),
            Kind::Int32 | Kind::Int64 | Kind::Float64 | Kind::IntOrString => Node::Int(0),
            Kind::Str => Node::Str(""),
            Kind::Quantity => Node::Str("0"),
            Kind::Duration => Node::Str("0s"),
            _ => Node::Null,
        }
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self, Node::Null)
    }

    pub(super) fn is_map(self) -> bool {
        match self {
            Node::Raw(json) => json.first() == Some(&b'{'),
            Node::Map(..) | Node::Struct(_) | Node::Zero(_) => true,
            _ => false,
        }
    }

    pub(super) fn is_list(self) -> bool {
        match self {
            Node::Raw(json) => json.first() == Some(&b'['),
            Node::List(..) => true,
            _ => false,
        }
    }

    /// No map, or one without members.
    pub(super) fn is_empty_map(self) -> bool {
        match self {
            Node::Map(map, _) => map.is_empty(),
            Node::Raw(json) => json == b"{}",
            Node::Struct(_) | Node::Zero(_) => self.child_count() == 0,
            _ => true,
        }
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(self) -> impl ExactSizeIterator<Item = Node<'a>> + Clone {
        let (items, kind): (&[Value], _) = match self {
            Node::List(items, kind) => (items, kind),
            _ => (&[], None),
        };
        items.iter().map(move |item| Node::of(item, kind))
    }

    pub(super) fn child(self, name: &str) -> Option<Node<'a>> {
        match self {
            Node::Map(map, kind) => map.get(name).map(|value| Node::of(value, kind)),
            Node::Struct(fields) => {
                let def: &'a StructDef = fields.def();
                match def.slot_of(name) {
                    Some(slot) => Node::of_field(&def.fields[slot], fields.slot(slot)),
                    None => fields.rest()?.get(name).map(|value| Node::of(value, None)),
                }
            }
            Node::Zero(def) => Node::of_field(def.field(name)?, None),
            _ => None,
        }
    }

    /// Visits the members of a map, with the field of each where the schema guides it.
    pub(super) fn each_child(self, mut visit: impl FnMut(&'a str, Option<&'a Field>, Node<'a>)) {
        match self {
            Node::Map(map, kind) => {
                for (name, value) in map.iter() {
                    visit(name, None, Node::of(value, kind));
                }
            }
            Node::Struct(fields) => {
                let def: &'a StructDef = fields.def();
                // What no field describes is behind a field without a name.
                let named = def.fields.iter().zip(fields.slots()).filter(|(field, _)| !field.name.is_empty());
                for (field, slot) in named {
                    if let Some(node) = Node::of_field(field, slot.as_ref()) {
                        visit(&field.name, Some(field), node);
                    }
                }
                for (name, value) in fields.rest().into_iter().flat_map(MapValue::iter) {
                    visit(name, None, Node::of(value, None));
                }
            }
            Node::Zero(def) => {
                for field in def.fields.iter() {
                    if let Some(node) = Node::of_field(field, None) {
                        visit(&field.name, Some(field), node);
                    }
                }
            }
            _ => {}
        }
    }

    fn child_count(self) -> usize {
        let mut count = 0;
        self.each_child(|_, _, _| count += 1);
        count
    }

    /// Whether both are the same JSON; numbers are compared by value.
    pub(super) fn same(self, other: Node<'_>) -> bool {
        match (self, other) {
            (Node::Raw(a), Node::Raw(b)) if a == b => true,
            (Node::Raw(raw), other) => read_raw(raw).is_some_and(|value| Node::of(&value, None).same(other)),
            (one, Node::Raw(raw)) => read_raw(raw).is_some_and(|value| one.same(Node::of(&value, None))),
            (Node::Null, Node::Null) => true,
            (Node::Bool(a), Node::Bool(b)) => a == b,
            (Node::Int(a), Node::Int(b)) => a == b,
            (Node::Float(a), Node::Float(b)) => a == b,
            (Node::Int(a), Node::Float(b)) | (Node::Float(b), Node::Int(a)) => a as f64 == b,
            (Node::Str(a), Node::Str(b)) => a == b,
            (Node::Bytes(a), Node::Bytes(b)) => a == b,
            (Node::Bytes(bytes), Node::Str(text)) | (Node::Str(text), Node::Bytes(bytes)) => {
                STANDARD.encode(bytes) == text
            }
            (Node::List(..), Node::List(..)) => {
                let (a, b) = (self.items(), other.items());
                a.len() == b.len() && a.zip(b).all(|(a, b)| a.same(b))
            }
            (Node::Struct(a), Node::Struct(b)) if a == b => true,
            (a, b) if a.is_map() && b.is_map() => {
                let mut equal = a.child_count() == b.child_count();
                a.each_child(|name, _, value| equal = equal && b.child(name).is_some_and(|other| value.same(other)));
                equal
            }
            _ => false,
        }
    }

    /// The value as a free tree.
    pub(super) fn to_value(self) -> Value {
        match self {
            Node::Null => Value::Null,
            Node::Bool(truth) => Value::Bool(truth),
            Node::Int(number) => Value::Int(number),
            Node::Float(number) => Value::Float(number),
            Node::Str(text) => Value::from(text),
            Node::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
            Node::Raw(raw) => read_raw(raw).unwrap_or(Value::Null),
            Node::List(..) => Value::List(self.items().map(Node::to_value).collect()),
            Node::Map(..) | Node::Struct(_) | Node::Zero(_) => {
                let mut entries: Vec<(Text, Value)> = Vec::new();
                self.each_child(|name, _, value| entries.push((name.into(), value.to_value())));
                Value::Map(MapValue::from_entries(entries))
            }
        }
    }
}

/// An embedded value as a tree.
pub(super) fn read_raw(json: &[u8]) -> Option<Value> {
    codec::decode_free(json).ok()
}
