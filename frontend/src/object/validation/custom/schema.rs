//! A value against its schema, in the order and the words of the original.

use super::{
    Before, formats, limits, members,
    outcome::{Issue, Outcome, issue},
};
use crate::{
    api::schema::{
        Value,
        structural::{Additional, Node, NodeType},
    },
    request::status::{FieldError, FieldErrorKind, go_quote},
};

/// Validates a value. `at` is where it stands in the object.
pub(super) fn validate(value: &Value, node: &Node, at: &str, before: Option<Before<'_>>) -> Vec<FieldError> {
    let outcome = visit(value, node, "", before, Root::Yes);
    let field = |path: Option<String>| {
        let path = path.map(|path| path.trim_start_matches('.').to_owned());
        match (path.as_deref(), at) {
            (None, "") => "<nil>".to_owned(),
            (None | Some(""), at) if !at.is_empty() => at.to_owned(),
            (None | Some(""), _) => "<nil>".to_owned(),
            (Some(path), "") => path.to_owned(),
            (Some(path), at) => format!("{at}.{path}"),
        }
    };
    outcome
        .issues
        .into_iter()
        .map(|issue| FieldError {
            kind: issue.kind,
            field: field(issue.path),
            bad_value: issue.shown,
            detail: issue.detail,
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    Yes,
    No,
}

/// The same; what is as it was before is forgiven.
fn visit(value: &Value, node: &Node, path: &str, before: Option<Before<'_>>, root: Root) -> Outcome {
    let mut outcome = check(value, node, path, before, root);
    if !outcome.issues.is_empty() && before.is_some_and(|before| before.value == value) {
        outcome.issues.clear();
    }
    outcome
}

fn check(value: &Value, node: &Node, path: &str, before: Option<Before<'_>>, root: Root) -> Outcome {
    let mut outcome = Outcome::default();
    let limits = node.limits.as_deref();
    if *value == Value::Null {
        outcome.merge(check_type(value, node, path));
        if let Some(limits) = limits {
            limits::enumeration(value, limits, path, &mut outcome);
        }
        return outcome;
    }
    if node.kind != NodeType::None || node.int_or_string || formats::is_known_of(node) {
        outcome.merge(check_type(value, node, path));
        outcome.good += 1;
    }
    outcome.merge(alternatives(value, node, path, before, root));
    outcome.good += 1;
    if let Some(limits) = limits {
        limits::validate(value, node, limits, path, &mut outcome);
    }
    match value {
        Value::List(items) => {
            if let Some(node) = node.items.as_deref() {
                for (at, item) in items.iter().enumerate() {
                    let before = before.and_then(|before| before.item(item));
                    outcome.merge(visit(item, node, &format!("{path}[{at}]"), before, Root::No));
                }
            }
            if let Some(limits) = limits {
                limits::items(items, limits, path, &mut outcome);
            }
            outcome.good += 2;
        }
        Value::Str(_) | Value::Int(_) | Value::Float(_) => outcome.good += 1,
        _ => {}
    }
    if let Some(limits) = limits {
        limits::enumeration(value, limits, path, &mut outcome);
    }
    outcome.good += 1;
    if let Some(members) = members(value) {
        object(&members, node, path, before, root, &mut outcome);
        outcome.good += 1;
    }
    outcome.good += 1;
    outcome
}

fn object(
    members: &[(&str, &Value)],
    node: &Node,
    path: &str,
    before: Option<Before<'_>>,
    root: Root,
    outcome: &mut Outcome,
) {
    if let Some(limits) = node.limits.as_deref() {
        limits::properties(members.len(), limits, path, outcome);
    }
    for (name, value) in members.iter().filter(|(name, _)| node.property(name).is_none()) {
        match &node.additional {
            Additional::Forbidden => {
                let text = format!("{path}.{name} in body is a forbidden property");
                let issue = issue(path, FieldErrorKind::Invalid, Some(go_quote(name)), &text);
                outcome.push(issue);
            }
            Additional::Each(each) => {
                let before = before.and_then(|before| before.member(name));
                outcome.merge(visit(value, each, &format!("{path}.{name}"), before, Root::No));
            }
            Additional::Unsaid | Additional::Allowed => {}
        }
    }
    for (name, node) in &node.properties {
        let Some((_, value)) = members.iter().find(|(own, _)| **own == **name) else { continue };
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        // The kind is not what was stored, but what the version makes of it.
        let comparable = root == Root::No || !matches!(&**name, "kind" | "apiVersion");
        let before = before.filter(|_| comparable).and_then(|before| before.member(name));
        outcome.merge(visit(value, node, &path, before, Root::No));
    }
    let required = node.limits.as_ref().map(|limits| &*limits.required).unwrap_or_default();
    for name in required.iter().filter(|name| !members.iter().any(|(own, _)| **own == ***name)) {
        let path = format!("{path}.{name}");
        let text = format!("{path} in body is required");
        outcome.push(Issue {
            path: Some(path),
            kind: FieldErrorKind::Required,
            shown: None,
            detail: String::new(),
            text,
        });
    }
}

/// The types that a schema allows, as errors list them.
fn allowed(node: &Node) -> &'static str {
    if node.int_or_string { "integer,string" } else { node.kind.as_str() }
}

fn check_type(value: &Value, node: &Node, path: &str) -> Outcome {
    let mut outcome = Outcome { good: 1, ..Outcome::default() };
    let mut refuse = |found: &str, wanted: &str| {
        let text = format!("{path} in body must be of type {wanted}: {}", go_quote(found));
        outcome.push(issue(path, FieldErrorKind::TypeInvalid, Some(go_quote(found)), &text));
    };
    let typed = node.kind != NodeType::None || node.int_or_string;
    let is = |kind: NodeType| {
        node.kind == kind || (node.int_or_string && matches!(kind, NodeType::Integer | NodeType::String))
    };
    let found = match value {
        Value::Null => {
            if typed && !node.nullable {
                refuse("null", allowed(node));
            }
            return outcome;
        }
        Value::Bool(_) => NodeType::Boolean,
        Value::Int(_) => NodeType::Integer,
        Value::Float(_) => NodeType::Number,
        Value::Str(_) | Value::Bytes(_) => NodeType::String,
        Value::List(_) => NodeType::Array,
        Value::Map(_) | Value::Struct(_) => NodeType::Object,
    };
    let whole = matches!(value, Value::Float(number) if limits::is_whole(*number)) && is(NodeType::Integer);
    let number = found == NodeType::Integer && is(NodeType::Number);
    let fits = is(found) || whole || number;
    let format = formats::known(node);
    let texts = matches!(found, NodeType::String | NodeType::Array);
    if !texts && !format.is_empty() && !fits {
        let held = match value {
            Value::Int(_) => "int64",
            Value::Float(_) => "float64",
            _ => "",
        };
        refuse(held, format);
        return outcome;
    }
    if texts && !format.is_empty() && !is(NodeType::Number) && !is(NodeType::Integer) {
        return outcome;
    }
    if !fits {
        refuse(found.as_str(), allowed(node));
    }
    outcome
}

/// anyOf, oneOf, allOf and not.
fn alternatives(value: &Value, node: &Node, path: &str, before: Option<Before<'_>>, root: Root) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(limits) = node.limits.as_deref() else {
        outcome.good += 1;
        return outcome;
    };
    let mut whole = |outcome: &mut Outcome, text: String| {
        let text = format!("{} {text}", go_quote(path));
        let shown = Some("\"\"".to_owned());
        outcome.push(Issue { path: None, kind: FieldErrorKind::Invalid, shown, detail: text.clone(), text });
    };
    let ask = |node: &Node| check(value, node, path, before, root);
    if !limits.any_of.is_empty() {
        any_of(limits.any_of.iter().map(|node| ask(node)), &mut outcome, &mut whole);
    }
    if !limits.one_of.is_empty() {
        one_of(limits.one_of.iter().map(|node| ask(node)), &mut outcome, &mut whole);
    }
    if !limits.all_of.is_empty() {
        let outcomes: Vec<Outcome> = limits.all_of.iter().map(|node| ask(node)).collect();
        let valid = outcomes.iter().filter(|each| each.issues.is_empty()).count();
        let all = outcomes.len();
        outcomes.into_iter().for_each(|each| outcome.merge(each));
        if valid != all {
            let none = if valid == 0 { ". None validated" } else { "" };
            whole(&mut outcome, format!("must validate all the schemas (allOf){none}"));
        }
    }
    if let Some(not) = &limits.not
        && ask(not).issues.is_empty()
    {
        whole(&mut outcome, "must not validate the schema (not)".to_owned());
    }
    outcome.good += 1;
    outcome
}

