//! Operators and what they have in common for all types: arithmetic with its overflows, order, membership, size.

use std::{cmp::Ordering, sync::Arc};

use super::{
    super::{
        decl::ListKind,
        equal::{compare, is_equal, same_keys},
        timestamp::Timestamp,
        value::{EvalError, Evaluated, List, Map, Val, fail, no_such_overload},
    },
    row::{Imp, Operand, Row, Shared},
};
use crate::api::schema::scalar::pattern::Regex;

const fn special(id: &'static str, signature: &'static str) -> Row {
    Row(id, signature, Imp::Special)
}

pub(super) const ROWS: &[Row] = &[
    special("conditional", "_?_:_(bool, A, A) A"),
    special("logical_and", "_&&_(bool, bool) bool"),
    special("logical_or", "_||_(bool, bool) bool"),
    special("logical_not", "!_(bool) bool"),
    special("not_strictly_false", "@not_strictly_false(bool) bool"),
    special("equals", "_==_(A, A) bool"),
    special("not_equals", "_!=_(A, A) bool"),
    special("add_bytes", "_+_(bytes, bytes) bytes"),
    special("add_double", "_+_(double, double) double"),
    special("add_duration_duration", "_+_(duration, duration) duration"),
    special("add_duration_timestamp", "_+_(duration, timestamp) timestamp"),
    special("add_timestamp_duration", "_+_(timestamp, duration) timestamp"),
    special("add_int64", "_+_(int, int) int"),
    special("add_list", "_+_(list(A), list(A)) list(A)"),
    special("add_string", "_+_(string, string) string"),
    special("add_uint64", "_+_(uint, uint) uint"),
    special("divide_double", "_/_(double, double) double"),
    special("divide_int64", "_/_(int, int) int"),
    special("divide_uint64", "_/_(uint, uint) uint"),
    special("modulo_int64", "_%_(int, int) int"),
    special("modulo_uint64", "_%_(uint, uint) uint"),
    special("multiply_double", "_*_(double, double) double"),
    special("multiply_int64", "_*_(int, int) int"),
    special("multiply_uint64", "_*_(uint, uint) uint"),
    special("negate_double", "-_(double) double"),
    special("negate_int64", "-_(int) int"),
    special("subtract_double", "_-_(double, double) double"),
    special("subtract_duration_duration", "_-_(duration, duration) duration"),
    special("subtract_int64", "_-_(int, int) int"),
    special("subtract_timestamp_duration", "_-_(timestamp, duration) timestamp"),
    special("subtract_timestamp_timestamp", "_-_(timestamp, timestamp) duration"),
    special("subtract_uint64", "_-_(uint, uint) uint"),
    special("less_bool", "_<_(bool, bool) bool"),
    special("less_int64", "_<_(int, int) bool"),
    special("less_int64_double", "_<_(int, double) bool"),
    special("less_int64_uint64", "_<_(int, uint) bool"),
    special("less_uint64", "_<_(uint, uint) bool"),
    special("less_uint64_double", "_<_(uint, double) bool"),
    special("less_uint64_int64", "_<_(uint, int) bool"),
    special("less_double", "_<_(double, double) bool"),
    special("less_double_int64", "_<_(double, int) bool"),
    special("less_double_uint64", "_<_(double, uint) bool"),
    special("less_string", "_<_(string, string) bool"),
    special("less_bytes", "_<_(bytes, bytes) bool"),
    special("less_timestamp", "_<_(timestamp, timestamp) bool"),
    special("less_duration", "_<_(duration, duration) bool"),
    special("less_equals_bool", "_<=_(bool, bool) bool"),
    special("less_equals_int64", "_<=_(int, int) bool"),
    special("less_equals_int64_double", "_<=_(int, double) bool"),
    special("less_equals_int64_uint64", "_<=_(int, uint) bool"),
    special("less_equals_uint64", "_<=_(uint, uint) bool"),
    special("less_equals_uint64_double", "_<=_(uint, double) bool"),
    special("less_equals_uint64_int64", "_<=_(uint, int) bool"),
    special("less_equals_double", "_<=_(double, double) bool"),
    special("less_equals_double_int64", "_<=_(double, int) bool"),
    special("less_equals_double_uint64", "_<=_(double, uint) bool"),
    special("less_equals_string", "_<=_(string, string) bool"),
    special("less_equals_bytes", "_<=_(bytes, bytes) bool"),
    special("less_equals_timestamp", "_<=_(timestamp, timestamp) bool"),
    special("less_equals_duration", "_<=_(duration, duration) bool"),
    special("greater_bool", "_>_(bool, bool) bool"),
    special("greater_int64", "_>_(int, int) bool"),
    special("greater_int64_double", "_>_(int, double) bool"),
    special("greater_int64_uint64", "_>_(int, uint) bool"),
    special("greater_uint64", "_>_(uint, uint) bool"),
    special("greater_uint64_double", "_>_(uint, double) bool"),
    special("greater_uint64_int64", "_>_(uint, int) bool"),
    special("greater_double", "_>_(double, double) bool"),
    special("greater_double_int64", "_>_(double, int) bool"),
    special("greater_double_uint64", "_>_(double, uint) bool"),
    special("greater_string", "_>_(string, string) bool"),
    special("greater_bytes", "_>_(bytes, bytes) bool"),
    special("greater_timestamp", "_>_(timestamp, timestamp) bool"),
    special("greater_duration", "_>_(duration, duration) bool"),
    special("greater_equals_bool", "_>=_(bool, bool) bool"),
    special("greater_equals_int64", "_>=_(int, int) bool"),
    special("greater_equals_int64_double", "_>=_(int, double) bool"),
    special("greater_equals_int64_uint64", "_>=_(int, uint) bool"),
    special("greater_equals_uint64", "_>=_(uint, uint) bool"),
    special("greater_equals_uint64_double", "_>=_(uint, double) bool"),
    special("greater_equals_uint64_int64", "_>=_(uint, int) bool"),
    special("greater_equals_double", "_>=_(double, double) bool"),
    special("greater_equals_double_int64", "_>=_(double, int) bool"),
    special("greater_equals_double_uint64", "_>=_(double, uint) bool"),
    special("greater_equals_string", "_>=_(string, string) bool"),
    special("greater_equals_bytes", "_>=_(bytes, bytes) bool"),
    special("greater_equals_timestamp", "_>=_(timestamp, timestamp) bool"),
    special("greater_equals_duration", "_>=_(duration, duration) bool"),
    special("index_list", "_[_](list(A), int) A"),
    special("index_map", "_[_](map(A, B), A) B"),
    special("in_list", "@in(A, list(A)) bool"),
    special("in_map", "@in(A, map(A, B)) bool"),
    special("size_bytes", "size(bytes) int"),
    special("bytes_size", "bytes::size() int"),
    special("size_list", "size(list(A)) int"),
    special("list_size", "list(A)::size() int"),
    special("size_map", "size(map(A, B)) int"),
    special("map_size", "map(A, B)::size() int"),
    special("size_string", "size(string) int"),
    special("string_size", "string::size() int"),
];

