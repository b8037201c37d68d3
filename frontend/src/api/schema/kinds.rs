//! Which kinds there are: an immutable snapshot that can be extended into a new one.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use super::tables::{Gvk, Type};

/// A snapshot of all known kinds.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    kinds: HashMap<Gvk, Type>,
}

static BUILTIN: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let kinds = builtin_kinds().map(|kind| (kind.gvk.clone(), kind)).collect();
    Arc::new(Schema { kinds })
});

/// Kinds of meta/v1 that every group version has as its own.
const IN_EVERY_VERSION: [&str; 7] =
    ["CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "WatchEvent"];
/// Kinds of meta/v1 that the core group has as its own.
const IN_CORE: [&str; 5] = ["APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"];
const META_GROUP: &str = "meta.k8s.io";

fn builtin_kinds() -> impl Iterator<Item = Type> {
    let meta =
        |name: &str| super::builtin::KINDS.iter().find(|kind| kind.gvk.group == META_GROUP && kind.gvk.kind == name);
    let versions: HashSet<_> =
        super::builtin::KINDS.iter().map(|kind| (kind.gvk.group.clone(), kind.gvk.version.clone())).collect();
    let everywhere = versions.into_iter().flat_map(move |(group, version)| {
        let in_core = if group.is_empty() { IN_CORE.as_slice() } else { &[] };
        IN_EVERY_VERSION.iter().chain(in_core).filter_map(move |name| {
            let kind = meta(name)?;
            let gvk = Gvk { group: group.clone(), version: version.clone(), kind: kind.gvk.kind.clone() };
            Some(Type::shared(gvk, kind.root.clone(), None))
        })
    });
    everywhere.chain(super::builtin::KINDS.iter().map(Type::Static))
}

impl Schema {
    /// The kinds that Kubernetes 1.35 itself has.
    pub fn builtin() -> Arc<Schema> {
        BUILTIN.clone()
    }

    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<Type> {
        self.of(&Gvk::new(group, version, kind))
    }

    pub fn of(&self, gvk: &Gvk) -> Option<Type> {
        self.kinds.get(gvk).cloned()
    }

    pub fn kinds(&self) -> impl Iterator<Item = &Type> {
        self.kinds.values()
    }

    /// A snapshot with more kinds; a kind already there is replaced.
    pub fn with_kinds(&self, more: impl IntoIterator<Item = Type>) -> Schema {
        let mut kinds = self.kinds.clone();
        kinds.extend(more.into_iter().map(|kind| (kind.gvk.clone(), kind)));
        Schema { kinds }
    }
}
