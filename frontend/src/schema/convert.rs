//! Between versions of one kind that share storage. Fields of equal names are carried over; pairs that differ have rows
//! here. Not here: conversion webhooks.

use super::object::Object;
use super::tables::Type;

/// The object as kind `to`. Fields that `to` has not are dropped.
pub fn convert(object: &Object, to: &Type) -> Object {
    if object.ty() == to {
        return object.clone();
    }
    let mut converted = Object::new(to);
    for (field, value) in object.root().iter() {
        if field.name != "kind" && field.name != "apiVersion" {
            converted.set(&[&field.name], value.clone());
        }
    }
    converted
}
