//! A row of the table of orders, and the position of a field in it.

use crate::request::status::FieldErrorKind;

/// How one struct is looked at. `at` is named as a rule's.
pub(in super::super) struct Order {
    pub(super) at: &'static str,
    /// Paths below the struct; the longest that fits counts. "" is the struct itself, `field=` the field without what
    /// is below it, `field!` its duplicates, "*" what no other path fits.
    pub(super) fields: &'static [&'static str],
    /// What the struct's own rules say of these comes after what the rules of inner structs say of the same field.
    pub(super) late: &'static [&'static str],
}

impl Order {
    pub(super) fn rank(&self, field: &str, kind: FieldErrorKind) -> usize {
        let fits = |entry: &str| match (entry.strip_suffix('='), entry.strip_suffix('!')) {
            (Some(exact), _) => field == exact,
            (_, Some(exact)) => field == exact && kind == FieldErrorKind::Duplicate,
            _ if entry.is_empty() => field.is_empty(),
            _ => entry == "*" || is_at_or_below(field, entry),
        };
        let length = |entry: &str| if entry == "*" { 0 } else { entry.len() + 1 };
        let fitting = self.fields.iter().enumerate().filter(|(_, entry)| fits(entry));
        fitting.max_by_key(|(_, entry)| length(entry)).map_or(self.fields.len(), |(at, _)| at)
    }
}

pub(super) fn is_at_or_below(field: &str, path: &str) -> bool {
    field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
