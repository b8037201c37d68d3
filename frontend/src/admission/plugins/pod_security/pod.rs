//! A pod as checks look at it, and what they find.

use crate::api::schema::Value;

/// A pod, or the template of one.
#[derive(Clone, Copy)]
pub(super) struct Pod<'a> {
    pub(super) metadata: Option<&'a Value>,
    pub(super) spec: &'a Value,
}

/// What a check finds: in a word, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) reason: &'static str,
    pub(super) detail: String,
}

pub(super) type Look = fn(Pod<'_>) -> Option<Violation>;

impl<'a> Pod<'a> {
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let map = self.metadata.and_then(|m| m.child("annotations")).and_then(Value::as_map);
        map.into_iter().flat_map(|map| map.iter()).filter_map(|(key, value)| Some((key, value.as_str()?)))
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.metadata?.child("annotations")?.child(key)?.as_str()
    }

    /// A check that Windows has no use for.
    pub(super) fn unless_windows(self, look: Look) -> Option<Violation> {
        let system = self.spec.at(&["os", "name"]).and_then(Value::as_str);
        if system == Some("windows") { None } else { look(self) }
    }

    /// A check that a user namespace of the pod's own makes unnecessary.
    pub(super) fn without_user_namespace(self, look: Look) -> Option<Violation> {
        let shares = self.spec.child("hostUsers").and_then(Value::as_bool);
        if shares == Some(false) { None } else { look(self) }
    }
}

/// `container "a"`, `containers "a", "b"`
pub(super) fn named(singular: &str, plural: &str, names: &[&str]) -> String {
    format!("{} {}", plural_of(singular, plural, names.len()), quoted(names))
}

pub(super) fn plural_of<'a>(singular: &'a str, plural: &'a str, count: usize) -> &'a str {
    if count == 1 { singular } else { plural }
}

/// `"a", "b"`
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
