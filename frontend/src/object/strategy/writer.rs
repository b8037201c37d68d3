//! What the functions of strategies are given, and their shape.

use crate::{api::schema::Object, request::User};

/// Who writes, and when.
pub struct Writer<'a> {
    pub user: &'a User,
    /// As objects show times.
    pub now: String,
}

/// Completes a new object.
pub(super) type New = fn(&mut Object, &Writer);
/// Completes a changed object, given what it replaces.
pub(super) type Changed = fn(&mut Object, &Object, &Writer);
