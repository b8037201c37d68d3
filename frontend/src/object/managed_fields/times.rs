//! A write that changes nothing but the time of an entry is none.

use super::managers::{self, PATH};
use crate::api::schema::{Object, Value};

/// Gives the entries their old times back, if there is nothing else that changed. `same_rest` is asked only when the
/// entries are equal but for times.
pub fn keep_times(new: &mut Object, old: &Object, same_rest: impl FnOnce(&Object, &Object) -> bool) {
    let (Some(before), Some(after)) = (managers::entries(old), managers::entries(new)) else { return };
    if before.is_empty() || before.len() != after.len() || before == after {
        return;
    }
    let equal = before.iter().zip(after).all(|(before, after)| same_but_time(before, after));
    if equal && same_rest(new, old) {
        let before = before.to_vec();
        new.set(&PATH, before);
    }
}

fn same_but_time(a: &Value, b: &Value) -> bool {
    let (Value::Struct(a), Value::Struct(b)) = (a, b) else { return a == b };
    let fields = a.def().fields.iter().zip(a.slots().iter().zip(b.slots()));
    fields.into_iter().all(|(field, (a, b))| field.name == "time" || a == b)
}
