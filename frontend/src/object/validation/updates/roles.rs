//! Bindings of roles: what they bind to stays.

use crate::{
    api::schema::Object,
    object::{
        equality::same,
        validation::{error_list::ErrorList, field_path::FieldPath},
    },
};

/// The value is printed with Go's names of its fields.
pub(super) fn binding<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    if same(path.get("roleRef"), old.get(&["roleRef"])) {
        return;
    }
    let text = |field| {
        let value = path.at(&["roleRef", field]).and_then(|value| value.as_str());
        crate::request::status::go_quote(value.unwrap_or_default())
    };
    let printed = format!("{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}", text("apiGroup"), text("kind"), text("name"));
    errors.invalid_as(path, "roleRef", printed, "cannot change roleRef");
}
