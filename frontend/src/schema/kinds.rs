//! Which kinds there are: an immutable snapshot that can be extended into a new one.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::tables::{Gvk, Type};

/// A snapshot of all known kinds.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    kinds: HashMap<Gvk, Type>,
}

static BUILTIN: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let kinds = super::builtin::KINDS.iter().map(|kind| (kind.gvk.clone(), Type::Static(kind))).collect();
    Arc::new(Schema { kinds })
});

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
