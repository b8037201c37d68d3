//! CustomResourceDefinitions: their conditions, the versions that objects are stored in, and the beginning of their
//! end.

use super::writer::Writer;
use crate::api::schema::{Object, Struct, Value};

/// Removed when no object of the definition is left.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// A condition of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub kind: &'static str,
    pub status: &'static str,
    pub reason: &'static str,
    pub message: String,
}

impl Condition {
    pub fn new(
        kind: &'static str,
        status: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Condition {
        Condition { kind, status, reason, message: message.into() }
    }

    /// Whether the object says so already.
    pub fn stands_in(&self, object: &Object) -> bool {
        find(object, self.kind).is_some_and(|(_, own)| {
            let text = |name: &str| own.child(name).and_then(Value::as_str).unwrap_or_default();
            (text("status"), text("reason"), text("message")) == (self.status, self.reason, &*self.message)
        })
    }

    /// Writes the condition into an object's status; its time moves with its status alone.
    pub fn set_in(&self, object: &mut Object, now: &str) {
        let mut conditions = object.get_list(&["status", "conditions"]).unwrap_or_default().to_vec();
        let old = find(object, self.kind).map(|(at, _)| at);
        let Some(mut condition) = old.and_then(|at| conditions[at].as_struct().cloned()).or_else(|| empty(object))
        else {
            return;
        };
        let since = condition.get("lastTransitionTime").and_then(Value::as_str).unwrap_or_default();
        if since.is_empty() || condition.get("status").and_then(Value::as_str) != Some(self.status) {
            condition.set("lastTransitionTime", now);
        }
        condition.set("type", self.kind);
        condition.set("status", self.status);
        condition.set("reason", self.reason);
        condition.set("message", self.message.as_str());
        match old {
            Some(at) => conditions[at] = Value::Struct(condition),
            None => conditions.push(Value::Struct(condition)),
        }
        object.set(&["status", "conditions"], Value::List(conditions));
    }
}

fn find<'a>(object: &'a Object, kind: &str) -> Option<(usize, &'a Value)> {
    let conditions = object.get_list(&["status", "conditions"]).unwrap_or_default();
    conditions.iter().enumerate().find(|(_, each)| each.child("type").and_then(Value::as_str) == Some(kind))
}

fn empty(object: &Object) -> Option<Struct> {
    let status = object.root().def().field("status")?.struct_ref()?.clone();
    status.field("conditions")?.struct_ref().map(Struct::new)
}

pub(super) fn first(object: &mut Object, _: &Writer) {
    note_stored_version(object);
}

pub(super) fn counted(object: &mut Object, _: &Object, _: &Writer) {
    note_stored_version(object);
}

/// The storage version is one that objects may be stored in from now on.
fn note_stored_version(object: &mut Object) {
    let versions = object.get_list(&["spec", "versions"]).unwrap_or_default();
    let storage = versions.iter().find(|version| version.child("storage").and_then(Value::as_bool) == Some(true));
    let Some(name) = storage.and_then(|version| version.child("name")).cloned() else { return };
    let mut stored = object.get_list(&["status", "storedVersions"]).unwrap_or_default().to_vec();
    if !stored.contains(&name) {
        stored.push(name);
        object.set(&["status", "storedVersions"], Value::List(stored));
    }
}

/// A definition whose deletion was asked for the first time: its objects go before it does.
pub(super) fn begin_end(object: &Object, now: &str) -> Option<Object> {
    if object.deletion_timestamp().is_some() {
        return None;
    }
    let mut kept = object.clone();
    kept.set_deletion_timestamp(Some(now));
    let mut finalizers: Vec<String> = object.finalizers().map(str::to_owned).collect();
    if !finalizers.iter().any(|finalizer| finalizer == CLEANUP) {
        finalizers.push(CLEANUP.to_owned());
        kept.set_finalizers(finalizers.iter().map(String::as_str));
    }
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    Condition::new("Terminating", "True", "InstanceDeletionPending", message).set_in(&mut kept, now);
    Some(kept)
}
