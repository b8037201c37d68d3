//! Structs of the schema as JSON schemas, with every definition that they refer to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::LazyLock,
};

use serde_json::{Map, Value, json};

use super::{custom, dialect::Dialect, facts, special};
use crate::api::schema::{Field, Gvk, Kind, Presence, Schema, Shape, StructDef, StructRef, Type};

/// Gathers the definitions of one document.
pub(super) struct Definitions<'a> {
    schema: &'a Schema,
    dialect: Dialect,
    everywhere: Everywhere,
    made: BTreeMap<String, Value>,
}

/// Whose kinds options and events are said to be, which may come under any group's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Everywhere {
    /// All groups of a server.
    Builtin,
    /// Those of a client alone: documents of custom resources are made with its types.
    Clients,
}

/// Groups that a client has no types of.
const NOT_CLIENTS: [&str; 4] =
    ["admission.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "imagepolicy.k8s.io"];

/// The built-in kinds whose root a struct is, by the struct's name in documents.
static KINDS: LazyLock<HashMap<String, Vec<Gvk>>> = LazyLock::new(|| {
    let mut kinds: HashMap<String, Vec<Gvk>> = HashMap::new();
    for kind in Schema::builtin().kinds() {
        kinds.entry(special::name_of(&kind.root)).or_default().push(kind.gvk.clone());
    }
    kinds
});

impl<'a> Definitions<'a> {
    pub(super) fn new(schema: &'a Schema, dialect: Dialect) -> Definitions<'a> {
        Definitions { schema, dialect, everywhere: Everywhere::Builtin, made: BTreeMap::new() }
    }

    pub(super) fn with_everywhere(self, everywhere: Everywhere) -> Definitions<'a> {
        Definitions { everywhere, ..self }
    }

    pub(super) fn finish(self) -> BTreeMap<String, Value> {
        self.made
    }

    pub(super) fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// The name of a kind's definition, which is made with all that it needs. None for a kind without schema.
    pub(super) fn kind(&mut self, group: &str, version: &str, kind: &str) -> Option<String> {
        let found = self.schema.kind(group, version, kind)?;
        self.custom(&found).or_else(|| Some(self.named_struct(&found.root)))
    }

    /// A kind that a definition defines, or a list of it.
    fn custom(&mut self, found: &Type) -> Option<String> {
        if !found.root.package.is_empty() {
            return None;
        }
        let gvk = &found.gvk;
        let name = custom::name_of(gvk);
        let metadata = found.root.field("metadata")?.struct_ref()?;
        let definition = match &found.custom {
            Some(node) => {
                let metadata = self.named_struct(metadata);
                custom::object(node.published.as_deref()?, gvk, &metadata, self.dialect)
            }
            None => {
                let item = &found.root.field("items")?.struct_ref()?.name;
                let item = self.schema.kind(&gvk.group, &gvk.version, item)?;
                let below = self.custom(&item)?;
                let published = item.custom.as_ref()?.published.as_deref()?;
                let metadata = self.named_struct(metadata);
                custom::list(published, gvk, (&below, &item.gvk), &metadata, self.dialect)
            }
        };
        self.made.insert(name.clone(), definition);
        Some(name)
    }

    /// A type of meta/v1.
    pub(super) fn meta(&mut self, kind: &str) -> Option<String> {
        self.kind("meta.k8s.io", "v1", kind).or_else(|| self.kind("", "v1", kind))
    }

    pub(super) fn special(&mut self, name: &str) -> String {
        if !self.made.contains_key(name)
            && let Some(definition) = special::definition(name, self.dialect == Dialect::V3)
        {
            self.made.insert(name.to_owned(), definition);
        }
        name.to_owned()
    }

    /// `{"$ref": ...}`
    pub(super) fn reference(&self, name: &str) -> Value {
        json!({"$ref": self.dialect.reference(name)})
    }

    /// The older dialect does not tell zeros.
    fn has_defaults(&self) -> bool {
        self.dialect == Dialect::V3
    }

    fn named_struct(&mut self, def: &StructRef) -> String {
        let name = special::name_of(def);
        if !self.made.contains_key(&name) {
            // Taken before the fields are walked, since types refer to themselves.
            self.made.insert(name.clone(), Value::Null);
            let definition = self.struct_schema(def, &name);
            self.made.insert(name.clone(), definition);
        }
        name
    }

    fn struct_schema(&mut self, def: &StructDef, name: &str) -> Value {
        let mut out = Map::new();
        if !def.doc.is_empty() {
            out.insert("description".to_owned(), def.doc.as_ref().into());
        }
        out.insert("type".to_owned(), "object".into());
        let required: Vec<&str> = def.fields.iter().filter(|f| f.required).map(|f| f.name.as_ref()).collect();
        if !required.is_empty() {
            out.insert("required".to_owned(), required.into());
        }
        let mut fields: Vec<&Field> = def.fields.iter().collect();
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let mut properties = Map::new();
        for field in fields {
            properties.insert(field.name.to_string(), self.property(field, def));
        }
        if !properties.is_empty() {
            out.insert("properties".to_owned(), properties.into());
        }
        if let Some(kinds) = self.kinds_of(name) {
            out.insert("x-kubernetes-group-version-kind".to_owned(), kinds);
        }
        if facts::is_atomic(def) {
            out.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
        }
        if let Some(unions) = facts::unions(def) {
            out.insert("x-kubernetes-unions".to_owned(), unions);
        }
        out.into()
    }

    fn kinds_of(&self, name: &str) -> Option<Value> {
        let entry = |gvk: &Gvk| json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version});
        // Options and events may come under any group's version.
        if let Some(everywhere) = name.strip_prefix("io.k8s.apimachinery.pkg.apis.meta.v1.")
            && matches!(everywhere, "DeleteOptions" | "WatchEvent")
        {
            let clients = self.everywhere == Everywhere::Clients;
            let is_left_out = |group: &str| {
                matches!(group, "meta.k8s.io" | "apidiscovery.k8s.io") || clients && NOT_CLIENTS.contains(&group)
            };
            let all = KINDS.values().flatten().filter(|gvk| !is_left_out(&gvk.group));
            let versions: BTreeSet<_> = all.map(|gvk| (&gvk.group, &gvk.version)).collect();
            let named = |(group, version)| json!({"group": group, "kind": everywhere, "version": version});
            return Some(versions.into_iter().map(named).collect());
        }
        let mut kinds: Vec<Gvk> = KINDS.get(name)?.clone();
        for gvk in kinds.iter_mut().filter(|gvk| gvk.group == "meta.k8s.io") {
            *gvk = Gvk::new("", "v1", gvk.kind.clone());
        }
        kinds.sort();
        kinds.dedup();
        let kinds: Vec<Value> = kinds.iter().map(entry).collect();
        // Types that only meta/v1 knows are no kinds of their own, except Status.
        let only_meta = name.starts_with("io.k8s.apimachinery.pkg.apis.meta.v1.");
        let is_kind = !only_meta || KINDS_OF_META.iter().any(|kind| name.ends_with(kind));
        (is_kind && !kinds.is_empty()).then(|| kinds.into())
    }

    fn property(&mut self, field: &Field, owner: &StructDef) -> Value {
        let mut out = Map::new();
        if !field.doc.is_empty() {
            out.insert("description".to_owned(), field.doc.as_ref().into());
        }
        match field.shape {
            Shape::One => self.single(field, owner, &mut out),
            Shape::List => {
                out.insert("type".to_owned(), "array".into());
                out.insert("items".to_owned(), self.element(field, owner));
            }
            Shape::Map => {
                out.insert("type".to_owned(), "object".into());
                let mut value = self.element(field, owner);
                // A map of lists of texts is the one nested shape there is.
                if matches!(field.kind, Kind::StringItems) {
                    value = Map::new().into();
                    if let Value::Object(list) = &mut value {
                        scalar(&field.kind, self.has_defaults(), list);
                    }
                }
                out.insert("additionalProperties".to_owned(), value);
            }
        }
        extensions(field, &mut out);
        out.into()
    }

    /// A field that is neither list nor map. References may have no neighbours, so that a described one is wrapped.
    fn single(&mut self, field: &Field, owner: &StructDef, out: &mut Map<String, Value>) {
        let reference = match &field.kind {
            Kind::Struct(def) => Some(self.named_struct(def)),
            _ => special::of_kind(field, owner).map(|name| self.special(&name)),
        };
        let Some(name) = reference else {
            let always = field.presence == Presence::Always && field.required;
            scalar(&field.kind, self.has_defaults() && always, out);
            if self.has_defaults()
                && let Some(default) = facts::default(owner, &field.name)
            {
                out.insert("default".to_owned(), default);
            }
            values(owner, field, out);
            return;
        };
        let plain_struct =
            matches!(field.kind, Kind::Struct(_)) && !matches!(field.presence, Presence::Pointer | Presence::Nullable);
        if self.dialect == Dialect::V2 {
            out.insert("$ref".to_owned(), self.dialect.reference(&name).into());
            return;
        }
        if plain_struct {
            out.insert("default".to_owned(), json!({}));
        }
        if out.is_empty() {
            out.insert("$ref".to_owned(), self.dialect.reference(&name).into());
        } else {
            out.insert("allOf".to_owned(), json!([self.reference(&name)]));
        }
    }

    /// What a list or map holds.
    fn element(&mut self, field: &Field, owner: &StructDef) -> Value {
        if let Kind::Struct(def) = &field.kind {
            let name = self.named_struct(def);
            return match self.dialect {
                Dialect::V2 => self.reference(&name),
                Dialect::V3 => json!({"default": {}, "allOf": [self.reference(&name)]}),
            };
        }
        if let Some(name) = special::of_kind(field, owner) {
            let name = self.special(&name);
            return self.reference(&name);
        }
        let mut out = Map::new();
        let bytes = matches!(field.kind, Kind::Bytes);
        scalar(&field.kind, self.has_defaults() && !bytes, &mut out);
        values(owner, field, &mut out);
        out.into()
    }
}

