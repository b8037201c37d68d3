//! The run-time tables of a custom kind, made of its schema.
//!
//! In: a [`Node`]. Out: struct definitions and fields as built-in kinds have them, so that one engine reads, prints,
//! defaults and merges both. Not here: values that the schema does not allow (validation).

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use crate::api::schema::{
    Field, Gvk, Kind, Merge, Nested, Presence, Schema, Shape, StructDef, StructRef, Type, codec,
    structural::{Additional, Node, NodeType},
};

/// ObjectMeta and ListMeta, printed with sorted keys as everything in a custom resource.
static OBJECT_META: LazyLock<Option<StructRef>> = LazyLock::new(|| sorted_metadata("PartialObjectMetadata"));
static LIST_META: LazyLock<Option<StructRef>> = LazyLock::new(|| {
    let mut def = StructDef::clone(&*sorted_metadata("PartialObjectMetadataList")?);
    let mut fields = def.fields.to_vec();
    // Lists of custom resources always say whether they go on.
    fields.iter_mut().filter(|field| field.name == "continue").for_each(|field| field.presence = Presence::Always);
    def.fields = fields.into();
    Some(StructRef::Shared(Arc::new(def)))
});

fn sorted_metadata(of_kind: &str) -> Option<StructRef> {
    let kind = Schema::builtin().kind("meta.k8s.io", "v1", of_kind)?;
    kind.root.field("metadata")?.struct_ref().map(sorted)
}

/// A definition whose fields are in the order of their names, all the way down.
fn sorted(def: &StructRef) -> StructRef {
    let mut fields = def.fields.to_vec();
    for field in &mut fields {
        if let Kind::Struct(inner) = &field.kind {
            field.kind = Kind::Struct(sorted(inner));
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let def = StructDef { fields: fields.into(), wire: Cow::Borrowed(&[]), ..StructDef::clone(def) };
    StructRef::Shared(Arc::new(def))
}

/// The kind of one version, and that of its lists.
pub(super) fn kinds(gvk: &Gvk, list_kind: &str, schema: &Arc<Node>) -> [Type; 2] {
    let root = root(gvk, schema);
    let list = list(gvk, list_kind, &root);
    [Type::shared(gvk.clone(), root, Some(Arc::clone(schema))), list]
}

fn root(gvk: &Gvk, schema: &Node) -> StructRef {
    struct_of(&gvk.kind, schema, Whole::Object)
}

fn list(gvk: &Gvk, list_kind: &str, item: &StructRef) -> Type {
    let mut fields = vec![text("apiVersion"), text("kind")];
    let items =
        Field { shape: Shape::List, presence: Presence::Always, ..implicit("items", Kind::Struct(item.clone())) };
    fields.push(items);
    fields.extend(
        LIST_META.clone().map(|def| Field { presence: Presence::Always, ..implicit("metadata", Kind::Struct(def)) }),
    );
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let root = StructRef::Shared(Arc::new(struct_def(list_kind, fields, false)));
    let gvk = Gvk { kind: Cow::Owned(list_kind.to_owned()), ..gvk.clone() };
    // Lists are made here and never read.
    Type::shared(gvk, root, None)
}

/// Whether a struct is an object with kind and metadata, or a part of one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Object,
    Part,
}

fn struct_of(name: &str, node: &Node, whole: Whole) -> StructRef {
    let whole = if node.embedded { Whole::Object } else { whole };
    let implied = |name: &str| whole == Whole::Object && matches!(name, "apiVersion" | "kind" | "metadata");
    let required = node.limits.as_ref().map(|limits| &*limits.required).unwrap_or_default();
    let named = node.properties.iter().filter(|(name, _)| !implied(name));
    let mut fields: Vec<Field> =
        named.map(|(name, node)| Field { required: required.contains(name), ..field(name, node) }).collect();
    if whole == Whole::Object {
        fields.extend([text("apiVersion"), text("kind")]);
        fields.extend(OBJECT_META.clone().map(|def| implicit("metadata", Kind::Struct(def))));
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let open = node.preserve_unknown;
    if open {
        fields.push(Field { shape: Shape::Map, ..implicit("", Kind::Any) });
    }
    let atomic = node.merge.map_type == "atomic";
    StructRef::Shared(Arc::new(StructDef { atomic, ..struct_def(name, fields, open) }))
}

fn struct_def(name: &str, fields: Vec<Field>, open: bool) -> StructDef {
    StructDef {
        name: Cow::Owned(name.to_owned()),
        package: Cow::Borrowed(""),
        doc: Cow::Borrowed(""),
        atomic: false,
        fields: fields.into(),
        wire: Cow::Borrowed(&[]),
        open,
    }
}

/// A field that no schema describes.
fn implicit(name: &str, kind: Kind) -> Field {
    Field {
        name: Cow::Owned(name.to_owned()),
        kind,
        shape: Shape::One,
        presence: Presence::Pointer,
        required: false,
        doc: Cow::Borrowed(""),
        go_type: Cow::Borrowed(""),
        embedded: Cow::Borrowed(""),
        default: Cow::Borrowed(""),
        merge: Merge::NONE,
        node: None,
    }
}

fn text(name: &str) -> Field {
    implicit(name, Kind::Str)
}

/// A field that this schema describes.
pub(super) fn field(name: &str, node: &Arc<Node>) -> Field {
    let (kind, shape) = shape_of(name, node);
    let default = node.default.as_ref().map(|value| {
        let mut json = Vec::new();
        codec::encode_free(value, &mut json);
        Cow::Owned(String::from_utf8_lossy(&json).into_owned())
    });
    let default = default.unwrap_or_default();
    Field { shape, default, merge: node.merge.clone(), node: Some(Arc::clone(node)), ..implicit(name, kind) }
}

/// What a value is by its schema: the structure alone, whatever else is demanded of it.
fn shape_of(name: &str, node: &Node) -> (Kind, Shape) {
    if node.int_or_string {
        return (Kind::IntOrString, Shape::One);
    }
    match node.kind {
        NodeType::String => (Kind::Str, Shape::One),
        NodeType::Integer => (Kind::Int64, Shape::One),
        NodeType::Number => (Kind::Float64, Shape::One),
        NodeType::Boolean => (Kind::Bool, Shape::One),
        NodeType::Array => (node.items.as_ref().map_or(Kind::Any, |items| item(name, items, node)), Shape::List),
        NodeType::Object | NodeType::None => match &node.additional {
            Additional::Each(each) => (item(name, each, node), Shape::Map),
            // Any member, but nothing in it.
            Additional::Allowed | Additional::Forbidden if node.properties.is_empty() && !node.preserve_unknown => {
                (Kind::Str, Shape::Map)
            }
            _ if node.properties.is_empty() && node.preserve_unknown && !node.embedded => (Kind::Any, Shape::One),
            _ => (Kind::Struct(struct_of(name, node, Whole::Part)), Shape::One),
        },
    }
}

/// The kind of the items of a list or map. A list that keeps what is unknown lets its items keep it too.
fn item(name: &str, node: &Arc<Node>, of: &Node) -> Kind {
    let inherits = of.preserve_unknown && of.kind == NodeType::Array && !node.preserve_unknown;
    if inherits && matches!(node.kind, NodeType::Object | NodeType::None) && node.properties.is_empty() {
        return Kind::Any;
    }
    match shape_of(name, node) {
        (kind, Shape::One) => kind,
        _ => Kind::Nested(Nested(Arc::new(field("", node)))),
    }
}
