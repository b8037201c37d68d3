//! How ownership moves: what changes is owned by who changed it, what is applied by who applied it, and what an applier
//! no longer names goes when nobody else has it.
//!
//! In: a live object, a changed one or a configuration, and the managers. Out: the managers after it, and the merged
//! object.

use std::{borrow::Cow, fmt};

use super::{
    check::check,
    compare::{Comparison, compare},
    extract::field_set,
    managers::{Manager, Operation},
    merge::merge,
    node::Node,
    remove::remove,
    schema_change::{reconciled, with_named_fields},
    set::{Set, path_text},
    type_ref::TypeRef,
};
use crate::api::schema::{Object, Type, Value, codec};

/// Which changes an endpoint drops: nobody comes to own what is at and below these paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset(pub &'static [&'static [&'static str]]);

impl Reset {
    pub const NOTHING: Reset = Reset(&[]);

    pub(super) fn filter<'a>(self, set: Set<'a>) -> Set<'a> {
        self.0.iter().fold(set, |set, path| set.recursive_difference(&Set::of_path(path)))
    }
}

/// An object in one version: as the schema guides it, or merged and not yet read back.
#[derive(Clone)]
pub(super) enum Tree<'t> {
    Object(Cow<'t, Object>),
    Free(Type, Value),
}

impl<'t> Tree<'t> {
    pub(super) fn of(object: &'t Object) -> Tree<'t> {
        Tree::Object(Cow::Borrowed(object))
    }

    fn kind(&self) -> &Type {
        match self {
            Tree::Object(object) => object.ty(),
            Tree::Free(kind, _) => kind,
        }
    }

    pub(super) fn view(&self) -> (TypeRef<'_>, Node<'_>) {
        match self {
            Tree::Object(object) => (TypeRef::root(object.ty()), Node::Struct(object.root())),
            Tree::Free(kind, value) => (TypeRef::root(kind), Node::of(value, None)),
        }
    }

    pub(super) fn field_set(&self) -> Result<Set<'_>, String> {
        let (ty, node) = self.view();
        field_set(ty, node)
    }

    fn named(&self, set: &Set<'_>) -> Set<'static> {
        with_named_fields(self.view().0, set).into_owned()
    }

    fn without(&self, set: &Set<'_>) -> Tree<'static> {
        let (ty, node) = self.view();
        Tree::Free(self.kind().clone(), remove(ty, node, set))
    }
}

/// What changed from one tree to another of the same version.
pub(super) fn changes<'a>(old: &'a Tree<'_>, new: &'a Tree<'_>) -> Result<Comparison<'a>, String> {
    let (ty, old) = old.view();
    compare(ty, old, new.view().1)
}

/// The versions of a kind.
pub trait Versions {
    /// Whether objects of the kind can be had in a version.
    fn serves(&self, object: &Object, api_version: &str) -> bool;
    /// The object in another version. None when there is no such version, or no longer: what its managers own is
    /// nobody's then. An error refuses the whole.
    fn convert(&self, object: &Object, api_version: &str) -> Result<Option<Object>, String>;
}

/// One path that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// As messages name the other manager.
    pub manager: String,
    pub path: String,
}

/// Why a configuration is not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError {
    Conflicts(Vec<Conflict>),
    /// The client's mistake.
    BadRequest(String),
    /// What the real server calls its own fault, although it mostly is the client's.
    Failed(String),
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::Conflicts(conflicts) => f.write_str(&conflict_text(conflicts)),
            ApplyError::BadRequest(text) | ApplyError::Failed(text) => f.write_str(text),
        }
    }
}