const KINDS_OF_META: [&str; 6] =
    [".Status", ".APIVersions", ".APIGroup", ".APIGroupList", ".APIResourceList", ".Table"];

/// A plain type, with its zero as default where Go always writes it.
fn scalar(kind: &Kind, with_default: bool, out: &mut Map<String, Value>) {
    let (name, format, zero): (&str, &str, Value) = match kind {
        Kind::Bool => ("boolean", "", false.into()),
        Kind::Int32 => ("integer", "int32", 0.into()),
        Kind::Int64 => ("integer", "int64", 0.into()),
        Kind::Float64 => ("number", "double", 0.into()),
        Kind::Bytes => ("string", "byte", Value::Null),
        Kind::StringItems => {
            out.insert("type".to_owned(), "array".into());
            let items = if with_default { json!({"type": "string", "default": ""}) } else { json!({"type": "string"}) };
            out.insert("items".to_owned(), items);
            return;
        }
        Kind::Any => ("object", "", Value::Null),
        _ => ("string", "", "".into()),
    };
    out.insert("type".to_owned(), name.into());
    if !format.is_empty() {
        out.insert("format".to_owned(), format.into());
    }
    if with_default && !zero.is_null() {
        out.insert("default".to_owned(), zero);
    }
}

/// The closed set that a value is from.
fn values(owner: &StructDef, field: &Field, out: &mut Map<String, Value>) {
    if let Some(values) = facts::values(owner, &field.name) {
        out.insert("enum".to_owned(), values.into());
    }
}

/// What patches and server-side apply must know of a list or map.
fn extensions(field: &Field, out: &mut Map<String, Value>) {
    let merge = &field.merge;
    let mut add = |name: &str, value: Value| {
        out.insert(format!("x-kubernetes-{name}"), value);
    };
    if !merge.list_map_keys.is_empty() {
        add("list-map-keys", merge.list_map_keys.iter().map(|k| k.as_ref()).collect());
    }
    if !merge.list_type.is_empty() {
        add("list-type", merge.list_type.as_ref().into());
    }
    if !merge.map_type.is_empty() {
        add("map-type", merge.map_type.as_ref().into());
    }
    if !merge.patch_merge_key.is_empty() {
        add("patch-merge-key", merge.patch_merge_key.as_ref().into());
    }
    if !merge.patch_strategy.is_empty() {
        add("patch-strategy", merge.patch_strategy.as_ref().into());
    }
}
