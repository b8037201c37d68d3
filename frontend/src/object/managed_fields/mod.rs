//! Who owns which field of an object, and server-side apply.
//!
//! In: the object that is stored, the one that is to be stored (or the configuration that a client applies), and who
//! asks. Out: the entries of metadata.managedFields, and for an apply the merged object, or the conflicts that refuse
//! it. Pure functions over the tables of the schema and trees: no clock, no store, no HTTP.
//!
//! A type is what the schema says of a value ([`type_ref`]), a node is a value as JSON shows it ([`node`]), a set
//! ([`Set`]) holds paths. [`extract`], [`compare`], [`merge`] and [`remove`] walk places and nodes; [`updater`] moves
//! ownership between managers.

mod cap;
mod check;
mod compare;
mod element;
mod extract;
mod json;
mod json_text;
mod last_applied;
mod managers;
mod merge;
mod node;
mod remove;
mod scale;
mod schema_change;
mod set;
mod times;
mod type_ref;
mod updater;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use compare::Comparison;
pub use managers::PATH;
pub use scale::{ReplicasPath, entries_of_parent, entries_of_scale};
pub use set::Set;
pub use times::keep_times;
pub use updater::{ApplyError, Conflict, Reset, Versions, conflict_text};

use managers::{Manager, Operation};
use updater::{Converted, Tree};

use crate::api::schema::{Object, Struct, StructRef, Type, Value, apply_defaults};

/// Owns what an object had before anybody applied anything to it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Metadata that nobody owns.
const NEVER_OWNED: [&[&str]; 12] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Who writes, through which endpoint, and when.
#[derive(Clone, Copy)]
pub struct FieldManager<'a> {
    /// "" is written as "unknown".
    pub name: &'a str,
    pub subresource: &'a str,
    /// As metadata writes times.
    pub now: &'a str,
    /// What the endpoint does not change, whatever is sent.
    pub reset: Reset,
    pub versions: &'a dyn Versions,
}