fn any_of(
    outcomes: impl Iterator<Item = Outcome>,
    outcome: &mut Outcome,
    whole: &mut impl FnMut(&mut Outcome, String),
) {
    let mut best: Option<Outcome> = None;
    for each in outcomes {
        if each.issues.is_empty() {
            return outcome.merge(each);
        }
        if best.as_ref().is_none_or(|best| each.good > best.good) {
            best = Some(each);
        }
    }
    whole(outcome, "must validate at least one schema (anyOf)".to_owned());
    best.into_iter().for_each(|best| outcome.merge(best));
}

fn one_of(
    outcomes: impl Iterator<Item = Outcome>,
    outcome: &mut Outcome,
    whole: &mut impl FnMut(&mut Outcome, String),
) {
    let (mut best, mut first): (Option<Outcome>, Option<Outcome>) = (None, None);
    let mut valid = 0;
    for each in outcomes {
        if each.issues.is_empty() {
            valid += 1;
            best = None;
            first.get_or_insert(each);
        } else if valid == 0 && best.as_ref().is_none_or(|best| each.good > best.good) {
            best = Some(each);
        }
    }
    if valid == 1 {
        return first.into_iter().for_each(|first| outcome.merge(first));
    }
    let found = if valid == 0 { "Found none valid".to_owned() } else { format!("Found {valid} valid alternatives") };
    whole(outcome, format!("must validate one and only one schema (oneOf). {found}"));
    best.into_iter().for_each(|best| outcome.merge(best));
}
