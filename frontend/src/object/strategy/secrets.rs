//! Secrets: stringData is written into data, and not kept.

use super::writer::Writer;
use crate::api::schema::{Object, Value};

pub(super) fn created(object: &mut Object, _: &Writer) {
    let Some(Value::Map(texts)) = object.remove(&["stringData"]) else { return };
    for (key, value) in texts.iter() {
        if let Some(text) = value.as_str() {
            object.set(&["data", key], Value::Bytes(text.as_bytes().into()));
        }
    }
}

pub(super) fn changed(object: &mut Object, _: &Object, writer: &Writer) {
    created(object, writer);
}
