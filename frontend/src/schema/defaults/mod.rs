//! What kube-apiserver fills in at every decode. Rows of data; the engine walks them. Not here: what a create or an
//! update strategy fills in (uid, cluster IPs).

use super::object::Object;

/// Fills in defaults in place.
pub fn apply_defaults(object: &mut Object) {
    let _ = object;
}
