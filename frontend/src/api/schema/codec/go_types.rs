//! How Go spells the types of fields, for decode errors.

use std::borrow::Cow;

use crate::api::schema::tables::{Field, Kind, Shape, StructDef};

/// "v1.PodSpec"
pub(super) fn struct_type(def: &StructDef) -> String {
    let package = def.package.rsplit('.').next().unwrap_or_default();
    format!("{package}.{}", def.name)
}

/// "[]v1.Container", "map[string]string", "int32"
pub(super) fn field_type(field: &Field) -> Cow<'_, str> {
    if !field.go_type.is_empty() {
        return Cow::Borrowed(&field.go_type);
    }
    let element = element_type(field);
    match field.shape {
        Shape::One => element,
        Shape::List => format!("[]{element}").into(),
        Shape::Map => format!("map[string]{element}").into(),
    }
}

/// The type of the field, or of its items.
pub(super) fn element_type(field: &Field) -> Cow<'_, str> {
    if field.shape == Shape::One && !field.go_type.is_empty() {
        return Cow::Borrowed(&field.go_type);
    }
    if let Some(item) = field.go_type.strip_prefix("[]") {
        return Cow::Borrowed(item);
    }
    Cow::Borrowed(match &field.kind {
        Kind::Bool => "bool",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Float64 => "float64",
        Kind::Str => "string",
        Kind::Bytes => "[]uint8",
        Kind::Time => "v1.Time",
        Kind::MicroTime => "v1.MicroTime",
        Kind::Duration => "v1.Duration",
        Kind::Quantity => "resource.Quantity",
        Kind::IntOrString => "intstr.IntOrString",
        Kind::Raw => "runtime.RawExtension",
        Kind::StringItems => "v1.ExtraValue",
        Kind::Any | Kind::Nested(_) => "interface {}",
        Kind::Struct(def) => return struct_type(def).into(),
        Kind::SchemaOrBool(_) => "v1.JSONSchemaPropsOrBool",
        Kind::SchemaOrArray(_) => "v1.JSONSchemaPropsOrArray",
        Kind::SchemaOrStringArray(_) => "v1.JSONSchemaPropsOrStringArray",
    })
}
