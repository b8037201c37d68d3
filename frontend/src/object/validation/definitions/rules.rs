//! The expressions of a definition's rules: they must compile, and what they may cost is bounded, one by one and
//! together.

use std::sync::Arc;

use crate::{
    api::{
        custom::{CompiledRule, RuleTree, Whole},
        schema::{
            Value,
            structural::{Additional, Node, NodeType, Rule},
        },
    },
    request::status::{FieldError, escape_html},
};

const EXPRESSION_COST_MAX: u64 = 10_000_000;
const DEFINITION_COST_MAX: u64 = 100_000_000;
/// The most expensive ones are named, if they cost a hundredth of the limit at least.
const NAMED_MAX: usize = 4;

/// Validates the rules of a structural schema. Those of a part that has other faults, at one of the paths `invalid` in
/// it, are left alone until these are mended.
pub(super) fn validate(schema: &Value, path: &str, unchanged: bool, invalid: &[String]) -> Vec<FieldError> {
    let node = Arc::new(Node::read(schema));
    let Some(tree) = RuleTree::of(&node, Whole::Object) else { return Vec::new() };
    let mut validation = Validation { errors: Vec::new(), total: 0, costs: Vec::new(), unchanged, invalid };
    validation.visit(&tree, &node, path, Some(1), None);
    if validation.total > DEFINITION_COST_MAX {
        validation.costs.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        for (path, _) in validation.costs.drain(..).take(NAMED_MAX) {
            let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            validation.errors.push(FieldError::forbidden(path, detail));
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        validation.errors.push(FieldError::forbidden(path, too_expensive(what, validation.total, DEFINITION_COST_MAX)));
    }
    validation.errors
}

/// The errors and costs of one schema's expressions so far.
struct Validation<'s> {
    errors: Vec<FieldError>,
    total: u64,
    costs: Vec<(String, u64)>,
    /// The schema is as it was: what its expressions cost was accepted.
    unchanged: bool,
    /// Paths of other errors of the schema.
    invalid: &'s [String],
}

impl Validation<'_> {
    /// `times`: how many values of the schema there may be in one object, where that is bounded. `loose`: the path of
    /// the schema above which values cannot be found again in an older object.
    fn visit(&mut self, tree: &RuleTree, node: &Node, path: &str, times: Option<u64>, loose: Option<&str>) {
        let below = times.zip(elements(node)).map(|(times, elements)| times.saturating_mul(elements));
        if let (Some(inner), Additional::Each(node)) = (&tree.additional, &node.additional) {
            self.visit(inner, node, &format!("{path}.additionalProperties"), below, loose);
        }
        let known_map = matches!(&*node.merge.map_type, "" | "granular" | "atomic");
        let loose_below = loose.or((!known_map).then_some(path));
        for (name, inner) in &tree.properties {
            if let Some(node) = node.property(name) {
                self.visit(inner, node, &format!("{path}.properties[{name}]"), below, loose_below);
            }
        }
        if let (Some(inner), Some(node_below)) = (&tree.items, &node.items) {
            let loose = loose.or((node.merge.list_type != "map").then_some(path));
            self.visit(inner, node_below, &format!("{path}.items"), below, loose);
        }
        let inside = |field: &String| field.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        if self.invalid.iter().any(inside) {
            return;
        }
        for (nth, rule) in tree.rules.iter().enumerate() {
            let path = format!("{path}.x-kubernetes-validations[{nth}]");
            self.rule(rule, &path, times.unwrap_or_else(|| tree.of.max_cardinality()), loose);
        }
    }

    fn rule(&mut self, rule: &CompiledRule, path: &str, times: u64, loose: Option<&str>) {
        let at = |field: &str| format!("{path}.{field}");
        self.cost(at("rule"), rule.cost_max.saturating_mul(times), "estimated rule cost");
        if let Err(why) = &rule.program
            && !why.is_empty()
        {
            self.errors.push(FieldError::invalid_value(at("rule"), printed(&rule.rule), why.as_str()));
        }
        match &rule.message {
            Some(Err(why)) => {
                self.errors.push(FieldError::invalid_value(at("messageExpression"), printed(&rule.rule), why.as_str()));
            }
            Some(Ok(_)) => {
                self.cost(at("messageExpression"), rule.message_cost_max, "estimated messageExpression cost");
            }
            None => {}
        }
        if rule.uses_old_self {
            if let Some(loose) = loose {
                let detail =
                    format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {loose}");
                self.errors.push(FieldError::invalid(at("rule"), &rule.rule.rule, detail));
            }
        } else if let Some(set) = rule.rule.optional_old_self {
            let detail = "may not be set if oldSelf is not used in rule";
            self.errors.push(FieldError::invalid_value(at("optionalOldSelf"), set, detail));
        }
    }

    fn cost(&mut self, path: String, cost: u64, what: &str) {
        if !self.unchanged && cost > EXPRESSION_COST_MAX {
            self.errors.push(FieldError::forbidden(path.as_str(), too_expensive(what, cost, EXPRESSION_COST_MAX)));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= DEFINITION_COST_MAX / 100 {
            self.costs.push((path, cost));
        }
    }
}

/// How many values may be in one value; none: that is not bounded.
fn elements(node: &Node) -> Option<u64> {
    let limit = |limit: Option<i64>| limit.map(|limit| limit.max(0).unsigned_abs());
    let limits = node.limits.as_deref();
    match (node.kind, &node.additional) {
        (NodeType::Object, Additional::Unsaid) => Some(1),
        (NodeType::Object, _) => limit(limits.and_then(|limits| limits.max_properties)),
        (NodeType::Array, _) => limit(limits.and_then(|limits| limits.max_items)),
        _ => Some(1),
    }
}

fn too_expensive(what: &str, cost: u64, limit: u64) -> String {
    let times = cost as f64 / limit as f64;
    let factor = if times > 100.0 {
        "more than 100x".to_owned()
    } else if times < 1.5 {
        format!("{times:.6}x")
    } else {
        format!("{times:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}

/// A rule as the original's inner type prints.
fn printed(rule: &Rule) -> String {
    let text = |text: &str| escape_html(&serde_json::Value::from(text).to_string());
    let reason = if rule.reason.is_empty() { "null".to_owned() } else { text(&rule.reason) };
    let optional = rule.optional_old_self.map_or("null".to_owned(), |set| set.to_string());
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{reason},\"FieldPath\":{},\"OptionalOldSelf\":{optional}}}",
        text(&rule.rule),
        text(&rule.message),
        text(&rule.message_expression),
        text(&rule.field_path),
    )
}
