//! What the schema says of a value: whether it is owned field by field or as a whole, and how a list's items are told
//! apart.

use std::borrow::Cow;

use super::{
    element::{Element, Scalar},
    node::Node,
};
use crate::api::schema::{
    Field, Kind, Presence, Shape, StructDef, Type,
    structural::{self, Additional, NodeType},
};

/// The type of a value, as far as the schema knows it: the TypeRef of structured-merge-diff.
#[derive(Clone, Copy, Debug)]
pub(super) enum TypeRef<'a> {
    Struct {
        def: &'a StructDef,
        atomic: bool,
    },
    List(&'a Field),
    Map(&'a Field),
    /// A list of texts that has a type of its own.
    Texts,
    Scalar(ScalarType),
    /// A map of which the schema says no more than that.
    Open {
        atomic: bool,
    },
    /// Without schema: maps are granular, lists are owned as a whole.
    Deduced,
    /// Without schema and owned as a whole.
    Untyped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScalarType {
    Number,
    Text,
    Truth,
    Any,
}

fn is_object(node: Option<&structural::Node>) -> bool {
    node.is_some_and(|node| node.kind == NodeType::Object)
}

/// What is to be done with a value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form<'a> {
    Scalar,
    List(Items<'a>),
    Map { atomic: bool },
}

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Items<'a> {
    /// Not at all: the list is owned as a whole.
    Atomic,
    /// By their value.
    Set,
    /// By these fields.
    Keys(&'a [Cow<'static, str>]),
}

const APIEXTENSIONS: &str = "apiextensions_apiserver";

