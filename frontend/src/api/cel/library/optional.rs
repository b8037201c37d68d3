//! Optional values.

use super::{
    super::value::{Evaluated, Val, fail, no_such_overload},
    row::{Imp, Row, row},
};

pub(super) const ROWS: &[Row] = &[
    row("optional_of", "optional.of(V) optional(V)", of),
    row("optional_ofNonZeroValue", "optional.ofNonZeroValue(V) optional(V)", of_non_zero),
    row("optional_none", "optional.none() optional(V)", |_| Ok(Val::none())),
    row("optional_value", "optional(V)::value() V", value),
    row("optional_hasValue", "optional(V)::hasValue() bool", has_value),
    Row("optional_or_optional", "optional(V)::or(optional(V)) optional(V)", Imp::Special),
    Row("optional_orValue_value", "optional(V)::orValue(V) V", Imp::Special),
    Row("select_optional_field", "_?._(dyn, string) optional(V)", Imp::Special),
    Row("list_optindex_optional_int", "_[?_](list(V), int) optional(V)", Imp::Special),
    Row("optional_list_optindex_optional_int", "_[?_](optional(list(V)), int) optional(V)", Imp::Special),
    Row("map_optindex_optional_value", "_[?_](map(K, V), K) optional(V)", Imp::Special),
    Row("optional_map_optindex_optional_value", "_[?_](optional(map(K, V)), K) optional(V)", Imp::Special),
    Row("optional_list_index_int", "_[_](optional(list(V)), int) optional(V)", Imp::Special),
    Row("optional_map_index_value", "_[_](optional(map(K, V)), K) optional(V)", Imp::Special),
    row("list_last", "list(V)::last() optional(V)", |args| element(args, |length| length.checked_sub(1))),
    row("list_first", "list(V)::first() optional(V)", |args| element(args, |length| (length > 0).then_some(0))),
    row("optional_unwrap", "optional.unwrap(list(optional(V))) list(V)", unwrap),
    row("optional_unwrapOpt", "list(optional(V))::unwrapOpt() list(V)", unwrap),
];

fn of<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    args.first().map_or_else(no_such_overload, |value| Ok(Val::some(value.clone())))
}

fn of_non_zero<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [value] if value.is_zero() => Ok(Val::none()),
        _ => of(args),
    }
}

fn value<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Optional(Some(value))] => Ok((**value).clone()),
        [Val::Optional(None)] => fail("optional.none() dereference"),
        _ => no_such_overload(),
    }
}

fn has_value<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Optional(inner)] => Ok(Val::Bool(inner.is_some())),
        _ => no_such_overload(),
    }
}

fn element<'a>(args: &[Val<'a>], place: fn(usize) -> Option<usize>) -> Evaluated<'a> {
    let [Val::List(list)] = args else { return no_such_overload() };
    match place(list.len()).and_then(|at| list.get(at)) {
        Some(item) => Ok(Val::some(item?)),
        None => Ok(Val::none()),
    }
}

fn unwrap<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::List(list)] = args else { return no_such_overload() };
    let mut values = Vec::with_capacity(list.len());
    for item in list.iter() {
        match item? {
            Val::Optional(Some(value)) => values.push((*value).clone()),
            Val::Optional(None) => {}
            other => return fail(format!("value {} is not optional", other.shown())),
        }
    }
    Ok(Val::from(values))
}
