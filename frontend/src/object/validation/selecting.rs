//! Label selectors as objects hold them, applied to labels. Not here: selectors of queries (`selector`).

use crate::api::schema::{MapValue, Struct, Value};

/// A selector that can be read.
pub(super) struct Selector<'t> {
    requirements: Vec<(&'t str, &'t str, Vec<&'t str>)>,
}

fn expressions(selector: &Struct) -> &[Value] {
    selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default()
}

fn labels(selector: &Struct) -> impl Iterator<Item = (&str, &str)> {
    let map = selector.get("matchLabels").and_then(Value::as_map);
    map.into_iter().flat_map(MapValue::iter).filter_map(|(key, value)| Some((key, value.as_str()?)))
}

pub(super) fn is_empty(selector: &Struct) -> bool {
    labels(selector).next().is_none() && expressions(selector).is_empty()
}

/// The requirements of a selector; Err when one has a form that no label can meet.
pub(super) fn parse(selector: &Struct) -> Result<Selector<'_>, ()> {
    use super::names::{label_key, label_value};
    let mut requirements = Vec::new();
    for (key, value) in labels(selector) {
        requirements.push((key, "In", vec![value]));
    }
    for expression in expressions(selector) {
        let text = |name| expression.child(name).and_then(Value::as_str).unwrap_or_default();
        let values = expression.child("values").and_then(Value::as_list).unwrap_or_default();
        requirements.push((text("key"), text("operator"), values.iter().filter_map(Value::as_str).collect()));
    }
    let readable = requirements.iter().all(|(key, operator, values)| {
        let count = match *operator {
            "In" | "NotIn" => !values.is_empty(),
            "Exists" | "DoesNotExist" => values.is_empty(),
            _ => false,
        };
        count && label_key(key).is_empty() && values.iter().all(|value| label_value(value).is_empty())
    });
    readable.then_some(Selector { requirements }).ok_or(())
}

impl Selector<'_> {
    pub(super) fn matches(&self, labels: Option<&MapValue>) -> bool {
        self.requirements.iter().all(|(key, operator, values)| {
            let found = labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
            let listed = found.is_some_and(|found| values.contains(&found));
            match *operator {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
    }
}
