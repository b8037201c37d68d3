//! Objects made ready for validation and the store, as their resource's row says.

use super::{
    disabled,
    rows::{self, Generation, Status, Strategy},
    writer::Writer,
};
use crate::{
    api::schema::{Object, convert},
    cluster::Target,
    object::equality::same_at,
};

/// A new object: what belongs to the server is set, what belongs to others is dropped.
pub fn prepare_create(target: &Target, object: &mut Object, writer: &Writer) {
    in_stored_form(object, |object| complete_new(target, object, writer));
}

/// A changed object: the parts of other endpoints are as they were, the generation moves with the spec.
pub fn prepare_update(target: &Target, object: &mut Object, old: &Object, writer: &Writer) {
    let stored = convert::as_stored(old);
    in_stored_form(object, |object| complete_changed(target, object, stored.as_ref().unwrap_or(old), writer));
}

/// A version that says part of its spec or status in annotations is completed in the form that is stored.
fn in_stored_form(object: &mut Object, complete: impl FnOnce(&mut Object)) {
    match convert::as_stored(object) {
        Some(mut stored) => {
            complete(&mut stored);
            *object = convert::convert(&stored, &object.ty().clone());
        }
        None => complete(object),
    }
}

fn complete_new(target: &Target, object: &mut Object, writer: &Writer) {
    let strategy = rows::find(target);
    if !target.resource.custom {
        disabled::drop_fields(object, None);
    }
    if strategy.status == Status::Apart {
        object.remove(&["status"]);
    }
    if !matches!(strategy.generation, Generation::None | Generation::LaterWith(_)) {
        object.set_generation(1);
    }
    if let Some(complete) = strategy.created {
        complete(object, writer);
    }
}

fn complete_changed(target: &Target, object: &mut Object, old: &Object, writer: &Writer) {
    let strategy = rows::find(target);
    let undropped = moves(strategy.generation, object, old);
    if !target.resource.custom {
        disabled::drop_fields(object, Some(old));
    }
    let part = target.subresource.as_ref().map_or("", |s| s.name.as_ref());
    match part {
        "" => {
            if strategy.status != Status::Shared {
                object.copy_from(old, &["status"]);
            }
            if let Some(complete) = strategy.changed {
                complete(object, old, writer);
            }
        }
        "status" => only_status(strategy, object, old),
        _ => {}
    }
    if let Some((_, complete)) = strategy.parts.iter().find(|(name, _)| *name == part) {
        complete(object, old, writer);
    }
    let moved = match strategy.generation {
        Generation::WithDropped(_) => undropped,
        other => moves(other, object, old),
    };
    if part != "status" && moved {
        object.set_generation(old.generation() + 1);
    }
}

/// Whether a change moves the generation.
fn moves(generation: Generation, object: &Object, old: &Object) -> bool {
    match generation {
        Generation::None => false,
        Generation::With(fields) | Generation::WithDropped(fields) | Generation::LaterWith(fields) => {
            fields.iter().any(|field| {
                let path: Vec<&str> = field.split('.').collect();
                !same_at(object, old, &path)
            })
        }
        Generation::WithExactly(fields) => fields.iter().any(|field| object.get(&[field]) != old.get(&[field])),
        Generation::WithAll => {
            // A status with an endpoint of its own is the old one by now.
            let fields = object.root().def().fields.iter().enumerate();
            fields
                .filter(|(_, field)| field.name != "metadata")
                .any(|(slot, _)| object.root().slot(slot) != old.root().slot(slot))
        }
    }
}

/// The status endpoint changes status, and of metadata what its row does not keep.
fn only_status(strategy: &Strategy, object: &mut Object, old: &Object) {
    let names: Vec<String> = old.root().def().fields.iter().map(|f| f.name.to_string()).collect();
    for name in names.iter().filter(|n| !matches!(n.as_str(), "kind" | "apiVersion" | "metadata" | "status")) {
        object.copy_from(old, &[name]);
    }
    for field in strategy.status_keeps {
        object.copy_from(old, &["metadata", field]);
    }
}
