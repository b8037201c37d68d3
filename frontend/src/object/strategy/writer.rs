//! What the functions of strategies are given, and their shape.

use crate::{
    api::schema::Object,
    request::{User, Warnings},
};

/// Who writes, and when.
pub struct Writer<'a> {
    pub user: &'a User,
    /// As objects show times.
    pub now: String,
    /// What the client is told of besides.
    pub warnings: &'a Warnings,
}

/// Completes a new object.
pub(super) type New = fn(&mut Object, &Writer);
/// Completes a changed object, given what it replaces.
pub(super) type Changed = fn(&mut Object, &Object, &Writer);
