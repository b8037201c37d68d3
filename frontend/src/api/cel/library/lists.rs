//! Functions of lists.

use std::cmp::Ordering;

use super::{
    super::{
        equal::{compare, is_equal},
        value::{EvalError, Evaluated, List, Val, fail, no_such_overload},
    },
    operators::{add, position},
    row::{Imp, Operand, Row, Shared, row},
};

pub(super) const ROWS: &[Row] = &[
    row("list_int_is_sorted_bool", "list(int)::isSorted() bool", is_sorted),
    row("list_uint_is_sorted_bool", "list(uint)::isSorted() bool", is_sorted),
    row("list_double_is_sorted_bool", "list(double)::isSorted() bool", is_sorted),
    row("list_bool_is_sorted_bool", "list(bool)::isSorted() bool", is_sorted),
    row("list_duration_is_sorted_bool", "list(duration)::isSorted() bool", is_sorted),
    row("list_timestamp_is_sorted_bool", "list(timestamp)::isSorted() bool", is_sorted),
    row("list_string_is_sorted_bool", "list(string)::isSorted() bool", is_sorted),
    row("list_bytes_is_sorted_bool", "list(bytes)::isSorted() bool", is_sorted),
    row("list_int_sum_int", "list(int)::sum() int", |args| sum(args, Val::Int(0))),
    row("list_uint_sum_uint", "list(uint)::sum() uint", |args| sum(args, Val::Uint(0))),
    row("list_double_sum_double", "list(double)::sum() double", |args| sum(args, Val::Double(0.0))),
    row("list_duration_sum_duration", "list(duration)::sum() duration", |args| sum(args, Val::Duration(0))),
    row("list_int_max_int", "list(int)::max() int", max),
    row("list_uint_max_uint", "list(uint)::max() uint", max),
    row("list_double_max_double", "list(double)::max() double", max),
    row("list_bool_max_bool", "list(bool)::max() bool", max),
    row("list_duration_max_duration", "list(duration)::max() duration", max),
    row("list_timestamp_max_timestamp", "list(timestamp)::max() timestamp", max),
    row("list_string_max_string", "list(string)::max() string", max),
    row("list_bytes_max_bytes", "list(bytes)::max() bytes", max),
    row("list_int_min_int", "list(int)::min() int", min),
    row("list_uint_min_uint", "list(uint)::min() uint", min),
    row("list_double_min_double", "list(double)::min() double", min),
    row("list_bool_min_bool", "list(bool)::min() bool", min),
    row("list_duration_min_duration", "list(duration)::min() duration", min),
    row("list_timestamp_min_timestamp", "list(timestamp)::min() timestamp", min),
    row("list_string_min_string", "list(string)::min() string", min),
    row("list_bytes_min_bytes", "list(bytes)::min() bytes", min),
    row("list_a_index_of_int", "list(A)::indexOf(A) int", index_of),
    row("list_a_last_index_of_int", "list(A)::lastIndexOf(A) int", last_index_of),
    row("list_slice", "list(T)::slice(int, int) list(T)", slice),
    row("list_flatten", "list(list(T))::flatten() list(T)", flatten),
    row("list_flatten_int", "list(dyn)::flatten(int) list(dyn)", flatten),
    Row("list_int_sort", "list(int)::sort() list(int)", Imp::Special),
    Row("list_uint_sort", "list(uint)::sort() list(uint)", Imp::Special),
    Row("list_double_sort", "list(double)::sort() list(double)", Imp::Special),
    Row("list_bool_sort", "list(bool)::sort() list(bool)", Imp::Special),
    Row("list_google.protobuf.Duration_sort", "list(duration)::sort() list(duration)", Imp::Special),
    Row("list_google.protobuf.Timestamp_sort", "list(timestamp)::sort() list(timestamp)", Imp::Special),
    Row("list_string_sort", "list(string)::sort() list(string)", Imp::Special),
    Row("list_bytes_sort", "list(bytes)::sort() list(bytes)", Imp::Special),
    Row("list_int_sortByAssociatedKeys", "list(T)::@sortByAssociatedKeys(list(int)) list(T)", Imp::Special),
    Row("list_uint_sortByAssociatedKeys", "list(T)::@sortByAssociatedKeys(list(uint)) list(T)", Imp::Special),
    Row("list_double_sortByAssociatedKeys", "list(T)::@sortByAssociatedKeys(list(double)) list(T)", Imp::Special),
    Row("list_bool_sortByAssociatedKeys", "list(T)::@sortByAssociatedKeys(list(bool)) list(T)", Imp::Special),
    Row(
        "list_google.protobuf.Duration_sortByAssociatedKeys",
        "list(T)::@sortByAssociatedKeys(list(duration)) list(T)",
        Imp::Special,
    ),
    Row(
        "list_google.protobuf.Timestamp_sortByAssociatedKeys",
        "list(T)::@sortByAssociatedKeys(list(timestamp)) list(T)",
        Imp::Special,
    ),
    Row("list_string_sortByAssociatedKeys", "list(T)::@sortByAssociatedKeys(list(string)) list(T)", Imp::Special),
    Row("list_bytes_sortByAssociatedKeys", "list(T)::@sortByAssociatedKeys(list(bytes)) list(T)", Imp::Special),
    row("lists_range", "lists.range(int) list(int)", range),
    row("list_reverse", "list(T)::reverse() list(T)", reverse),
    row("list_distinct", "list(T)::distinct() list(T)", distinct),
];

