//! The shape of the tables: kinds, structs, fields. Built-in rows are statics that build.rs writes; rows that come at
//! run time (custom resources) are shared and freed with their last user. Not here: the lookup of kinds (`kinds`).

use std::{
    borrow::Cow,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::structural::Node;

/// Group, version and kind; the core group is "".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    pub group: Cow<'static, str>,
    pub version: Cow<'static, str>,
    pub kind: Cow<'static, str>,
}

impl Gvk {
    pub fn new(group: impl Into<String>, version: impl Into<String>, kind: impl Into<String>) -> Gvk {
        Gvk { group: Cow::Owned(group.into()), version: Cow::Owned(version.into()), kind: Cow::Owned(kind.into()) }
    }

    pub const fn from_static(group: &'static str, version: &'static str, kind: &'static str) -> Gvk {
        Gvk { group: Cow::Borrowed(group), version: Cow::Borrowed(version), kind: Cow::Borrowed(kind) }
    }

    /// "v1", "apps/v1"
    pub fn api_version(&self) -> Cow<'static, str> {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            Cow::Owned(format!("{}/{}", self.group, self.version))
        }
    }

    /// (group, version) of an apiVersion; None when it has more than one slash.
    pub fn split_api_version(api_version: &str) -> Option<(&str, &str)> {
        match api_version.split_once('/') {
            None => Some(("", api_version)),
            Some((_, version)) if version.contains('/') => None,
            Some(parts) => Some(parts),
        }
    }
}

/// A kind: its names and the struct at its root. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Type {
    Static(&'static KindDef),
    Shared(Arc<KindDef>),
}

impl Deref for Type {
    type Target = KindDef;
    fn deref(&self) -> &KindDef {
        match self {
            Type::Static(def) => def,
            Type::Shared(def) => def,
        }
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        self.gvk == other.gvk
    }
}

/// The number of the next kind that comes at run time. Those of built-in kinds are below.
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1 << 16);

impl Type {
    /// A kind that comes at run time.
    pub fn shared(gvk: Gvk, root: StructRef, custom: Option<Arc<Node>>) -> Type {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        Type::Shared(Arc::new(KindDef { gvk, number, root, custom }))
    }
}

#[derive(Clone, Debug)]
pub struct KindDef {
    pub gvk: Gvk,
    /// No other kind has it, nor had this kind before its tables changed: what is derived from stored objects by a kind
    /// is kept under its number.
    pub number: u32,
    pub root: StructRef,
    /// The schema of a custom resource. Its objects are read leniently, printed with sorted keys and never as protobuf.
    pub custom: Option<Arc<Node>>,
}

/// A reference to a struct's definition. Cheap to clone.
#[derive(Clone)]
pub enum StructRef {
    Static(&'static StructDef),
    Shared(Arc<StructDef>),
}

impl Deref for StructRef {
    type Target = StructDef;
    fn deref(&self) -> &StructDef {
        match self {
            StructRef::Static(def) => def,
            StructRef::Shared(def) => def,
        }
    }
}

impl PartialEq for StructRef {
    fn eq(&self, other: &StructRef) -> bool {
        std::ptr::eq::<StructDef>(&**self, &**other)
    }
}

impl std::fmt::Debug for StructRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.package, self.name)
    }
}

#[derive(Clone, Debug)]
pub struct StructDef {
    /// "PodSpec"
    pub name: Cow<'static, str>,
    /// As in the proto files: "api.core.v1"
    pub package: Cow<'static, str>,
    pub doc: Cow<'static, str>,
    /// Server-side apply owns it as one.
    pub atomic: bool,
    /// In the order in which Kubernetes prints them.
    pub fields: Cow<'static, [Field]>,
    /// In the order of field numbers.
    pub wire: Cow<'static, [Wire]>,
    /// Members without a field are kept: the last field, which has no name, is a map of them.
    pub open: bool,
}

