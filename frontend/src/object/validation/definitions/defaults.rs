//! Defaults must be good values: without unknown members, and valid by the schema that they stand in.

use std::sync::Arc;

use super::{super::custom, Leniency};
use crate::{
    api::{
        custom::unknown_members,
        schema::{Value, fit, structural},
    },
    request::status::FieldError,
};

pub(super) fn validate(schema: &Value, path: &str, lenient: Leniency<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    visit(schema, path, Part::Root, lenient, &mut errors);
    errors
}

/// Which part of an object a schema describes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The object itself.
    Root,
    Inner,
    /// In the metadata, or at the kind, of an object.
    Metadata,
}

fn visit(schema: &Value, path: &str, part: Part, lenient: Leniency<'_>, errors: &mut Vec<FieldError>) {
    let embedded = schema.child("x-kubernetes-embedded-resource").and_then(Value::as_bool) == Some(true);
    let whole = embedded || part == Part::Root;
    let default = schema.child("default").and_then(structural::free).filter(|value| *value != Value::Null);
    if let Some(default) = default {
        let at = format!("{path}.default");
        let mut node = structural::Node::read(schema);
        node.embedded = whole;
        // Of a default the original does not ask whether it is one of the two.
        node.int_or_string = false;
        let node = Arc::new(node);
        if !lenient.defaults_may_be_unpruned && (whole || part == Part::Inner) && is_pruned(&node, &default) {
            errors.push(FieldError::invalid_value(
                at.as_str(),
                custom::shown(&default),
                "must not have unknown fields",
            ));
        }
        errors.extend(custom::validate_default(&default, &node, &at));
    }
    if let Some(items) = schema.child("items").filter(|items| items.as_struct().is_some()) {
        let inside = if part == Part::Metadata && !embedded { Part::Metadata } else { Part::Inner };
        visit(items, &format!("{path}.items"), inside, lenient, errors);
    }
    if let Some(properties) = schema.child("properties").and_then(Value::as_map) {
        for (name, inner) in properties.iter() {
            let inside = match name {
                "metadata" | "apiVersion" | "kind" if whole => Part::Metadata,
                _ if part == Part::Metadata && !embedded => Part::Metadata,
                _ => Part::Inner,
            };
            visit(inner, &format!("{path}.properties[{name}]"), inside, lenient, errors);
        }
    }
}

/// Whether a value loses members by its schema.
fn is_pruned(node: &Arc<structural::Node>, value: &Value) -> bool {
    unknown_members(node, value.clone()) > 0
}

pub(super) fn has_unpruned(schema: &Value) -> bool {
    let mut found = false;
    super::tree::each(schema, &mut |schema| {
        if let Some(default) = schema.child("default").and_then(structural::free) {
            found |= is_pruned(&Arc::new(structural::Node::read(schema)), &fit::free(default));
        }
    });
    found
}