pub(super) const SHARED: &[Shared] = &[
    Shared { function: "sort", operand: Some(Operand::Listed), imp: Imp::Plain(sort) },
    Shared { function: "@sortByAssociatedKeys", operand: Some(Operand::Listed), imp: Imp::Plain(sort_by) },
];

fn list<'v, 'a>(args: &'v [Val<'a>]) -> Result<&'v List<'a>, EvalError> {
    match args.first() {
        Some(Val::List(list)) => Ok(list),
        _ => no_such_overload(),
    }
}

fn is_sorted<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let items = list(args)?.to_vec()?;
    if !items.iter().all(|item| Operand::Compared.fits(item)) {
        return no_such_overload();
    }
    let falls = items.windows(2).any(|pair| matches!(compare(&pair[0], &pair[1]), Ok(Ordering::Greater)));
    Ok(Val::Bool(!falls))
}

fn sum<'a>(args: &[Val<'a>], zero: Val<'a>) -> Evaluated<'a> {
    list(args)?.iter().try_fold(zero, |sum, item| add(&[sum, item?]))
}

fn best<'a>(args: &[Val<'a>], name: &str, better: Ordering) -> Evaluated<'a> {
    let mut best: Option<Val<'a>> = None;
    for item in list(args)?.iter() {
        let item = item?;
        if !Operand::Compared.fits(&item) {
            return no_such_overload();
        }
        best = Some(match best {
            Some(best) if compare(&item, &best) != Ok(better) => best,
            _ => item,
        });
    }
    best.map_or_else(|| fail(format!("{name} called on empty list")), Ok)
}

fn max<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    best(args, "max", Ordering::Greater)
}

fn min<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    best(args, "min", Ordering::Less)
}

fn places<'a>(args: &[Val<'a>]) -> Result<Vec<i64>, EvalError> {
    let Some(wanted) = args.get(1) else { return no_such_overload() };
    let mut places = Vec::new();
    for (at, item) in list(args)?.iter().enumerate() {
        if is_equal(&item?, wanted)? {
            places.push(at as i64);
        }
    }
    Ok(places)
}

fn index_of<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    Ok(Val::Int(places(args)?.first().copied().unwrap_or(-1)))
}

fn last_index_of<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    Ok(Val::Int(places(args)?.last().copied().unwrap_or(-1)))
}

fn slice<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::List(list), Val::Int(start), Val::Int(end)] = args else { return no_such_overload() };
    let refuse = |why: String| fail(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return refuse("negative indexes not supported".to_owned());
    };
    if from > to {
        return refuse("start index must be less than or equal to end index".to_owned());
    }
    if to > list.len() {
        return refuse(format!("list is length {}", list.len()));
    }
    let items: Result<Vec<Val<'a>>, EvalError> = list.iter().skip(from).take(to - from).collect();
    Ok(Val::from(items?))
}

fn flatten<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let depth = match args {
        [Val::List(_)] => 1,
        [Val::List(_), Val::Int(depth)] => *depth,
        [other] => return fail(format!("no such overload: {}.flatten()", other.type_name())),
        [other, depth] => {
            return fail(format!("no such overload: {}.flatten({})", other.type_name(), depth.type_name()));
        }
        _ => return no_such_overload(),
    };
    if depth < 0 {
        return fail("level must be non-negative");
    }
    let mut out = Vec::new();
    flatten_into(list(args)?, depth, &mut out)?;
    Ok(Val::from(out))
}

fn flatten_into<'a>(list: &List<'a>, depth: i64, out: &mut Vec<Val<'a>>) -> Result<(), EvalError> {
    for item in list.iter() {
        match item? {
            Val::List(inner) if depth > 0 => flatten_into(&inner, depth - 1, out)?,
            other => out.push(other),
        }
    }
    Ok(())
}

fn sort<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let items = list(args)?.to_vec()?;
    sorted(items.clone(), items)
}

fn sort_by<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::List(list), Val::List(keys)] => sorted(list.to_vec()?, keys.to_vec()?),
        _ => no_such_overload(),
    }
}

fn sorted<'a>(items: Vec<Val<'a>>, keys: Vec<Val<'a>>) -> Evaluated<'a> {
    if items.len() != keys.len() {
        let (items, keys) = (items.len(), keys.len());
        return fail(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {items} and {keys} elements respectively"
        ));
    }
    let Some(first) = keys.first() else { return Ok(Val::from(items)) };
    if !Operand::Compared.fits(first) {
        return fail("list elements must be comparable");
    }
    if keys.iter().any(|key| key.type_name() != first.type_name()) {
        return fail("list elements must have the same type");
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| compare(&keys[*a], &keys[*b]).unwrap_or(Ordering::Equal));
    Ok(Val::from(order.into_iter().map(|at| items[at].clone()).collect::<Vec<_>>()))
}

/// A longer list would cost more than any expression may.
const RANGE_MAX: i64 = 1_000_000;

fn range<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(end)] if *end > RANGE_MAX => Err(EvalError::CostLimit),
        [Val::Int(end)] => Ok(Val::from((0..*end).map(Val::Int).collect::<Vec<_>>())),
        _ => no_such_overload(),
    }
}

fn reverse<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let mut items = list(args)?.to_vec()?;
    items.reverse();
    Ok(Val::from(items))
}

fn distinct<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let mut unique: Vec<Val<'a>> = Vec::new();
    for item in list(args)?.iter() {
        let item = item?;
        if position(&unique, |known| is_equal(&item, known))?.is_none() {
            unique.push(item);
        }
    }
    Ok(Val::from(unique))
}
