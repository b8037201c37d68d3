//! What an update does not hold against a definition.

use crate::api::schema::Object;

/// What an update lets be, because the definition was so before.
#[derive(Clone, Copy, Default)]
pub(super) struct Leniency<'d> {
    /// What is replaced.
    pub(super) before: Option<&'d Object>,
    pub(super) schemas_may_be_absent: bool,
    pub(super) schemas_may_be_unstructured: bool,
    pub(super) defaults_may_be_unpruned: bool,
    pub(super) sets_may_hold_maps: bool,
    pub(super) keys_may_be_loose: bool,
    pub(super) types_may_be_unknown: bool,
    pub(super) review_versions_may_be_unknown: bool,
}
