//! What is looked at after the types: literals of durations, times and patterns, lists and maps of one type, formats.

use super::{
    ast::{Call, Expr, Kind, Literal},
    checker::Checked,
    library::{self, Clause, FormatArgs, check_format},
    source::Issues,
    types::Type,
};
use crate::api::schema::scalar::pattern::Regex;

pub(super) fn validate(source: &str, checked: &Checked) -> Result<(), Issues> {
    let mut issues = Issues::new(source);
    let mut calls = Vec::new();
    checked.root.walk(&mut |expr| calls.extend(expr.as_call().map(|call| (expr, call))));
    for name in ["duration", "timestamp", "matches"] {
        for (_, call) in calls.iter().filter(|(_, call)| call.function == name) {
            validate_literal(call, checked, &mut issues);
        }
    }
    validate_types(&checked.root, checked, Around::Anything, &mut issues);
    for (expr, call) in calls.iter().filter(|(_, call)| call.function == "format") {
        validate_format(expr, call, checked, &mut issues);
    }
    if issues.is_empty() { Ok(()) } else { Err(issues) }
}

fn validate_literal(call: &Call, checked: &Checked, issues: &mut Issues) {
    let Some(arg) = call.args.first() else { return };
    let Kind::Literal(literal) = &arg.kind else { return };
    let fits = match (call.function.as_str(), literal) {
        ("matches", Literal::String(pattern)) => Regex::new(pattern).is_ok(),
        ("matches", _) => true,
        (name, literal) => {
            let val = super::plan::constant(literal);
            library::function(name).is_some_and(|function| function.call(None, &[val], None).is_ok())
        }
    };
    if !fits {
        issues.push(checked.source_info.location(arg.id), format!("invalid {} argument", call.function));
    }
}

/// Whether an expression is an argument of a function to which values of different types may be given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Format,
    Anything,
}

fn validate_types(expr: &Expr, checked: &Checked, around: Around, issues: &mut Issues) {
    if around == Around::Anything {
        match &expr.kind {
            Kind::List(elements) => {
                let typed = elements.iter().map(|element| (&element.value, element.optional));
                one_type(typed, checked, issues, Rest::Skipped);
            }
            Kind::Map(entries) => {
                one_type(entries.iter().map(|entry| (&entry.key, false)), checked, issues, Rest::Compared);
                let values = entries.iter().map(|entry| (&entry.value, entry.optional));
                one_type(values, checked, issues, Rest::Compared);
            }
            _ => {}
        }
    }
    let is_format = expr.as_call().is_some_and(|call| call.function == "format");
    let around = if is_format { Around::Format } else { around };
    for child in expr.children() {
        validate_types(child, checked, around, issues);
    }
}

/// What happens to elements after one that differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Skipped,
    Compared,
}

fn one_type<'e>(typed: impl Iterator<Item = (&'e Expr, bool)>, checked: &Checked, issues: &mut Issues, rest: Rest) {
    let mut first: Option<&Type> = None;
    for (expr, optional) in typed {
        let of = checked.type_of(expr);
        let of = if optional { of.in_optional().unwrap_or(of) } else { of };
        let Some(expected) = first else {
            first = Some(of);
            continue;
        };
        if !expected.is_equivalent(of) {
            let message = format!("expected type '{}' but found '{}'", expected.shown(), of.shown());
            issues.push(checked.source_info.location(expr.id), message);
            if rest == Rest::Skipped {
                return;
            }
        }
    }
}

/// The elements of a list literal, by their types.
struct Elements<'e> {
    elements: Vec<&'e Expr>,
    checked: &'e Checked,
}

impl FormatArgs for Elements<'_> {
    fn len(&self) -> usize {
        self.elements.len()
    }

    fn format(&self, clause: Clause, arg: usize) -> Result<String, String> {
        self.refusal(clause, self.elements[arg]).map_or(Ok(String::new()), |(_, refusal)| Err(refusal))
    }
}

impl<'e> Elements<'e> {
    /// What does not fit, which may be deep in a list or map, and why.
    fn refusal(&self, clause: Clause, expr: &'e Expr) -> Option<(&'e Expr, String)> {
        if let Some(refusal) = clause.refusal(self.checked.type_of(expr)) {
            return Some((expr, refusal));
        }
        if !clause.is_text() || !matches!(expr.kind, Kind::List(_) | Kind::Map(_)) {
            return None;
        }
        expr.children().into_iter().find_map(|child| self.refusal(clause, child))
    }
}

fn validate_format(expr: &Expr, call: &Call, checked: &Checked, issues: &mut Issues) {
    let (Some(text), [list]) = (call.target.as_ref().and_then(Expr::as_string), &call.args[..]) else { return };
    let Kind::List(elements) = &list.kind else { return };
    let elements = Elements { elements: elements.iter().map(|element| &element.value).collect(), checked };
    match check_format(text, &elements) {
        Ok((_, used)) if elements.len() > used => {
            let message =
                format!("too many arguments supplied to string.format (expected {used}, got {})", elements.len());
            issues.push(checked.source_info.location(expr.id), message);
        }
        Ok(_) => {}
        Err(error) => {
            let arg = error.arg.and_then(|(clause, arg)| elements.refusal(clause, elements.elements[arg]));
            let id = arg.map_or(expr.id, |(arg, _)| arg.id);
            issues.push(checked.source_info.location(id), error.message);
        }
    }
}