/// The message of a refusal; conflicts come grouped by manager.
pub fn conflict_text(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", one.manager, one.path);
    }
    let mut lines = Vec::new();
    for group in conflicts.chunk_by(|a, b| a.manager == b.manager) {
        lines.push(format!("conflicts with {}:", group[0].manager));
        lines.extend(group.iter().map(|conflict| format!("- {}", conflict.path)));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// The comparisons of the old and the new object, one for each version that a manager uses.
pub(super) struct Changes<'a> {
    pub(super) own: Comparison<'a>,
    own_version: &'a str,
    /// None: the version is not served.
    others: Vec<(&'a str, Option<Comparison<'a>>)>,
}

/// Old and new objects in the versions of managers who use another than the request.
pub(super) struct Converted<'t> {
    pairs: Vec<(String, Option<(Tree<'t>, Tree<'t>)>)>,
}

impl<'t> Converted<'t> {
    pub(super) fn new(
        versions: &dyn Versions,
        own_version: &str,
        managers: &[Manager<'_>],
        old: &Tree<'t>,
        new: &Tree<'t>,
    ) -> Result<Converted<'t>, String> {
        let mut pairs: Vec<(String, Option<(Tree<'t>, Tree<'t>)>)> = Vec::new();
        for manager in managers {
            let wanted = manager.api_version.as_ref();
            if wanted == own_version || pairs.iter().any(|(version, _)| version == wanted) {
                continue;
            }
            let pair = convert(versions, old, wanted)?.zip(convert(versions, new, wanted)?);
            pairs.push((wanted.to_owned(), pair));
        }
        Ok(Converted { pairs })
    }

    /// Compares in every version; `own` was compared already.
    pub(super) fn compare<'a>(
        &'a self,
        own: Comparison<'a>,
        own_version: &'a str,
        reset: Reset,
    ) -> Result<Changes<'a>, String> {
        let mut others = Vec::with_capacity(self.pairs.len());
        for (version, pair) in &self.pairs {
            let compared = match pair {
                None => None,
                Some((old, new)) => Some(changes(old, new)?.map(|set| reset.filter(set))),
            };
            others.push((version.as_str(), compared));
        }
        Ok(Changes { own, own_version, others })
    }

    /// The live object's type in a version; None when it is not served.
    fn type_in<'a>(&'a self, version: &str, own: TypeRef<'a>) -> Option<TypeRef<'a>> {
        match self.pairs.iter().find(|(known, _)| known == version) {
            None => Some(own),
            Some((_, pair)) => pair.as_ref().map(|(old, _)| old.view().0),
        }
    }

    /// Sets as the schema of today wants them. Managers of versions that are gone keep theirs, and are dropped later.
    pub(super) fn reconcile(&self, managers: &mut [Manager<'_>], own: TypeRef<'_>) {
        for manager in managers {
            if let Some(ty) = self.type_in(&manager.api_version, own) {
                manager.set = reconciled(ty, std::mem::take(&mut manager.set));
            }
        }
    }
}

impl<'a> Changes<'a> {
    fn of(&self, version: &str) -> Option<&Comparison<'a>> {
        if version == self.own_version {
            return Some(&self.own);
        }
        self.others.iter().find(|(known, _)| *known == version)?.1.as_ref()
    }

    /// What others own and the change takes from them.
    fn conflicts(&self, managers: &[Manager<'_>], except: Option<usize>) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        let mut order: Vec<usize> = (0..managers.len()).filter(|at| Some(*at) != except).collect();
        order.sort_by(|a, b| managers[*a].title().cmp(&managers[*b].title()));
        for manager in order.into_iter().map(|at| &managers[at]) {
            let Some(changes) = self.of(&manager.api_version) else { continue };
            let title = manager.title();
            let taken = manager.set.intersection(&changes.modified).union(manager.set.intersection(&changes.added));
            taken.each_path(&mut |path| {
                conflicts.push(Conflict { manager: title.clone(), path: path_text(path) });
            });
        }
        conflicts
    }

    /// Takes what changed from all but one; managers who own nothing any more, or in a version that is gone, are
    /// dropped.
    pub(super) fn take(&self, managers: &mut Vec<Manager<'_>>, except: Option<usize>) {
        let mut at = 0;
        managers.retain_mut(|manager| {
            let is_other = Some(at) != except;
            at += 1;
            if is_other {
                let Some(changes) = self.of(&manager.api_version) else { return false };
                for lost in [&changes.modified, &changes.added, &changes.removed] {
                    if !lost.is_empty() && manager.set.intersects(lost) {
                        manager.set = manager.set.difference(lost);
                    }
                }
            }
            !manager.set.is_empty()
        });
    }
}

