//! What an update replaces.

use crate::api::schema::{Value, structural::Node};

/// The value that an update replaces, and the schema by which its parts are found again.
#[derive(Clone, Copy)]
pub(super) struct Before<'b> {
    pub(super) value: &'b Value,
    pub(super) node: &'b Node,
}

impl<'b> Before<'b> {
    /// The part of the old value that is the same member.
    pub(super) fn member(&self, name: &str) -> Option<Before<'b>> {
        Some(Before { value: self.value.child(name)?, node: self.node.member(name)? })
    }

    /// The part of the old value that is the same item: known in maps by key alone.
    pub(super) fn item(&self, item: &Value) -> Option<Before<'b>> {
        let node = self.node.items.as_deref()?;
        if self.node.merge.list_type != "map" {
            return None;
        }
        let keys = &self.node.merge.list_map_keys;
        let same = |other: &&Value| keys.iter().all(|key| key_of(node, other, key) == key_of(node, item, key));
        self.value.as_list()?.iter().find(same).map(|value| Before { value, node })
    }
}

fn key_of<'v>(node: &'v Node, item: &'v Value, key: &str) -> Option<&'v Value> {
    item.child(key).or_else(|| node.property(key)?.default.as_ref())
}
