//! Defaults of custom resources, which their schemas carry: for what is absent, and for nulls that are not allowed.

use crate::api::schema::{
    fit::{Fitting, fit_field},
    structural::{Additional, Node},
    tables::{Field, Kind, Shape},
    value::{Struct, Value},
};

/// Fills in the fields of a struct and what is below them, from the outside in.
pub(super) fn visit(target: &mut Struct) {
    let (def, slots) = target.parts_mut();
    for (field, slot) in def.fields.iter().zip(slots) {
        let Some(node) = field.node.as_deref() else { continue };
        if let Some(default) = &node.default
            && slot.as_ref().is_none_or(|value| *value == Value::Null && node.refuses_null())
        {
            *slot = Some(fitted(default, field));
        }
        if let Some(value) = slot {
            visit_field(value, field, node);
        }
    }
}

/// A default as the field holds it, without what the schema has no place for.
fn fitted(default: &Value, field: &Field) -> Value {
    fit_field(default.clone(), field, &mut Fitting::default())
}

fn visit_field(value: &mut Value, field: &Field, node: &Node) {
    let (items, each) = match (value, field.shape) {
        (Value::Struct(inner), _) => return visit(inner),
        (Value::List(items), Shape::List) => (items.iter_mut().collect::<Vec<_>>(), node.items.as_deref()),
        (Value::Map(map), Shape::Map) => {
            let each = match &node.additional {
                Additional::Each(each) => Some(&**each),
                _ => None,
            };
            (map.iter_mut().map(|(_, item)| item).collect(), each)
        }
        _ => return,
    };
    let Some(each) = each else { return };
    for item in items {
        visit_item(item, field, each);
    }
}

fn visit_item(item: &mut Value, field: &Field, node: &Node) {
    if *item == Value::Null && node.refuses_null() {
        let one = Field { shape: Shape::One, node: None, ..field.clone() };
        if let Some(default) = &node.default {
            *item = match &field.kind {
                Kind::Nested(inner) => fitted(default, &inner.0),
                _ => fit_field(default.clone(), &one, &mut Fitting::default()),
            };
        }
    }
    match (&field.kind, item) {
        (_, Value::Struct(inner)) => visit(inner),
        (Kind::Nested(inner), value) => visit_field(value, &inner.0, node),
        _ => {}
    }
}