const fn shared(function: &'static str, operand: Operand, imp: for<'a> fn(&[Val<'a>]) -> Evaluated<'a>) -> Shared {
    Shared { function, operand: Some(operand), imp: Imp::Plain(imp) }
}

pub(super) const SHARED: &[Shared] = &[
    shared("_+_", Operand::Added, add),
    shared("_-_", Operand::Subtracted, subtract),
    shared("_*_", Operand::Multiplied, multiply),
    shared("_/_", Operand::Divided, divide),
    shared("_%_", Operand::Modulo, modulo),
    shared("-_", Operand::Negated, negate),
    shared("_<_", Operand::Compared, |args| ordered(args, Ordering::is_lt)),
    shared("_<=_", Operand::Compared, |args| ordered(args, Ordering::is_le)),
    shared("_>_", Operand::Compared, |args| ordered(args, Ordering::is_gt)),
    shared("_>=_", Operand::Compared, |args| ordered(args, Ordering::is_ge)),
    shared("size", Operand::Sized, size),
    Shared { function: "!_", operand: None, imp: Imp::Plain(not) },
    Shared { function: "@in", operand: None, imp: Imp::Plain(contains) },
    Shared { function: "matches", operand: Some(Operand::Matched), imp: Imp::Pattern(matches) },
];

const INT_OVERFLOW: &str = "integer overflow";
const UINT_OVERFLOW: &str = "unsigned integer overflow";
const TIMESTAMP_OVERFLOW: &str = "timestamp overflow";

fn checked<'a, T>(result: Option<T>, to: fn(T) -> Val<'a>, overflow: &'static str) -> Evaluated<'a> {
    result.map_or_else(|| fail(overflow), |number| Ok(to(number)))
}

fn not<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Bool(truth)] => Ok(Val::Bool(!truth)),
        _ => no_such_overload(),
    }
}

