//! The status that a definition should have: names that are accepted when nobody has them, and conditions.
//!
//! In: a definition, and the names that others of its group hold. Out: the definition with its next status; none when
//! there is nothing to do. Pure.

use std::collections::{HashMap, HashSet};

use super::step::set;
use crate::{
    api::{
        custom::is_true,
        schema::{Object, Value},
    },
    object::{
        strategy::definitions::Condition,
        validation::definitions::{approval, has_bad_authorities, is_protected_group, structural_violations},
    },
    request::status::go_quote,
};

/// The names that definitions hold, by group: those of resources, and those of kinds.
#[derive(Default)]
pub(super) struct Accepted(HashMap<String, (HashSet<String>, HashSet<String>)>);

fn texts<'a>(object: &'a Object, path: &[&str]) -> impl Iterator<Item = &'a str> {
    object.get_list(path).unwrap_or_default().iter().filter_map(Value::as_str)
}

fn name<'a>(object: &'a Object, of: &str, field: &str) -> &'a str {
    let at: &[&str] = if of == "spec" { &["spec", "names"] } else { &["status", "acceptedNames"] };
    object.get(at).and_then(|names| names.child(field)).and_then(Value::as_str).unwrap_or_default()
}

fn group(object: &Object) -> &str {
    object.get_str(&["spec", "group"]).unwrap_or_default()
}

impl Accepted {
    pub(super) fn add(&mut self, object: &Object) {
        let (resources, kinds) = self.0.entry(group(object).to_owned()).or_default();
        let held = ["plural", "singular"].map(|field| name(object, "status", field).to_owned());
        resources.extend(held);
        resources.extend(texts(object, &["status", "acceptedNames", "shortNames"]).map(str::to_owned));
        kinds.extend(["kind", "listKind"].map(|field| name(object, "status", field).to_owned()));
    }

    fn has_resource(&self, group: &str, name: &str) -> bool {
        self.0.get(group).is_some_and(|(resources, _)| resources.contains(name))
    }

    fn has_kind(&self, group: &str, name: &str) -> bool {
        self.0.get(group).is_some_and(|(_, kinds)| kinds.contains(name))
    }
}

/// The definition one step further, as far as that follows from itself.
pub(super) fn next_alone(object: &Object, now: &str) -> Option<Object> {
    with_structure(object, now).or_else(|| with_approval(object, now))
}

/// The definition one step further, by the names that others hold.
pub(super) fn next_by_names(object: &Object, accepted: &mut Accepted, now: &str) -> Option<Object> {
    let changed = accept_names(object, accepted, now).or_else(|| establish(object, now));
    if let Some(changed) = &changed {
        accepted.add(changed);
    }
    changed
}

/// Takes every requested name that is free, and says which are not.
fn accept_names(object: &Object, accepted: &Accepted, now: &str) -> Option<Object> {
    let (requested, held) = (object.get(&["spec", "names"])?, object.get(&["status", "acceptedNames"]));
    if held.is_some_and(|held| same_names(requested, held)) {
        return None;
    }
    let mut changed = object.clone();
    let mut conflict: Option<(&'static str, String)> = None;
    let group = group(object);
    let in_use = |name: &str| format!("{} is already in use", go_quote(name));
    let fields = [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("shortNames", "ShortNamesConflict"),
        ("kind", "KindConflict"),
        ("listKind", "ListKindConflict"),
    ];
    for (field, reason) in fields {
        if field == "shortNames" {
            let own: Vec<&str> = texts(object, &["status", "acceptedNames", "shortNames"]).collect();
            let wanted = texts(object, &["spec", "names", "shortNames"]).filter(|wanted| !own.contains(wanted));
            let mut taken: Vec<String> =
                wanted.filter(|wanted| accepted.has_resource(group, wanted)).map(in_use).collect();
            taken.dedup();
            match taken.as_slice() {
                [] => copy(&mut changed, requested, field),
                [one] => conflict = Some((reason, one.clone())),
                many => conflict = Some((reason, format!("[{}]", many.join(", ")))),
            }
            continue;
        }
        let (wanted, own) = (name(object, "spec", field), name(object, "status", field));
        let taken = match field {
            "kind" | "listKind" => accepted.has_kind(group, wanted),
            _ => accepted.has_resource(group, wanted),
        };
        if wanted != own && taken {
            conflict = Some((reason, in_use(wanted)));
        } else {
            copy(&mut changed, requested, field);
        }
    }
    copy(&mut changed, requested, "categories");
    let names = match &conflict {
        Some((reason, message)) => Condition::new("NamesAccepted", "False", reason, message.as_str()),
        None => Condition::new("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
    };
    let moved =
        !same_names(changed.get(&["status", "acceptedNames"]).unwrap_or(&Value::Null), held.unwrap_or(&Value::Null));
    if !moved && names.stands_in(object) {
        return None;
    }
    names.set_in(&mut changed, now);
    if !is_true(object, "Established") {
        let waiting = match conflict {
            None => Condition::new("Established", "False", "Installing", "the initial names have been accepted"),
            Some(_) => Condition::new("Established", "False", "NotAccepted", "not all names are accepted"),
        };
        waiting.set_in(&mut changed, now);
    }
    Some(changed)
}

fn copy(changed: &mut Object, requested: &Value, field: &str) {
    match requested.child(field) {
        Some(value) => drop(changed.set(&["status", "acceptedNames", field], value.clone())),
        None => drop(changed.remove(&["status", "acceptedNames", field])),
    }
}

/// Absent and empty are the same.
fn same_names(a: &Value, b: &Value) -> bool {
    let part = |value: &Value, field: &str| value.child(field).filter(|part| !part.is_zero()).cloned();
    ["plural", "singular", "shortNames", "kind", "listKind", "categories"]
        .iter()
        .all(|field| part(a, field) == part(b, field))
}

fn establish(object: &Object, now: &str) -> Option<Object> {
    if !is_true(object, "NamesAccepted") || is_true(object, "Established") {
        return None;
    }
    let established = match has_bad_authorities(object) {
        true => Condition::new("Established", "False", "InvalidCABundle", "The conversion webhook CABundle is invalid"),
        false => Condition::new("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    };
    (!established.stands_in(object)).then(|| set(object, &established, now))
}

/// Definitions that were stored before schemas had to be structural.
fn with_structure(object: &Object, now: &str) -> Option<Object> {
    let violations = structural_violations(object)?;
    let condition = Condition::new("NonStructuralSchema", "True", "Violations", violations);
    (!condition.stands_in(object)).then(|| set(object, &condition, now))
}

fn with_approval(object: &Object, now: &str) -> Option<Object> {
    if !is_protected_group(group(object)) {
        return None;
    }
    let (status, reason, message) = approval(object);
    let condition = Condition::new("KubernetesAPIApprovalPolicyConformant", status, reason, message);
    (!condition.stands_in(object)).then(|| set(object, &condition, now))
}