fn convert<'t>(versions: &dyn Versions, tree: &Tree<'t>, version: &str) -> Result<Option<Tree<'t>>, String> {
    if tree.kind().gvk.api_version() == version {
        return Ok(Some(tree.clone()));
    }
    let converted = match tree {
        Tree::Object(object) => versions.convert(object, version)?,
        Tree::Free(kind, value) => versions.convert(&read(kind, value)?, version)?,
    };
    Ok(converted.map(|object| Tree::Object(Cow::Owned(object))))
}

/// A merged tree as an object of its kind, without defaults.
pub(super) fn read(kind: &Type, tree: &Value) -> Result<Object, String> {
    codec::object_of_free(kind, tree).map(|decoded| decoded.object).map_err(|error| {
        format!("unable to convert unstructured object to {}, Kind={}: {error}", full_version(kind), kind.gvk.kind)
    })
}

/// "apps/v1"; "/v1" for the core group.
pub(super) fn full_version(kind: &Type) -> String {
    format!("{}/{}", kind.gvk.group, kind.gvk.version)
}

/// Merges a configuration into the live object on behalf of `applier`, a manager without set. None for the object: it
/// is as it was.
pub(super) fn apply<'a>(
    versions: &dyn Versions,
    live: &'a Tree<'_>,
    config: &'a Tree<'_>,
    managers: &mut Vec<Manager<'a>>,
    applier: Manager<'a>,
    reset: Reset,
    force: bool,
) -> Result<Option<Value>, ApplyError> {
    let failed = ApplyError::Failed;
    let own_version = live.kind().gvk.api_version();
    let (ty, live_node) = live.view();
    let merged = merge(ty, Some(live_node), Some(config.view().1))
        .map_err(|error| failed(format!("failed to merge config: {error}")))?;
    let merged = Tree::Free(live.kind().clone(), merged.unwrap_or(Value::Null));
    let converted = Converted::new(versions, &own_version, managers, live, &merged).map_err(failed)?;
    converted.reconcile(managers, ty);
    let set = config.field_set().map_err(|error| failed(format!("failed to get field set: {error}")))?;
    let mine = Manager { set: reset.filter(set), ..applier };
    let (last, at) = match managers.iter().position(|manager| manager.is(&mine)) {
        Some(at) => {
            let time = managers[at].time.clone();
            (Some(std::mem::replace(&mut managers[at], Manager { time, ..mine })), at)
        }
        None => {
            managers.push(mine);
            (None, managers.len() - 1)
        }
    };
    let pruned = match last {
        Some(last) if !last.set.is_empty() => prune(versions, &merged, managers, at, &last)
            .map_err(|error| failed(format!("failed to prune fields: {error}")))?,
        _ => merged,
    };
    let compared = changes(live, &pruned).map_err(|error| failed(format!("failed to compare objects: {error}")))?;
    let converted = Converted::new(versions, &own_version, managers, live, &pruned)
        .map_err(|error| failed(format!("failed to convert old object: {error}")))?;
    let changes = converted
        .compare(compared.map(|set| reset.filter(set)), &own_version, reset)
        .map_err(|error| failed(format!("failed to compare objects: {error}")))?;
    let conflicts = changes.conflicts(managers, Some(at));
    if !force && !conflicts.is_empty() {
        return Err(ApplyError::Conflicts(conflicts));
    }
    changes.take(managers, Some(at));
    if live_node.same(pruned.view().1) {
        return Ok(None);
    }
    match pruned {
        Tree::Free(_, value) => Ok(Some(value)),
        Tree::Object(object) => Ok(Some(Node::Struct(object.root()).to_value())),
    }
}

