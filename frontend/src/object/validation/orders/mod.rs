//! The order of the real server's errors: struct by struct, the order in which it looks at the fields. Rules are
//! met struct by struct too, but a row's checks and functions need not follow that order; what they found is put in
//! order afterwards. In: errors about one struct and what is below it. Out: the same, ordered. Not here: rules.

mod order;
mod rows;

pub(super) use order::Order;

use self::order::is_at_or_below;
use crate::request::status::FieldError;

pub(super) fn find(name: &str) -> Option<&'static Order> {
    rows::ROWS.iter().find(|row| row.at == name)
}

/// Puts the errors about the struct at `path` in order. The first `own` of them are of its own rules.
pub(super) fn arrange(order: &Order, path: &str, own: usize, errors: &mut [FieldError]) {
    if errors.len() < 2 {
        return;
    }
    let keys: Vec<(usize, bool)> = errors
        .iter()
        .enumerate()
        .map(|(at, error)| {
            let field = error.field.strip_prefix(path).unwrap_or(&error.field).trim_start_matches('.');
            (order.rank(field, error.kind), at < own && order.late.iter().any(|late| is_at_or_below(field, late)))
        })
        .collect();
    let mut by_key: Vec<usize> = (0..errors.len()).collect();
    by_key.sort_by_key(|at| keys[*at]);
    let ordered: Vec<FieldError> = by_key.into_iter().map(|at| errors[at].clone()).collect();
    errors.clone_from_slice(&ordered);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_follow_the_order_of_their_struct() {
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