impl StructDef {
    pub fn slot_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.slot_of(name).map(|slot| &self.fields[slot])
    }
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub shape: Shape,
    pub presence: Presence,
    /// Clients must give it (OpenAPI's `required`).
    pub required: bool,
    pub doc: Cow<'static, str>,
    /// The Go name of a named scalar type ("RestartPolicy"), which decode errors show; "" when it has none.
    pub go_type: Cow<'static, str>,
    /// The structs that Go embeds to have this field here ("RuleWithOperations.Rule"); "" when it is the struct's own.
    pub embedded: Cow<'static, str>,
    /// The JSON of its declared default; "" when none is declared.
    pub default: Cow<'static, str>,
    pub merge: Merge,
    /// What the schema of a custom resource says of the value: nullable, default, limits.
    pub node: Option<Arc<Node>>,
}

impl Field {
    /// One plain value, whose zero is the same as nothing.
    pub fn is_plain(&self) -> bool {
        self.presence.is_plain() && self.shape == Shape::One
    }

    /// The struct behind this field, through list or map.
    pub fn struct_ref(&self) -> Option<&StructRef> {
        match &self.kind {
            Kind::Struct(def) => Some(def),
            _ => None,
        }
    }
}

/// How patches and server-side apply treat a list or map.
#[derive(Clone, Debug, Default)]
pub struct Merge {
    /// x-kubernetes-list-type / -map-type: "atomic", "set", "map", "granular"; "" when unset.
    pub list_type: Cow<'static, str>,
    pub map_type: Cow<'static, str>,
    /// Only where list_type is "map".
    pub list_map_keys: Cow<'static, [Cow<'static, str>]>,
    /// "merge", "replace", "retainKeys", joined by commas; "" when unset.
    pub patch_strategy: Cow<'static, str>,
    pub patch_merge_key: Cow<'static, str>,
}

impl Merge {
    pub const NONE: Merge = Merge {
        list_type: Cow::Borrowed(""),
        map_type: Cow::Borrowed(""),
        list_map_keys: Cow::Borrowed(&[]),
        patch_strategy: Cow::Borrowed(""),
        patch_merge_key: Cow::Borrowed(""),
    };

    pub fn has_patch_strategy(&self, strategy: &str) -> bool {
        self.patch_strategy.split(',').any(|each| each == strategy)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    One,
    List,
    Map,
}

/// What is written when nothing was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Go's pointer: nothing is written unless it was given; a given zero is.
    Pointer,
    /// Go's pointer without omitempty: JSON says null when nothing was given.
    Nullable,
    /// Go's plain value with omitempty: JSON leaves zeros out, protobuf writes them.
    Omit,
    /// Go's plain value: zeros are always written, in JSON too.
    Always,
}

impl Presence {
    /// Of Go's plain values a zero is the same as nothing.
    pub fn is_plain(self) -> bool {
        matches!(self, Presence::Omit | Presence::Always)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Bool,
    Int32,
    Int64,
    Float64,
    Str,
    Bytes,
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    /// An embedded object or JSON value, kept as the bytes of its JSON.
    Raw,
    /// Go's named list of strings ([]string with a wrapper message on the wire).
    StringItems,
    Struct(StructRef),
    /// A free tree without schema.
    Any,
    /// An item that is itself a list or a map, as a field without a name says (custom resources only).
    Nested(Nested),
    /// The three unions of CRD schemas: a schema (of this struct), or what the name says.
    SchemaOrBool(StructRef),
    SchemaOrArray(StructRef),
    SchemaOrStringArray(StructRef),
}

/// A list or map inside a list or map.
#[derive(Clone, Debug)]
pub struct Nested(pub Arc<Field>);

impl PartialEq for Nested {
    fn eq(&self, other: &Nested) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[derive(Clone, Debug)]
pub struct Wire {
    pub number: u32,
    pub target: WireTarget,
}

#[derive(Clone, Debug)]
pub enum WireTarget {
    Slot(u16),
    /// A struct embedded in Go: a message on the wire, fields of the outer struct in JSON.
    Inline(Cow<'static, [Wire]>),
}
