//! Namespaces: their finalizer and phase.

use super::writer::Writer;
use crate::api::schema::{Object, Value};

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn created(object: &mut Object, _: &Writer) {
    object.set(&["status", "phase"], "Active");
    let mut finalizers = object.get_list(&["spec", "finalizers"]).unwrap_or_default().to_vec();
    if !finalizers.iter().any(|f| f.as_str() == Some("kubernetes")) {
        finalizers.push(Value::from("kubernetes"));
    }
    object.set(&["spec", "finalizers"], Value::List(finalizers));
    label_with_name(object);
}

pub(super) fn changed(object: &mut Object, old: &Object, _: &Writer) {
    object.copy_from(old, &["spec", "finalizers"]);
    label_with_name(object);
}

/// The finalize endpoint changes finalizers alone.
pub(super) fn finalized(object: &mut Object, old: &Object, _: &Writer) {
    object.copy_from(old, &["status"]);
}

/// The label by which namespaces are selected by name.
fn label_with_name(object: &mut Object) {
    let name = object.name().to_owned();
    if !name.is_empty() {
        object.set_label(NAME_LABEL, &name);
    }
}
