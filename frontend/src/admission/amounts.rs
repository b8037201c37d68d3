//! Amounts of resources: the maps from names to quantities in requests, limits, ranges and quotas, and sums of them.

use std::collections::BTreeMap;

use crate::api::schema::{MapValue, Value, scalar::quantity::Quantity};

/// Quantities by the name of the resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Amounts(pub(super) BTreeMap<String, Quantity>);

impl Amounts {
    /// A map of an object; empty where there is none.
    pub(super) fn of(value: Option<&Value>) -> Amounts {
        let map = value.and_then(Value::as_map).into_iter().flat_map(MapValue::iter);
        let parsed = map.filter_map(|(name, text)| {
            Some((name.to_owned(), Quantity::parse(text.as_str().unwrap_or_default()).ok()?))
        });
        Amounts(parsed.collect())
    }

    pub(super) fn count(name: impl Into<String>, count: i64) -> Amounts {
        Amounts([(name.into(), Quantity::from_units(count))].into())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Quantity> {
        self.0.get(name)
    }

    pub(super) fn set(&mut self, name: impl Into<String>, quantity: Quantity) {
        self.0.insert(name.into(), quantity);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Quantity)> {
        self.0.iter().map(|(name, quantity)| (name.as_str(), quantity))
    }

    pub(super) fn add(&mut self, other: &Amounts) {
        for (name, quantity) in &other.0 {
            let sum = self.0.get(name).map_or(*quantity, |have| have.plus(quantity));
            self.0.insert(name.clone(), sum);
        }
    }

    /// The larger of both, name by name.
    pub(super) fn raise(&mut self, other: &Amounts) {
        for (name, quantity) in &other.0 {
            if self.0.get(name).is_none_or(|have| quantity > have) {
                self.0.insert(name.clone(), *quantity);
            }
        }
    }

    /// What is more here than there, nothing below zero.
    pub(super) fn beyond(&self, other: &Amounts) -> Amounts {
        let zero = Quantity::from_units(0);
        let mut rest = Amounts::default();
        for (name, quantity) in &self.0 {
            let left = other.0.get(name).map_or(*quantity, |less| quantity.minus(less));
            rest.set(name.clone(), if left > zero { left } else { zero });
        }
        for name in other.0.keys() {
            rest.0.entry(name.clone()).or_insert(zero);
        }
        rest
    }

    /// Only these names.
    pub(super) fn only(&self, keep: impl Fn(&str) -> bool) -> Amounts {
        Amounts(self.0.iter().filter(|(name, _)| keep(name)).map(|(name, q)| (name.clone(), *q)).collect())
    }

    /// `cpu=1,memory=2Gi`
    pub(super) fn print(&self) -> String {
        let parts: Vec<String> =
            self.iter().map(|(name, quantity)| format!("{name}={}", quantity.canonical())).collect();
        parts.join(",")
    }

    /// As an object holds it.
    pub(super) fn to_value(&self) -> Value {
        let entries = self.0.iter().map(|(name, quantity)| (name.as_str().into(), quantity.canonical().into()));
        MapValue::from_entries(entries.collect()).into()
    }
}

/// What a container says of `requests` or `limits`.
pub(super) fn of_container(container: &Value, part: &str) -> Amounts {
    Amounts::of(container.at(&["resources", part]))
}

/// What a pod's containers need at most at one time, each saying how much by `each`. Init containers run one after
/// the other, and beside those before them that are restarted.
pub(super) fn of_containers(spec: &Value, each: impl Fn(&Value) -> Amounts) -> Amounts {
    let list = |name: &str| spec.child(name).and_then(Value::as_list).unwrap_or_default();
    let mut sum = Amounts::default();
    for container in list("containers") {
        sum.add(&each(container));
    }
    let (mut restarted, mut highest) = (Amounts::default(), Amounts::default());
    for container in list("initContainers") {
        let mut needs = each(container);
        if container.child("restartPolicy").and_then(Value::as_str) == Some("Always") {
            sum.add(&needs);
            restarted.add(&needs);
            needs = restarted.clone();
        } else {
            needs.add(&restarted);
        }
        highest.raise(&needs);
    }
    sum.raise(&highest);
    sum
}

/// What a pod needs: the sum over its containers, but for the resources that it may ask for as a whole.
pub(super) fn of_pod(spec: &Value, part: &str, as_a_whole: impl Fn(&str) -> bool) -> Amounts {
    let mut sum = of_containers(spec, |container| of_container(container, part));
    sum.0.extend(Amounts::of(spec.at(&["resources", part])).only(as_a_whole).0);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{Schema, codec};

    fn spec(json: serde_json::Value) -> Value {
        let pod = Schema::builtin().kind("", "v1", "Pod").unwrap();
        let text = serde_json::json!({"spec": json}).to_string();
        codec::decode_json_as(&pod, text.as_bytes()).unwrap().object.get(&["spec"]).cloned().unwrap()
    }

    #[test]
    fn a_pod_needs_what_runs_at_one_time() {
        let cpu = |n: &str| serde_json::json!({"requests": {"cpu": n}});
        for (json, expected) in [
            (serde_json::json!({"containers": [{"resources": cpu("1")}, {"resources": cpu("500m")}]}), "cpu=1500m"),
            (
                serde_json::json!({
                    "containers": [{"resources": cpu("1")}],
                    "initContainers": [{"resources": cpu("3")}, {"resources": cpu("2")}],
                }),
                "cpu=3",
            ),
            (
                serde_json::json!({
                    "containers": [{"resources": cpu("1")}],
                    "initContainers": [{"resources": cpu("2"), "restartPolicy": "Always"}, {"resources": cpu("3")}],
                }),
                "cpu=5",
            ),
            (
                serde_json::json!({"containers": [{"resources": cpu("1")}], "resources": {"requests": {"cpu": "7"}}}),
                "cpu=7",
            ),
        ] {
            assert_eq!(of_pod(&spec(json), "requests", |name| name == "cpu").print(), expected);
        }
    }

    #[test]
    fn what_is_beyond_another_is_never_negative() {
        let a = Amounts::count("pods", 2);
        let mut b = Amounts::count("pods", 3);
        b.set("cpu", Quantity::from_units(1));
        assert_eq!(a.beyond(&b).print(), "cpu=0,pods=0");
        assert_eq!(b.beyond(&a).print(), "cpu=1,pods=1");
    }
}
