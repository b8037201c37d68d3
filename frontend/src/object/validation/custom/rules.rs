//! The rules of a definition over its objects, with a budget for all of them, and with what an update leaves alone
//! forgiven.

use super::{Before, Verdict, members, shown};
use crate::{
    api::{
        cel::{Activation, CALL_COST_MAX, EvalError, Val, tree},
        custom::{CompiledRule, RuleTree},
        schema::{
            Value,
            structural::{Additional, Node, NodeType},
        },
    },
    request::status::{FieldError, FieldErrorKind, go_quote},
};

/// What all rules of an object may cost together.
const BUDGET: i64 = 10_000_000;
const SPENT: &str = "validation failed due to running out of cost budget, no further validation rules will be run";
const MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// Runs the rules. `before`: the object that is replaced.
pub(super) fn validate(value: &Value, tree: &RuleTree, before: Option<&Value>) -> Verdict {
    let correlated = before.map(|value| Before { value, node: &tree.node });
    run(value, tree, before, Forgiven { here: correlated, new: Some(value), ..Forgiven::NOTHING })
}

/// Runs the rules over a default, once as if it replaced itself and once as something new.
pub(super) fn validate_default(value: &Value, tree: &RuleTree) -> Vec<FieldError> {
    let errors = run(value, tree, Some(value), Forgiven::NOTHING).errors;
    if errors.is_empty() { run(value, tree, None, Forgiven::NOTHING).errors } else { errors }
}

fn run<'b>(value: &'b Value, tree: &RuleTree, before: Option<&'b Value>, forgiven: Forgiven<'b>) -> Verdict {
    let mut run = Run { verdict: Verdict::default(), budget: BUDGET };
    run.visit(value, tree, "", before, forgiven);
    run.verdict
}

struct Run {
    verdict: Verdict,
    /// Below zero nothing more is run.
    budget: i64,
}

/// The nearest value that can be compared with what it was.
#[derive(Clone, Copy)]
struct Forgiven<'b> {
    here: Option<Before<'b>>,
    new: Option<&'b Value>,
    above: Option<Before<'b>>,
    new_above: Option<&'b Value>,
}

impl<'b> Forgiven<'b> {
    const NOTHING: Forgiven<'static> = Forgiven { here: None, new: None, above: None, new_above: None };

