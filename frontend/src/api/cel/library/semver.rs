//! Functions of semantic versions.

use std::cmp::Ordering;

use super::{
    super::{
        opaque::semver::{Semver, normalize},
        value::{Evaluated, Val, fail, no_such_overload},
    },
    row::{Row, row},
};

pub(super) const ROWS: &[Row] = &[
    row("string_to_semver", "semver(string) kubernetes.Semver", semver),
    row("string_bool_to_semver", "semver(string, bool) kubernetes.Semver", semver),
    row("is_semver_string", "isSemver(string) bool", is_semver),
    row("is_semver_string_bool", "isSemver(string, bool) bool", is_semver),
    row("semver_is_greater_than", "kubernetes.Semver::isGreaterThan(kubernetes.Semver) bool", |args| {
        compared(args, |order| Val::Bool(order.is_gt()))
    }),
    row("semver_is_less_than", "kubernetes.Semver::isLessThan(kubernetes.Semver) bool", |args| {
        compared(args, |order| Val::Bool(order.is_lt()))
    }),
    row("semver_compare_to", "kubernetes.Semver::compareTo(kubernetes.Semver) int", |args| {
        compared(args, |order| Val::Int(order as i64))
    }),
    row("semver_major", "kubernetes.Semver::major() int", |args| number(args, |version| version.numbers[0])),
    row("semver_minor", "kubernetes.Semver::minor() int", |args| number(args, |version| version.numbers[1])),
    row("semver_patch", "kubernetes.Semver::patch() int", |args| number(args, |version| version.numbers[2])),
];

fn parse(args: &[Val<'_>]) -> Option<Result<Semver, String>> {
    match args {
        [Val::Str(text)] | [Val::Str(text), Val::Bool(false)] => Some(Semver::parse(text)),
        [Val::Str(text), Val::Bool(true)] => Some(normalize(text).and_then(|text| Semver::parse(&text))),
        _ => None,
    }
}

fn semver<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match parse(args) {
        Some(Ok(version)) => Ok(Val::Semver(version.into())),
        Some(Err(error)) => fail(error),
        None => no_such_overload(),
    }
}

fn is_semver<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    parse(args).map_or_else(no_such_overload, |parsed| Ok(Val::Bool(parsed.is_ok())))
}

fn compared<'a>(args: &[Val<'a>], result: fn(Ordering) -> Val<'a>) -> Evaluated<'a> {
    match args {
        [Val::Semver(a), Val::Semver(b)] => Ok(result(a.compare(b))),
        _ => no_such_overload(),
    }
}

fn number<'a>(args: &[Val<'a>], number: fn(&Semver) -> u64) -> Evaluated<'a> {
    match args {
        [Val::Semver(version)] => Ok(Val::Int(number(version).cast_signed())),
        _ => no_such_overload(),
    }
}