impl FieldManager<'_> {
    /// Gives `new` the entries that it has after this write. Without a live object it is a create.
    ///
    /// Should an object not be of the form that its schema promises, it is left without entries, as in the real server.
    pub fn update(&self, live: Option<&Object>, new: &mut Object) {
        let sent = new.remove(&PATH);
        if let Ok(Some(entries)) = self.updated(live, new, sent.as_ref().and_then(Value::as_list)) {
            new.set(&PATH, entries);
        }
    }

    fn updated(&self, live: Option<&Object>, new: &Object, sent: Option<&[Value]>) -> Result<Option<Value>, String> {
        let kept = live.and_then(managers::entries);
        let source = self.source(kept, sent);
        if source.is_empty() && live.is_some() {
            // Nobody is tracked in an object that was written without entries.
            return Ok(None);
        }
        let zero;
        let old = match live {
            Some(live) => live,
            None => {
                zero = Object::new(new.ty());
                &zero
            }
        };
        let (old, new_tree) = (Tree::of(old), Tree::of(new));
        let changes = updater::changes(&old, &new_tree)?.map(|set| never_owned(self.reset.filter(set)));
        let is_kept = kept.is_some_and(|kept| std::ptr::eq(kept, source));
        if changes.is_same() && is_kept && self.serves_all(new, source) {
            return Ok(Some(Value::List(source.to_vec())));
        }
        let mut managers = managers::decode(source).unwrap_or_default();
        if managers.is_empty() && live.is_some() {
            return Ok(None);
        }
        let version = new.gvk().api_version();
        let own = changes.modified.clone().union(changes.added.clone());
        let converted = Converted::new(self.versions, &version, &managers, &old, &new_tree)?;
        converted.reconcile(&mut managers, old.view().0);
        converted.compare(changes, &version, self.reset)?.take(&mut managers, None);
        self.give(&mut managers, self.updater(self.name, new), own);
        cap::cap(&mut managers);
        Ok(managers::encode(managers, metadata_of(new.root()).ok_or("no metadata")?))
    }

    /// The entries that count: what the client sent, unless it sent none that can be read, or writes through a
    /// subresource.
    fn source<'e>(&self, kept: Option<&'e [Value]>, sent: Option<&'e [Value]>) -> &'e [Value] {
        let kept_or_none = kept.unwrap_or_default();
        match sent {
            _ if !self.subresource.is_empty() => kept_or_none,
            None => kept_or_none,
            Some(_) if managers::is_reset(sent) => &[],
            Some(sent) if sent == kept_or_none => kept_or_none,
            Some(sent) if managers::decode(sent).is_ok_and(|managers| !managers.is_empty()) => sent,
            Some(_) => kept_or_none,
        }
    }

    fn serves_all(&self, object: &Object, entries: &[Value]) -> bool {
        let own = object.gvk().api_version();
        entries.iter().all(|entry| {
            let version = entry.child("apiVersion").and_then(Value::as_str).unwrap_or("");
            version == own || self.versions.serves(object, version)
        })
    }

    fn updater<'m>(&self, name: &'m str, object: &Object) -> Manager<'m>
    where
        Self: 'm,
    {
        updater::manager(name, Operation::Update, object.gvk().api_version(), "")
    }

    /// Adds to what an updater owned before; who changed nothing owns nothing new.
    fn give<'m>(&self, managers: &mut Vec<Manager<'m>>, mut updater: Manager<'m>, own: Set<'m>) {
        if own.is_empty() {
            return;
        }
        updater.subresource = Cow::Owned(self.subresource.to_owned());
        updater.time = Some(Cow::Owned(self.now.to_owned()));
        match managers.iter_mut().find(|known| known.is(&updater)) {
            Some(known) => {
                known.set = std::mem::take(&mut known.set).union(own);
                known.time = updater.time;
            }
            None => managers.push(Manager { set: own, ..updater }),
        }
    }

    /// Applies a configuration, a free tree. Without a live object one is made of it.
    pub fn apply(&self, kind: &Type, live: Option<&Object>, config: &Value, force: bool) -> Result<Object, ApplyError> {
        check_identity(kind, config)?;
        let zero;
        let live_object = match live {
            Some(live) => live,
            None => {
                zero = Object::new(kind);
                &zero
            }
        };
        let applied = match self.merged(live_object, config, force) {
            Err(ApplyError::Conflicts(conflicts)) if self.name == last_applied::KUBECTL => {
                match last_applied::left_over(live_object, &conflicts) {
                    Some(left) if left.is_empty() => self.merged(live_object, config, true),
                    Some(left) => Err(ApplyError::Conflicts(left)),
                    None => Err(ApplyError::Conflicts(conflicts)),
                }
            }
            other => other,
        };
        let mut object = applied?;
        if self.name == last_applied::KUBECTL {
            last_applied::follow(&mut object, config);
        }
        Ok(object)
    }

    fn merged(&self, live: &Object, config: &Value, force: bool) -> Result<Object, ApplyError> {
        let failed = |what: &str, error: String| ApplyError::Failed(format!("{what}: {error}"));
        let kind = live.ty();
        let entries = managers::entries(live).unwrap_or_default();
        let mut managers =
            managers::decode(entries).map_err(|error| failed("failed to decode managed fields", error))?;
        let zero = Object::new(kind);
        let (zero, live_tree) = (Tree::of(&zero), Tree::of(live));
        if managers.is_empty() {
            let before = updater::changes(&zero, &live_tree)
                .map_err(|error| {
                    let told = updater::check_tree(&live_tree).err().unwrap_or(error);
                    let what = format!("failed to convert new object ({}) to smd typed", title_of(live));
                    failed("failed to create manager for existing fields", format!("{what}: {told}"))
                })?
                .map(|set| never_owned(self.reset.filter(set)));
            let own = before.modified.union(before.added);
            self.give(&mut managers, self.updater(BEFORE_FIRST_APPLY, live), own);
        }
        if !config.at(&PATH).is_none_or(|value| matches!(value, Value::Null)) {
            return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
        }
        updater::check_config(kind, config).map_err(|error| {
            failed(&format!("failed to create typed patch object ({})", title(config, kind)), error)
        })?;
        let version = kind.gvk.api_version();
        let config_tree = Tree::Free(kind.clone(), config.clone());
        let applier = updater::manager(self.name, Operation::Apply, version, self.subresource);
        let found =
            updater::apply(self.versions, &live_tree, &config_tree, &mut managers, applier.clone(), self.reset, force)?;
        if let Some(mine) = managers.iter_mut().find(|manager| manager.is(&applier)) {
            mine.set = never_owned(std::mem::take(&mut mine.set));
            if found.is_some() {
                mine.time = Some(Cow::Borrowed(self.now));
            }
        }
        managers.retain(|manager| !manager.set.is_empty());
        let mut object = match &found {
            Some(tree) => updater::read(kind, tree).map_err(|error| {
                failed(&format!("failed to convert new object ({}) to proper version", title(config, kind)), error)
            })?,
            None => live.clone(),
        };
        if found.is_some() {
            apply_defaults(&mut object);
        }
        let entries = metadata_of(live.root()).and_then(|metadata| managers::encode(managers, metadata));
        object.remove(&PATH);
        if let Some(entries) = entries {
            object.set(&PATH, entries);
        }
        Ok(object)
    }
}