impl<'a> TypeRef<'a> {
    pub(super) fn root(kind: &'a Type) -> TypeRef<'a> {
        TypeRef::Struct { def: &kind.root, atomic: false }
    }

    pub(super) fn of_field(owner: &StructDef, field: &'a Field) -> TypeRef<'a> {
        match field.shape {
            Shape::List => TypeRef::List(field),
            Shape::Map => TypeRef::Map(field),
            Shape::One => match &field.kind {
                // A value of a definition's schema, unlike other embedded objects, is looked into.
                Kind::Raw if owner.package.starts_with(APIEXTENSIONS) => TypeRef::Deduced,
                Kind::Struct(def) => TypeRef::of_struct(def, &field.merge.map_type),
                Kind::Any if is_object(field.node.as_deref()) => {
                    TypeRef::Open { atomic: field.merge.map_type == "atomic" }
                }
                kind => TypeRef::of_kind(kind),
            },
        }
    }

    fn of_struct(def: &'a StructDef, map_type: &str) -> TypeRef<'a> {
        let atomic = match map_type {
            "atomic" => true,
            "granular" => false,
            _ => def.atomic,
        };
        TypeRef::Struct { def, atomic }
    }

    /// The items of a list or the values of a map.
    fn of_items(field: &'a Field) -> TypeRef<'a> {
        let item = field.node.as_deref().and_then(|node| match &node.additional {
            Additional::Each(each) => Some(each),
            _ => node.items.as_ref(),
        });
        match &field.kind {
            Kind::Any if is_object(item.map(|item| &**item)) => TypeRef::Open { atomic: false },
            kind => TypeRef::of_kind(kind),
        }
    }

    fn of_kind(kind: &'a Kind) -> TypeRef<'a> {
        match kind {
            Kind::Bool => TypeRef::Scalar(ScalarType::Truth),
            Kind::Int32 | Kind::Int64 | Kind::Float64 => TypeRef::Scalar(ScalarType::Number),
            Kind::Str | Kind::Bytes | Kind::Duration => TypeRef::Scalar(ScalarType::Text),
            Kind::Time | Kind::MicroTime | Kind::Quantity => TypeRef::Scalar(ScalarType::Any),
            Kind::StringItems => TypeRef::Texts,
            Kind::Struct(def) => TypeRef::of_struct(def, ""),
            Kind::Raw => TypeRef::Untyped,
            Kind::Nested(nested) if nested.0.shape == Shape::List => TypeRef::List(&nested.0),
            Kind::Nested(nested) => TypeRef::Map(&nested.0),
            Kind::IntOrString
            | Kind::Any
            | Kind::SchemaOrBool(_)
            | Kind::SchemaOrArray(_)
            | Kind::SchemaOrStringArray(_) => TypeRef::Deduced,
        }
    }

    /// The form of a value; of a null, that which the type has in any case.
    pub(super) fn form(self, node: Node<'_>) -> Form<'a> {
        match self {
            TypeRef::Struct { atomic, .. } => Form::Map { atomic },
            TypeRef::Map(field) => Form::Map { atomic: field.merge.map_type == "atomic" },
            TypeRef::Open { atomic } => Form::Map { atomic },
            TypeRef::List(field) => Form::List(items(field)),
            TypeRef::Texts => Form::List(Items::Atomic),
            TypeRef::Scalar(_) => Form::Scalar,
            TypeRef::Deduced | TypeRef::Untyped if node.is_list() => Form::List(Items::Atomic),
            TypeRef::Deduced | TypeRef::Untyped if node.is_map() || node.is_null() => {
                Form::Map { atomic: matches!(self, TypeRef::Untyped) }
            }
            TypeRef::Deduced | TypeRef::Untyped => Form::Scalar,
        }
    }

    /// The type of a member of a map; None for one that the schema does not know.
    pub(super) fn child(self, name: &str) -> Option<TypeRef<'a>> {
        match self {
            TypeRef::Struct { def, .. } => match def.field(name) {
                Some(field) => Some(TypeRef::of_field(def, field)),
                None => def.open.then_some(TypeRef::Deduced),
            },
            TypeRef::Map(field) => Some(TypeRef::of_items(field)),
            TypeRef::Deduced | TypeRef::Open { .. } => Some(TypeRef::Deduced),
            TypeRef::Untyped => Some(TypeRef::Untyped),
            TypeRef::List(_) | TypeRef::Texts | TypeRef::Scalar(_) => None,
        }
    }

    /// The same where the field is at hand.
    pub(super) fn child_of(self, field: Option<&'a Field>, name: &str) -> Option<TypeRef<'a>> {
        match (self, field) {
            (TypeRef::Struct { def, .. }, Some(field)) => Some(TypeRef::of_field(def, field)),
            _ => self.child(name),
        }
    }

    /// Whether the schema has a field of that name: it then is no entry of a map.
    pub(super) fn declares(self, name: &str) -> bool {
        matches!(self, TypeRef::Struct { def, .. } if def.slot_of(name).is_some())
    }

    pub(super) fn item(self) -> TypeRef<'a> {
        match self {
            TypeRef::List(field) => TypeRef::of_items(field),
            TypeRef::Texts => TypeRef::Scalar(ScalarType::Text),
            _ => TypeRef::Untyped,
        }
    }

    /// The step to an item of a list that is not owned as a whole.
    pub(super) fn step(self, items: Items<'a>, item: Node<'a>) -> Result<Element<'a>, String> {
        match items {
            Items::Atomic => Err("invalid indexing of non-associative list".to_owned()),
            Items::Set => set_step(item),
            Items::Keys(keys) => self.key_step(keys, item),
        }
    }

    fn key_step(self, keys: &'a [Cow<'static, str>], item: Node<'a>) -> Result<Element<'a>, String> {
        if item.is_null() {
            return Err("associative list with keys may not have a null element".to_owned());
        }
        if !item.is_map() {
            return Err("associative list with keys may not have non-map elements".to_owned());
        }
        let def = match self.item() {
            TypeRef::Struct { def, .. } => Some(def),
            _ => None,
        };
        let mut fields = Vec::with_capacity(keys.len());
        for key in keys {
            let default = || def.and_then(|def| default_of(def.field(key)?));
            if let Some(value) = item.child(key).map(scalar).or_else(default) {
                fields.push((Cow::Borrowed(key.as_ref()), value));
            }
        }
        if fields.is_empty() && !keys.is_empty() {
            let names: Vec<String> = keys.iter().map(|key| crate::request::status::go_quote(key)).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                names.join(" ")
            ));
        }
        if fields.len() > 1 {
            fields.sort_by(|a, b| a.0.cmp(&b.0));
        }
        Ok(Element::Key(fields))
    }
}

fn items(field: &Field) -> Items<'_> {
    let merge = &field.merge;
    match merge.list_type.as_ref() {
        "set" => Items::Set,
        "map" => Items::Keys(&merge.list_map_keys),
        "" if matches!(merge.patch_strategy.as_ref(), "merge" | "merge,retainKeys") => {
            match merge.patch_merge_key.as_ref() {
                "" => Items::Set,
                _ => Items::Keys(std::slice::from_ref(&merge.patch_merge_key)),
            }
        }
        _ => Items::Atomic,
    }
}

fn set_step(item: Node<'_>) -> Result<Element<'_>, String> {
    if item.is_map() {
        return Err("associative list without keys has an element that's a map type".to_owned());
    }
    if item.is_list() {
        return Err("not supported: associative list with lists as elements".to_owned());
    }
    if item.is_null() {
        return Err("associative list without keys has an element that's an explicit null".to_owned());
    }
    Ok(Element::Value(scalar(item)))
}

fn scalar(node: Node<'_>) -> Scalar<'_> {
    match node {
        Node::Bool(truth) => Scalar::Bool(truth),
        Node::Int(number) => Scalar::Int(number),
        Node::Float(number) => Scalar::Float(number),
        Node::Str(text) => Scalar::Str(Cow::Borrowed(text)),
        Node::Null => Scalar::Null,
        other => match other.to_value() {
            crate::api::schema::Value::Str(text) => Scalar::Str(Cow::Owned(text.to_string())),
            _ => Scalar::Null,
        },
    }
}

/// What a key is when an item leaves it out: its declared default, or the zero that Go always writes.
fn default_of(field: &Field) -> Option<Scalar<'_>> {
    if !field.default.is_empty() {
        return super::element::scalar(&field.default).ok();
    }
    if field.presence != Presence::Always || field.shape != Shape::One {
        return None;
    }
    match field.kind {
        Kind::Str => Some(Scalar::Str(Cow::Borrowed(""))),
        Kind::Int32 | Kind::Int64 | Kind::Float64 => Some(Scalar::Int(0)),
        Kind::Bool => Some(Scalar::Bool(false)),
        _ => None,
    }
}