pub(in super::super) fn add<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(a), Val::Int(b)] => checked(a.checked_add(*b), Val::Int, INT_OVERFLOW),
        [Val::Uint(a), Val::Uint(b)] => checked(a.checked_add(*b), Val::Uint, UINT_OVERFLOW),
        [Val::Double(a), Val::Double(b)] => Ok(Val::Double(a + b)),
        [Val::Str(a), Val::Str(b)] => Ok(Val::from(format!("{}{}", &**a, &**b))),
        [Val::Bytes(a), Val::Bytes(b)] => Ok(Val::Bytes([&a[..], &b[..]].concat().into())),
        [Val::List(a), Val::List(b)] => concatenate(a, b),
        [Val::Duration(a), Val::Duration(b)] => checked(a.checked_add(*b), Val::Duration, INT_OVERFLOW),
        [Val::Timestamp(at), Val::Duration(by)] | [Val::Duration(by), Val::Timestamp(at)] => {
            checked(shift(*at, i128::from(*by)), Val::Timestamp, TIMESTAMP_OVERFLOW)
        }
        _ => no_such_overload(),
    }
}

/// `a + b`; of sets and of lists of keyed items a merge.
fn concatenate<'a>(a: &List<'a>, b: &List<'a>) -> Evaluated<'a> {
    match a.kind() {
        ListKind::Atomic if a.is_empty() => Ok(Val::List(b.clone())),
        ListKind::Atomic if b.is_empty() => Ok(Val::List(a.clone())),
        ListKind::Atomic => {
            let mut items = a.to_vec()?;
            items.extend(b.to_vec()?);
            Ok(Val::from(items))
        }
        kind @ ListKind::Set => {
            let mut items = a.to_vec()?;
            for item in b.to_vec()? {
                if position(&items, |known| is_equal(known, &item))?.is_none() {
                    items.push(item);
                }
            }
            Ok(Val::List(List::Merged(Arc::new(items), kind)))
        }
        kind @ ListKind::Map(keys) => {
            let mut items = a.to_vec()?;
            for item in b.to_vec()? {
                match position(&items, |known| same_keys(known, &item, keys))? {
                    Some(at) => items[at] = item,
                    None => items.push(item),
                }
            }
            Ok(Val::List(List::Merged(Arc::new(items), kind)))
        }
    }
}