/// Removes what the applier named last time and does not name now, unless somebody else has it.
fn prune<'t>(
    versions: &dyn Versions,
    merged: &Tree<'t>,
    managers: &[Manager<'_>],
    applying: usize,
    last: &Manager<'_>,
) -> Result<Tree<'t>, String> {
    let Some(merged_then) = convert(versions, merged, &last.api_version)? else { return Ok(merged.clone()) };
    let pruned = merged_then.without(&merged_then.named(&last.set));
    let pruned = add_back_owned(versions, &merged_then, pruned, managers, &last.api_version)?;
    let pruned = add_back_dangling(versions, &merged_then, &pruned, last)?;
    let version = managers[applying].api_version.clone();
    Ok(convert(versions, &pruned, &version)?.unwrap_or(pruned))
}

fn add_back_owned<'t>(
    versions: &dyn Versions,
    merged: &Tree<'t>,
    pruned: Tree<'t>,
    managers: &[Manager<'_>],
    first: &str,
) -> Result<Tree<'t>, String> {
    let mut by_version: Vec<(Cow<'_, str>, Set<'_>)> = Vec::new();
    for manager in managers {
        match by_version.iter_mut().find(|(version, _)| *version == manager.api_version) {
            Some((_, set)) => *set = std::mem::take(set).union(manager.set.clone()),
            None => by_version.push((manager.api_version.clone(), manager.set.clone())),
        }
    }
    // The version that was pruned in comes first: others may need what it adds back to be converted.
    by_version.sort_by_key(|(version, _)| *version != first);
    let (mut merged, mut pruned) = (merged.clone(), pruned);
    for (version, owned) in by_version {
        let (Some(merged_there), Some(pruned_there)) =
            (convert(versions, &merged, &version)?, convert(versions, &pruned, &version)?)
        else {
            continue;
        };
        let kept = pruned_there.named(&pruned_there.field_set()?).union(merged_there.named(&owned));
        let lost = merged_there.named(&merged_there.field_set()?).difference(&kept);
        pruned = merged_there.without(&lost);
        merged = merged_there;
    }
    Ok(pruned)
}

/// Only what the applier had itself is lost: what nobody owns stays.
fn add_back_dangling<'t>(
    versions: &dyn Versions,
    merged: &Tree<'t>,
    pruned: &Tree<'t>,
    last: &Manager<'_>,
) -> Result<Tree<'t>, String> {
    let Some(pruned) = convert(versions, pruned, &last.api_version)? else { return Ok(merged.clone()) };
    let left = pruned.named(&pruned.field_set()?);
    let all = merged.named(&merged.field_set()?);
    Ok(merged.without(&all.difference(&left).intersection(&merged.named(&last.set))))
}

/// Whether a client's tree is of the form that the kind wants.
pub(super) fn check_config(kind: &Type, config: &Value) -> Result<(), String> {
    check(TypeRef::root(kind), Node::of(config, None))
}

/// Whether a tree is of the form that its kind wants, with the place of what is not.
pub(super) fn check_tree(tree: &Tree<'_>) -> Result<(), String> {
    let (ty, node) = tree.view();
    check(ty, node)
}

/// A manager that owns nothing yet.
pub(super) fn manager<'a>(
    name: &'a str,
    operation: Operation,
    api_version: Cow<'a, str>,
    subresource: &'a str,
) -> Manager<'a> {
    let name = if name.is_empty() { "unknown" } else { name };
    let (name, subresource) = (Cow::Borrowed(name), Cow::Borrowed(subresource));
    Manager { name, operation, api_version, subresource, time: None, set: Set::default() }
}