/// The entries of an object, to be kept while something may change it in any way.
pub fn entries(object: &Object) -> Option<Value> {
    object.get(&PATH).cloned()
}

/// Puts entries back that were changed into something that cannot be read; says why it cannot.
pub fn restore_entries(object: &mut Object, before: Option<Value>) -> Option<String> {
    if object.get(&PATH) == before.as_ref() {
        return None;
    }
    let error = managers::error(object)?;
    object.remove(&PATH);
    if let Some(before) = before {
        object.set(&PATH, before);
    }
    Some(error)
}

fn metadata_of(root: &Struct) -> Option<&StructRef> {
    root.def().field("metadata")?.struct_ref()
}

fn never_owned(set: Set<'_>) -> Set<'_> {
    NEVER_OWNED.iter().fold(set, |set, path| set.without_path(path))
}

/// The configuration must be of the kind that the endpoint serves.
fn check_identity(kind: &Type, config: &Value) -> Result<(), ApplyError> {
    let text = |name: &str| config.child(name).and_then(Value::as_str).unwrap_or("");
    let (version, found_kind) = (text("apiVersion"), text("kind"));
    if version == kind.gvk.api_version() && found_kind == kind.gvk.kind {
        return Ok(());
    }
    let shown = match crate::api::schema::Gvk::split_api_version(version) {
        Some((group, version)) => {
            let group_version = if version.is_empty() { group.to_owned() } else { format!("{group}/{version}") };
            format!("{}, Kind={found_kind}", if group_version.is_empty() { "/" } else { &group_version })
        }
        None => "/, Kind=".to_owned(),
    };
    Err(ApplyError::BadRequest(format!("invalid object type: {shown}")))
}

fn title_of(object: &Object) -> String {
    let kind = object.ty();
    format!("{}/{}; {}, Kind={}", object.namespace(), object.name(), updater::full_version(kind), kind.gvk.kind)
}

/// `default/web; apps/v1, Kind=Deployment`
fn title(config: &Value, kind: &Type) -> String {
    let text = |name: &str| config.at(&["metadata", name]).and_then(Value::as_str).unwrap_or("");
    format!("{}/{}; {}, Kind={}", text("namespace"), text("name"), updater::full_version(kind), kind.gvk.kind)
}