pub(super) fn position<'a>(
    items: &[Val<'a>],
    fits: impl Fn(&Val<'a>) -> Result<bool, EvalError>,
) -> Result<Option<usize>, EvalError> {
    for (at, item) in items.iter().enumerate() {
        if fits(item)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

const NANOS: i128 = 1_000_000_000;

fn shift(at: Timestamp, by: i128) -> Option<Timestamp> {
    let nanos = i128::from(at.seconds) * NANOS + i128::from(at.nanos) + by;
    let seconds = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
    let fits = (Timestamp::MIN..=Timestamp::MAX).contains(&seconds);
    fits.then_some(Timestamp { seconds, nanos: nanos.rem_euclid(NANOS) as u32, offset: at.offset })
}

fn subtract<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(a), Val::Int(b)] => checked(a.checked_sub(*b), Val::Int, INT_OVERFLOW),
        [Val::Uint(a), Val::Uint(b)] => checked(a.checked_sub(*b), Val::Uint, UINT_OVERFLOW),
        [Val::Double(a), Val::Double(b)] => Ok(Val::Double(a - b)),
        [Val::Duration(a), Val::Duration(b)] => checked(a.checked_sub(*b), Val::Duration, INT_OVERFLOW),
        [Val::Timestamp(at), Val::Duration(by)] => {
            checked(shift(*at, -i128::from(*by)), Val::Timestamp, TIMESTAMP_OVERFLOW)
        }
        [Val::Timestamp(a), Val::Timestamp(b)] => {
            let nanos =
                (i128::from(a.seconds) - i128::from(b.seconds)) * NANOS + i128::from(a.nanos) - i128::from(b.nanos);
            checked(i64::try_from(nanos).ok(), Val::Duration, INT_OVERFLOW)
        }
        _ => no_such_overload(),
    }
}

fn multiply<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(a), Val::Int(b)] => checked(a.checked_mul(*b), Val::Int, INT_OVERFLOW),
        [Val::Uint(a), Val::Uint(b)] => checked(a.checked_mul(*b), Val::Uint, UINT_OVERFLOW),
        [Val::Double(a), Val::Double(b)] => Ok(Val::Double(a * b)),
        _ => no_such_overload(),
    }
}

fn divide<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(_), Val::Int(0)] | [Val::Uint(_), Val::Uint(0)] => fail("division by zero"),
        [Val::Int(a), Val::Int(b)] => checked(a.checked_div(*b), Val::Int, INT_OVERFLOW),
        [Val::Uint(a), Val::Uint(b)] => Ok(Val::Uint(a / b)),
        [Val::Double(a), Val::Double(b)] => Ok(Val::Double(a / b)),
        _ => no_such_overload(),
    }
}

fn modulo<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(_), Val::Int(0)] | [Val::Uint(_), Val::Uint(0)] => fail("modulus by zero"),
        [Val::Int(a), Val::Int(b)] => checked(a.checked_rem(*b), Val::Int, INT_OVERFLOW),
        [Val::Uint(a), Val::Uint(b)] => Ok(Val::Uint(a % b)),
        _ => no_such_overload(),
    }
}

fn negate<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(a)] => checked(a.checked_neg(), Val::Int, INT_OVERFLOW),
        [Val::Double(a)] => Ok(Val::Double(-a)),
        [Val::Duration(a)] => checked(a.checked_neg(), Val::Duration, INT_OVERFLOW),
        _ => no_such_overload(),
    }
}

fn ordered<'a>(args: &[Val<'a>], holds: fn(Ordering) -> bool) -> Evaluated<'a> {
    match args {
        [a, b] => Ok(Val::Bool(holds(compare(a, b)?))),
        _ => no_such_overload(),
    }
}

fn size<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args.first().and_then(Val::size) {
        Some(size) => Ok(Val::Int(size as i64)),
        None => no_such_overload(),
    }
}

fn contains<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [item, Val::List(list)] => list_contains(list, item),
        [key, Val::Map(map)] => map_contains(map, key),
        _ => no_such_overload(),
    }
}

pub(super) fn list_contains<'a>(list: &List<'_>, item: &Val<'_>) -> Evaluated<'a> {
    for candidate in list.iter() {
        if is_equal(&candidate?, item)? {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn map_contains<'a>(map: &Map<'_>, key: &Val<'_>) -> Evaluated<'a> {
    match map.find(key) {
        Some(Err(error)) if !matches!(key, Val::Str(_)) => Err(error),
        found => Ok(Val::Bool(found.is_some())),
    }
}

fn matches<'a>(regex: &Regex, args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Str(text), Val::Str(_)] => Ok(Val::Bool(regex.is_match(text))),
        _ => no_such_overload(),
    }
}