    fn is_unchanged(&self) -> bool {
        let same = |before: Option<Before<'b>>, new: Option<&Value>| {
            before.zip(new).is_some_and(|(before, new)| before.value == new)
        };
        match self.here {
            Some(_) => same(self.here, self.new),
            None => same(self.above, self.new_above),
        }
    }

    fn step(self, here: impl FnOnce(Before<'b>) -> Option<Before<'b>>, new: &'b Value) -> Forgiven<'b> {
        match self.here {
            None => self,
            Some(before) => Forgiven { here: here(before), new: Some(new), above: Some(before), new_above: self.new },
        }
    }
}

impl Run {
    fn visit<'b>(
        &mut self,
        value: &'b Value,
        tree: &RuleTree,
        path: &str,
        old: Option<&'b Value>,
        forgiven: Forgiven<'b>,
    ) {
        if *value == Value::Null || self.budget < 0 {
            return;
        }
        self.rules(value, tree, path, old.filter(|old| **old != Value::Null), forgiven);
        for all_of in &tree.all_of {
            let forgiven = Forgiven { here: None, new: None, ..forgiven };
            self.visit(value, all_of, path, old, forgiven);
        }
        match value {
            Value::List(items) => {
                let Some(each) = tree.items.as_deref() else { return };
                let of_list = old.map(|value| Before { value, node: &tree.node });
                for (at, item) in items.iter().enumerate() {
                    let old = of_list.and_then(|before| before.item(item)).map(|before| before.value);
                    let forgiven = forgiven.step(|before| before.item(item), item);
                    self.visit(item, each, &format!("{path}[{at}]"), old, forgiven);
                }
            }
            value => {
                for (name, member) in members(value).unwrap_or_default() {
                    let property = tree.properties.iter().find(|(own, _)| **own == *name);
                    let (below, path) = match (property, tree.additional.as_deref()) {
                        (Some((_, below)), _) if path.is_empty() => (below, name.to_owned()),
                        (Some((_, below)), _) => (below, format!("{path}.{name}")),
                        (None, Some(below)) => (below, format!("{path}[{name}]")),
                        (None, None) => continue,
                    };
                    let old = old.and_then(|old| old.child(name));
                    let forgiven = forgiven.step(|before| before.member(name), member);
                    self.visit(member, below, &path, old, forgiven);
                }
            }
        }
    }

    fn rules(&mut self, value: &Value, tree: &RuleTree, path: &str, old: Option<&Value>, forgiven: Forgiven<'_>) {
        if tree.rules.is_empty() {
            return;
        }
        let refuse = |detail: String| invalid_type(path, &tree.node, detail);
        if self.budget <= 0 {
            self.verdict.errors.push(refuse(SPENT.to_owned()));
            self.budget = -1;
            return;
        }
        let this = match tree::declared(value, &tree.of) {
            Ok(this) => this,
            Err(error) => return self.verdict.errors.push(refuse(error.to_string())),
        };
        let old_self = old.and_then(|old| tree::declared(old, &tree.of).ok());
        for rule in &tree.rules {
            let program = match &rule.program {
                Ok(program) => program,
                Err(why) if why.is_empty() => continue,
                Err(why) => {
                    self.verdict.errors.push(refuse(format!("rule compile error: {why}")));
                    continue;
                }
            };
            let optional = rule.rule.optional_old_self == Some(true);
            if rule.uses_old_self && old_self.is_none() && !optional {
                continue;
            }
            let activation = activation(&this, old_self.as_ref(), optional);
            let outcome = program.eval(&activation, CALL_COST_MAX);
            let cost = i64::try_from(outcome.cost).unwrap_or(i64::MAX);
            if cost > self.budget {
                self.verdict.errors.push(refuse(SPENT.to_owned()));
                self.budget = -1;
                return;
            }
            self.budget -= cost;
            match outcome.result {
                Ok(Val::Bool(true)) => {}
                Ok(_) => self.fail(value, tree, path, rule, &activation, forgiven),
                Err(error) => self.error(tree, path, rule, &error),
            }
            if self.budget < 0 {
                return;
            }
        }
    }

    /// A rule that has no value.
    fn error(&mut self, tree: &RuleTree, path: &str, rule: &CompiledRule, error: &EvalError) {
        let (text, name) = (error.to_string(), named(rule));
        let detail = if matches!(error, EvalError::CostLimit) {
            self.budget = -1;
            format!("'{text}': no further validation rules will be run due to call cost exceeds limit for rule: {name}")
        } else if text.starts_with("no such overload") {
            format!(
                "'{text}': call arguments did not match a supported operator, function or macro signature for rule: {name}"
            )
        } else {
            format!("{text} evaluating rule: {name}")
        };
        self.verdict.errors.push(invalid_type(path, &tree.node, detail));
    }

    /// A rule that is false.
    fn fail<'a>(
        &mut self,
        value: &Value,
        tree: &RuleTree,
        path: &str,
        rule: &'a CompiledRule,
        activation: &Activation<'a, '_>,
        forgiven: Forgiven<'_>,
    ) {
        let at = match rule.rule.field_path.trim() {
            "" => path.to_owned(),
            below => format!("{path}{}", as_field(below, &tree.node)).trim_start_matches('.').to_owned(),
        };
        let message = match &rule.message {
            Some(Ok(program)) => self.message(program, rule, activation),
            _ => Ok(None),
        };
        let error = match message {
            Err(why) => {
                self.budget = -1;
                invalid_type(&at, &tree.node, why)
            }
            Ok(message) => {
                let detail = message.unwrap_or_else(|| match rule.rule.message.is_empty() {
                    true => format!("failed rule: {}", named(rule)),
                    false => rule.rule.message.trim().to_owned(),
                });
                let kind = match rule.rule.reason.as_str() {
                    "FieldValueForbidden" => FieldErrorKind::Forbidden,
                    "FieldValueRequired" => FieldErrorKind::Required,
                    "FieldValueDuplicate" => FieldErrorKind::Duplicate,
                    _ => FieldErrorKind::Invalid,
                };
                let whole = matches!(tree.node.kind, NodeType::Object | NodeType::Array);
                let detail = if kind == FieldErrorKind::Duplicate { String::new() } else { detail };
                FieldError { kind, field: field_of(&at), bad_value: (!whole).then(|| shown(value)), detail }
            }
        };
        if !rule.uses_old_self && forgiven.is_unchanged() {
            self.verdict.warnings.push(error.to_string());
        } else {
            self.verdict.errors.push(error);
        }
    }

    /// What a message expression says; nothing where it fails, an error where it costs too much.
    fn message<'a>(
        &mut self,
        program: &'a crate::api::cel::Program,
        rule: &CompiledRule,
        activation: &Activation<'a, '_>,
    ) -> Result<Option<String>, String> {
        let outcome = program.eval(activation, CALL_COST_MAX);
        let cost = i64::try_from(outcome.cost).unwrap_or(i64::MAX);
        if cost > self.budget {
            return Err(
                "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
                    .to_owned(),
            );
        }
        self.budget -= cost;
        match outcome.result {
            Err(EvalError::CostLimit) => Err(format!(
                "no further validation rules will be run due to call cost exceeds limit for messageExpression: {}",
                go_quote(&rule.rule.message_expression)
            )),
            Ok(Val::Str(text)) => {
                let text = text.trim();
                let usable = !text.is_empty() && text.len() <= MESSAGE_BYTES_MAX && !text.contains('\n');
                Ok(usable.then(|| text.to_owned()))
            }
            _ => Ok(None),
        }
    }
}

