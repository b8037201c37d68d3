//! What calls cost while an expression runs, by the sizes of their arguments.

use super::{
    cost_model::{self, AUTHORIZATION, LIST_CREATE, PATTERN, TRAVERSAL},
    node::CallNode,
    value::{List, Map, Val},
};

/// Rounded up.
fn share(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

fn size(val: Option<&Val<'_>>) -> u64 {
    match val {
        Some(Val::Optional(Some(inner))) => size(Some(inner)),
        Some(val) => val.size().unwrap_or(1) as u64,
        None => 1,
    }
}

pub(super) fn of_call(call: &CallNode, args: &[Val<'_>], result: Option<&Val<'_>>) -> u64 {
    let id = call.overload.map_or("", |overload| overload.id);
    of_overload(id, args, result)
        .or_else(|| of_function(call.function.name, id, args, result))
        .unwrap_or_else(|| standard(id, args))
}

/// Libraries that charge by the overload.
fn of_overload(id: &str, args: &[Val<'_>], result: Option<&Val<'_>>) -> Option<u64> {
    // A factor below zero takes from the rest, as in the original.
    let allocated =
        |factor: f64, size: u64| Some(((size as f64 * factor) as i64).cast_unsigned().wrapping_add(1 + LIST_CREATE));
    match id {
        "list_sets_contains_list" | "list_sets_intersects_list" => {
            Some(1 + size(args.first()).saturating_mul(size(args.get(1))))
        }
        "list_sets_equivalent_list" => Some(1 + size(args.first()).saturating_mul(size(args.get(1))).saturating_mul(2)),
        "lists_range" if result.is_none() => match args.first() {
            Some(Val::Int(end)) => allocated(1.0, end.unsigned_abs()),
            _ => None,
        },
        "list_slice" | "lists_range" | "list_reverse" => allocated(1.0, size(result)),
        "list_flatten" | "list_flatten_int" => {
            let depth = match args.get(1) {
                Some(Val::Int(depth)) => *depth as f64,
                _ => 1.0,
            };
            allocated(depth, size(args.first()))
        }
        "list_distinct" => compared(args.first()),
        _ if id.ends_with("_sort") => compared(args.first()),
        _ if id.ends_with("_sortByAssociatedKeys") => compared(args.get(1)),
        _ => None,
    }
}

/// Each element with each other.
fn compared(list: Option<&Val<'_>>) -> Option<u64> {
    let Some(Val::List(list)) = list else { return None };
    let first = list.get(0).and_then(Result::ok);
    let factor = if matches!(first, Some(Val::Str(_) | Val::Bytes(_))) { 2.0 + TRAVERSAL } else { 2.0 };
    let size = (list.len() as u64).saturating_mul(list.len() as u64);
    Some((size as f64 * factor) as u64 + 1 + LIST_CREATE)
}

/// Kubernetes' libraries, which charge by the name of the function.
fn of_function(name: &str, id: &str, args: &[Val<'_>], result: Option<&Val<'_>>) -> Option<u64> {
    let first = || size(args.first());
    Some(match name {
        "check" => AUTHORIZATION,
        name if cost_model::is_constant(name) => 1,
        "fieldSelector" | "labelSelector" => {
            let length = size(args.get(1));
            LIST_CREATE + share(length, TRAVERSAL) + share(share(length, 0.5), 50.0)
        }
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => args.first().map_or(0, walk),
        "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "cidr" | "isIP" | "isCIDR" | "quantity"
        | "isQuantity" | "semver" | "isSemver" => share(first(), TRAVERSAL),
        "ip" if id == "cidr_ip" => 1,
        "ip" => share(first(), TRAVERSAL),
        "replace" | "split" | "ip.isCanonical" => share(first(), 2.0 * TRAVERSAL),
        "join" => share(size(result), 2.0 * TRAVERSAL),
        "find" | "findAll" => share(first() + 1, TRAVERSAL) * share(size(args.get(1)), PATTERN),
        "containsIP" => contains(args, id == "cidr_contains_ip_string"),
        "containsCIDR" => contains(args, id == "cidr_contains_cidr_string") + share(first(), TRAVERSAL) + 1,
        "validate" => match args {
            [Val::Format(format), text] => {
                share(size(Some(text)) + 1, TRAVERSAL) * share(format.pattern_length, PATTERN)
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// A text is parsed first.
fn contains(args: &[Val<'_>], text: bool) -> u64 {
    let compared = share(size(args.first()) * 2, TRAVERSAL);
    if text { compared + share(size(args.get(1)), TRAVERSAL) } else { compared }
}

fn standard(id: &str, args: &[Val<'_>]) -> u64 {
    let first = || size(args.first());
    let second = || size(args.get(1));
    match id {
        "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string" | "strings_quote"
        | "string_format" => share(first(), TRAVERSAL),
        "in_list" => second(),
        "less_string"
        | "greater_string"
        | "less_equals_string"
        | "greater_equals_string"
        | "less_bytes"
        | "greater_bytes"
        | "less_equals_bytes"
        | "greater_equals_bytes" => share(first().min(second()), TRAVERSAL),
        "add_string" | "add_bytes" => share(first() + second(), TRAVERSAL),
        "matches_string" => share(first() + 1, TRAVERSAL) * share(second(), PATTERN),
        "contains_string" => share(first(), TRAVERSAL) * share(second(), TRAVERSAL),
        _ => 1,
    }
}

pub(super) fn of_equality(left: Option<&Val<'_>>, right: Option<&Val<'_>>, negated: bool) -> u64 {
    let special = matches!(
        left,
        Some(
            Val::Quantity(_)
                | Val::Ip(_)
                | Val::Cidr(..)
                | Val::Format(_)
                | Val::Url(_)
                | Val::Semver(_)
                | Val::Authz(_)
                | Val::Decision(_)
        )
    );
    if special && !negated {
        return 1;
    }
    share(size(left).min(size(right)), TRAVERSAL)
}

/// Walking over all that a value holds.
fn walk(val: &Val<'_>) -> u64 {
    let part = |val: Result<Val<'_>, _>| val.as_ref().map_or(1, walk);
    match val {
        Val::Str(text) => (text.len() as f64 * TRAVERSAL) as u64,
        Val::Bytes(bytes) => (bytes.len() as f64 * TRAVERSAL) as u64,
        Val::List(list) => walk_list(list, part),
        Val::Map(map) => walk_map(map),
        _ => 1,
    }
}

fn walk_list<'a>(list: &List<'a>, part: impl Fn(super::value::Evaluated<'a>) -> u64) -> u64 {
    list.iter().map(part).sum()
}

fn walk_map(map: &Map<'_>) -> u64 {
    let entries = map.entries().unwrap_or_default();
    entries.iter().map(|(key, value)| walk(key) + walk(value)).sum()
}

/// The name of a value's type in Go, which some errors show.
pub(super) fn go_type(val: &Val<'_>) -> &'static str {
    match val {
        Val::Null => "types.Null",
        Val::Bool(_) => "types.Bool",
        Val::Int(_) => "types.Int",
        Val::Uint(_) => "types.Uint",
        Val::Double(_) => "types.Double",
        Val::Str(_) => "types.String",
        Val::Bytes(_) => "types.Bytes",
        Val::Duration(_) => "types.Duration",
        Val::Timestamp(_) => "types.Timestamp",
        Val::Type(_) => "*types.Type",
        Val::List(_) => "types.List",
        Val::Map(_) => "types.Map",
        Val::Optional(_) => "*types.Optional",
        Val::Url(_) => "cel.URL",
        Val::Quantity(_) => "cel.Quantity",
        Val::Ip(_) => "cel.IP",
        Val::Cidr(..) => "cel.CIDR",
        Val::Semver(_) => "cel.Semver",
        Val::Format(_) => "cel.Format",
        Val::Authz(_) => "library.authorizerVal",
        Val::Decision(_) => "library.decisionVal",
    }
}
