//! Bindings of roles: what they bind to stays.

use crate::{
    api::schema::Object,
    object::{
        equality::same,
        validation::{judge::Judge, place::Place},
    },
};

/// The value is printed with Go's names of its fields.
pub(super) fn binding<'t>(place: &Place<'_, 't>, _new: &'t Object, old: &'t Object, judge: &mut Judge<'t>) {
    if same(place.get("roleRef"), old.get(&["roleRef"])) {
        return;
    }
    let text = |field| {
        let value = place.at(&["roleRef", field]).and_then(|value| value.as_str());
        crate::request::status::go_quote(value.unwrap_or_default())
    };
    let printed = format!("{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}", text("apiGroup"), text("kind"), text("name"));
    judge.invalid_as(place, "roleRef", printed, "cannot change roleRef");
}