fn activation<'v>(this: &Val<'v>, old: Option<&Val<'v>>, optional: bool) -> Activation<'v, 'v> {
    let activation = Activation::new().with("self", this.clone());
    match (optional, old) {
        (true, old) => activation.with("oldSelf", Val::Optional(old.cloned().map(std::sync::Arc::new))),
        (false, Some(old)) => activation.with("oldSelf", old.clone()),
        (false, None) => activation,
    }
}

/// A rule as messages name it.
fn named(rule: &CompiledRule) -> &str {
    match rule.rule.message.is_empty() {
        true => rule.rule.rule.trim(),
        false => rule.rule.message.trim(),
    }
}

fn invalid_type(path: &str, node: &Node, detail: String) -> FieldError {
    FieldError::invalid(field_of(path), node.kind.as_str(), detail)
}

/// The path of an error; the root has none.
fn field_of(path: &str) -> String {
    if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() }
}

/// A path of a rule as paths of errors have it: `.a['b']` is `.a.b`, or, where `b` is a key of a map, `.a[b]`.
fn as_field(path: &str, node: &Node) -> String {
    let (mut at, mut rest, mut out) = (Some(node), path, String::new());
    while !rest.is_empty() {
        let (name, behind) = match rest.strip_prefix("['") {
            Some(quoted) => quoted.split_once("']").unwrap_or((quoted, "")),
            None => {
                let plain = rest.strip_prefix('.').unwrap_or(rest);
                plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()))
            }
        };
        let each = at.and_then(|node| match &node.additional {
            Additional::Each(each) if node.property(name).is_none() => Some(&**each),
            _ => None,
        });
        out.push_str(&if each.is_some() { format!("[{name}]") } else { format!(".{name}") });
        at = each.or_else(|| at.and_then(|node| node.property(name)).map(|node| &**node));
        // A step of nothing would not end.
        rest = if behind.len() < rest.len() { behind } else { "" };
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn keys_of_maps_stand_in_brackets() {
        let leaf = || Arc::new(Node::default());
        let map = Node { additional: Additional::Each(leaf()), ..Node::default() };
        let properties = [("a".into(), leaf()), ("m".into(), Arc::new(map))];
        let node = Node { properties: Box::new(properties), ..Node::default() };
        for (path, shown) in [
            (".a", ".a"),
            (".m['some key']", ".m[some key]"),
            (".m.key", ".m[key]"),
            (".a['b'].c", ".a.b.c"),
            ("..", ".."),
        ] {
            assert_eq!(as_field(path, &node), shown);
        }
    }
}
