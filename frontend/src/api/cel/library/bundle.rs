//! Small libraries: patterns, sets, what two-variable macros insert with.

use std::sync::Arc;

use super::{
    super::{
        tree::owned_entries,
        value::{Evaluated, List, Map, Val, fail, no_such_overload},
    },
    operators::list_contains,
    row::{Imp, Row, row},
};
use crate::api::schema::scalar::pattern::Regex;

pub(super) const REGEX: &[Row] = &[
    Row("string_find_string", "string::find(string) string", Imp::Pattern(find)),
    Row("string_find_all_string", "string::findAll(string) list(string)", Imp::Pattern(find_all)),
    Row("string_find_all_string_int", "string::findAll(string, int) list(string)", Imp::Pattern(find_all)),
];

pub(super) const ROWS: &[Row] = &[
    row("list_sets_contains_list", "sets.contains(list(T), list(T)) bool", |args| sets(args, |a, b| all_in(b, a))),
    row("list_sets_equivalent_list", "sets.equivalent(list(T), list(T)) bool", |args| {
        sets(args, |a, b| match all_in(b, a)? {
            Val::Bool(true) => all_in(a, b),
            other => Ok(other),
        })
    }),
    row("list_sets_intersects_list", "sets.intersects(list(T), list(T)) bool", |args| sets(args, any_in)),
    row("@mapInsert_map_key_value", "cel.@mapInsert(map(K, V), K, V) map(K, V)", insert_call),
    row("@mapInsert_map_map", "cel.@mapInsert(map(K, V), map(K, V)) map(K, V)", insert_call),
];

fn find<'a>(regex: &Regex, args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text), Val::Str(_)] = args else { return no_such_overload() };
    Ok(Val::from(regex.find_all(text, 1).into_iter().next().unwrap_or_default()))
}

fn find_all<'a>(regex: &Regex, args: &[Val<'a>]) -> Evaluated<'a> {
    let (text, limit) = match args {
        [Val::Str(text), Val::Str(_)] => (text, -1),
        [Val::Str(text), Val::Str(_), Val::Int(limit)] => (text, *limit),
        _ => return no_such_overload(),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Val::from(regex.find_all(text, limit).into_iter().map(Val::from).collect::<Vec<_>>()))
}

fn sets<'a>(args: &[Val<'a>], relation: fn(&List<'a>, &List<'a>) -> Evaluated<'a>) -> Evaluated<'a> {
    match args {
        [Val::List(a), Val::List(b)] => relation(a, b),
        _ => no_such_overload(),
    }
}

fn all_in<'a>(items: &List<'a>, list: &List<'a>) -> Evaluated<'a> {
    for item in items.iter() {
        match list_contains(list, &item?)? {
            Val::Bool(true) => {}
            other => return Ok(other),
        }
    }
    Ok(Val::Bool(true))
}

fn any_in<'a>(items: &List<'a>, list: &List<'a>) -> Evaluated<'a> {
    for item in items.iter() {
        if let Val::Bool(true) = list_contains(list, &item?)? {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn insert_call<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [map, added @ ..] => insert(map.clone(), added.to_vec()),
        [] => no_such_overload(),
    }
}

/// A map with the entries of another one, or with one key and its value; keys that are there already are an error.
pub(super) fn insert<'a>(map: Val<'a>, added: Vec<Val<'a>>) -> Evaluated<'a> {
    let Val::Map(map) = map else { return no_such_overload() };
    let added = match <[Val<'a>; 2]>::try_from(added) {
        Ok([key, value]) => vec![(key, value)],
        Err(added) => match &added[..] {
            [Val::Map(added)] => added.entries()?,
            _ => return no_such_overload(),
        },
    };
    let mut entries = match map {
        Map::Owned(entries) => entries,
        other => Arc::new(owned_entries(&other)?),
    };
    let target = Arc::make_mut(&mut entries);
    for (key, value) in added {
        if target.get(&key).is_some() {
            return fail(format!("insert failed: key {} already exists", key.shown()));
        }
        target.set(key, value)?;
    }
    Ok(Val::Map(Map::Owned(entries)))
}
