//! Jobs: the template, and how many completions there are.

use super::IMMUTABLE;
use crate::{
    api::schema::{Object, Struct, Value},
    object::{
        equality::same,
        validation::{judge::Judge, place::Place, print::printed},
    },
};

pub(super) fn job<'t>(place: &Place<'_, 't>, _new: &'t Object, old: &'t Object, judge: &mut Judge<'t>) {
    completions(place, old, judge);
    template(place, old, judge);
}

/// Jobs with indexes may grow and shrink together with what runs at once.
fn completions<'t>(place: &Place<'_, 't>, old: &Object, judge: &mut Judge<'t>) {
    let (new, before) = (place.at(&["spec", "completions"]), old.get(&["spec", "completions"]));
    if same(new, before) {
        return;
    }
    let indexed = place.at(&["spec", "completionMode"]).and_then(Value::as_str) == Some("Indexed");
    if !indexed {
        return judge.invalid_value(place, "spec.completions", new, IMMUTABLE);
    }
    if new.is_some() && new != place.at(&["spec", "parallelism"]) {
        let detail = "can only be modified in tandem with spec.parallelism";
        judge.invalid_value(place, "spec.completions", new, detail);
    }
}

/// A job that was never started may still be told where its pods run.
fn template<'t>(place: &Place<'_, 't>, old: &Object, judge: &mut Judge<'t>) {
    let Some(new) = place.at(&["spec", "template"]) else { return };
    let Some(mut allowed) = old.get(&["spec", "template"]).cloned() else { return };
    let suspended = old.get_bool(&["spec", "suspend"]) == Some(true);
    let started = old.get(&["status", "startTime"]).is_some();
    if suspended && !started {
        let given = |path: &[&str]| new.at(path).cloned();
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
        judge.invalid_as(place, "spec.template", printed(Some(new)), IMMUTABLE);
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
