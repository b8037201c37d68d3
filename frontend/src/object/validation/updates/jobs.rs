//! Jobs: the template, and how many completions there are.

use super::IMMUTABLE;
use crate::{
    api::schema::{Object, Struct, Value},
    object::{
        equality::same,
        validation::{error_list::ErrorList, field_path::FieldPath, print::printed},
    },
};

pub(super) fn job<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    completions(path, old, errors);
    template(path, old, errors);
}

/// Jobs with indexes may grow and shrink together with what runs at once.
fn completions<'t>(path: &FieldPath<'_, 't>, old: &Object, errors: &mut ErrorList<'t>) {
    let (new, before) = (path.at(&["spec", "completions"]), old.get(&["spec", "completions"]));
    if same(new, before) {
        return;
    }
    let indexed = path.at(&["spec", "completionMode"]).and_then(Value::as_str) == Some("Indexed");
    if !indexed {
        return errors.invalid_value(path, "spec.completions", new, IMMUTABLE);
    }
    if new.is_some() && new != path.at(&["spec", "parallelism"]) {
        let detail = "can only be modified in tandem with spec.parallelism";
        errors.invalid_value(path, "spec.completions", new, detail);
    }
}

/// A job that was never started may still be told where its pods run.
fn template<'t>(path: &FieldPath<'_, 't>, old: &Object, errors: &mut ErrorList<'t>) {
    let Some(new) = path.at(&["spec", "template"]) else { return };
    let Some(mut allowed) = old.get(&["spec", "template"]).cloned() else { return };
    let suspended = old.get_bool(&["spec", "suspend"]) == Some(true);
    let started = old.get(&["status", "startTime"]).is_some();
    if suspended && !started {
        let given = |keys: &[&str]| new.at(keys).cloned();
        if let Some(fields) = allowed.as_struct_mut() {
            for name in ["labels", "annotations"] {
                put(fields, &["metadata", name], given(&["metadata", name]));
            }
            for name in ["nodeSelector", "tolerations", "schedulingGates"] {
                put(fields, &["spec", name], given(&["spec", name]));
            }
            put(fields, &["spec", "affinity", "nodeAffinity"], given(&["spec", "affinity", "nodeAffinity"]));
        }
    }
    if !same(Some(new), Some(&allowed)) {
        errors.invalid_as(path, "spec.template", printed(Some(new)), IMMUTABLE);
    }
}

fn put(fields: &mut Struct, path: &[&str], value: Option<Value>) {
    match value {
        Some(value) => drop(crate::api::schema::object::set_in_struct(fields, path, value)),
        None => {
            let (last, parents) = (path[path.len() - 1], &path[..path.len() - 1]);
            let mut at = fields.get_mut(parents[0]);
            for name in &parents[1..] {
                at = at.and_then(|value| value.child_mut(name));
            }
            if let Some(parent) = at.and_then(Value::as_struct_mut) {
                parent.remove(last);
            }
        }
    }
}
