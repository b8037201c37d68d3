//! Objects that `kubectl apply` keeps from its own side, with what it applied in an annotation. When the same kubectl
//! applies through the server, it owns what its annotation says; and the annotation follows what it applies.

use super::{
    compare::compare,
    node::Node,
    set::path_text,
    type_ref::TypeRef,
    updater::{Conflict, check_config},
};
use crate::api::schema::{Object, Value, codec};

/// Only under this name, unless the user gives another.
pub(super) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ANNOTATIONS: [&str; 2] = ["metadata", "annotations"];
/// The size of all annotations together, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// The conflicts that the annotation does not settle. None when there is no annotation, or none that can be used.
pub(super) fn left_over(live: &Object, conflicts: &[Conflict]) -> Option<Vec<Conflict>> {
    let text = live.annotation(ANNOTATION).filter(|text| !text.is_empty())?;
    let applied = codec::decode_free(text.as_bytes()).ok()?;
    if applied.child("apiVersion").and_then(Value::as_str) != Some(&live.gvk().api_version()) {
        return None;
    }
    check_config(live.ty(), &applied).ok()?;
    let (ty, node) = (TypeRef::root(live.ty()), Node::of(&applied, None));
    let changed = compare(ty, node, Node::Struct(live.root())).ok()?;
    let allowed = super::extract::field_set(ty, node)
        .ok()?
        .difference(&changed.modified)
        .difference(&changed.added)
        .difference(&changed.removed);
    let mut paths = std::collections::HashSet::new();
    allowed.each_path(&mut |path| {
        paths.insert(path_text(path));
    });
    Some(conflicts.iter().filter(|conflict| !paths.contains(&conflict.path)).cloned().collect())
}

/// Writes what was applied into the annotation, where there is one.
pub(super) fn follow(object: &mut Object, config: &Value) {
    if object.annotation(ANNOTATION).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(Value::Map(annotations)) = config.at_mut(&ANNOTATIONS) {
        annotations.remove(ANNOTATION);
    }
    let mut json = Vec::new();
    codec::encode_free(&config, &mut json);
    json.push(b'\n');
    object.set_annotation(ANNOTATION, &String::from_utf8_lossy(&json));
    let size: usize = object.annotations().map(|(key, value)| key.len() + value.len()).sum();
    if size > ANNOTATIONS_MAX {
        object.remove(&[ANNOTATIONS[0], ANNOTATIONS[1], ANNOTATION]);
    }
}
