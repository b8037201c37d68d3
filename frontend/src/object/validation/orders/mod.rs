//! In which order the real server complains: struct by struct, the order in which it looks at the fields. Rules are
//! met struct by struct too, but a row's checks and functions need not follow that order; what they found is put in
//! order afterwards. In: complaints about one struct and what is below it. Out: the same, ordered. Not here: rules.

mod rows;

use crate::request::status::FieldError;

/// How one struct is looked at. `at` is named as a rule's.
pub(super) struct Order {
    at: &'static str,
    /// Paths below the struct; the longest that fits counts. "" is the struct itself, `field=` the field without what
    /// is below it, "*" what no other path fits.
    fields: &'static [&'static str],
    /// What the struct's own rules say of these comes after what the rules of inner structs say of the same field.
    late: &'static [&'static str],
}

pub(super) fn find(name: &str) -> Option<&'static Order> {
    rows::ROWS.iter().find(|row| row.at == name)
}

/// Puts the complaints about the struct at `path` in order. The first `own` of them are of its own rules.
pub(super) fn arrange(order: &Order, path: &str, own: usize, errors: &mut [FieldError]) {
    if errors.len() < 2 {
        return;
    }
    let keys: Vec<(usize, bool)> = errors
        .iter()
        .enumerate()
        .map(|(at, error)| {
            let field = error.field.strip_prefix(path).unwrap_or(&error.field).trim_start_matches('.');
            (order.rank(field), at < own && order.late.iter().any(|late| is_at_or_below(field, late)))
        })
        .collect();
    let mut by_key: Vec<usize> = (0..errors.len()).collect();
    by_key.sort_by_key(|at| keys[*at]);
    let ordered: Vec<FieldError> = by_key.into_iter().map(|at| errors[at].clone()).collect();
    errors.clone_from_slice(&ordered);
}

impl Order {
    fn rank(&self, field: &str) -> usize {
        let fits = |entry: &str| match entry.strip_suffix('=') {
            Some(exact) => field == exact,
            None if entry.is_empty() => field.is_empty(),
            None => entry == "*" || is_at_or_below(field, entry),
        };
        let length = |entry: &str| if entry == "*" { 0 } else { entry.len() + 1 };
        let fitting = self.fields.iter().enumerate().filter(|(_, entry)| fits(entry));
        fitting.max_by_key(|(_, entry)| length(entry)).map_or(self.fields.len(), |(at, _)| at)
    }
}

fn is_at_or_below(field: &str, path: &str) -> bool {
    field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_follow_the_order_of_their_struct() {
        let order = Order { at: "", fields: &["values=", "", "*", "key", "values"], late: &["key"] };
        let error = |field: &str| FieldError::required(field, "");
        let mut errors = ["x[0].values[1]", "x[0].key", "x[0].key.in", "x[0].other", "x[0]", "x[0].values"].map(error);
        arrange(&order, "x[0]", 2, &mut errors);
        let fields: Vec<&str> = errors.iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["x[0].values", "x[0]", "x[0].other", "x[0].key.in", "x[0].key", "x[0].values[1]"]);
    }

    #[test]
    fn rows_are_unique() {
        for (at, row) in rows::ROWS.iter().enumerate() {
            assert!(rows::ROWS[..at].iter().all(|other| other.at != row.at), "{}", row.at);
        }
    }
}
