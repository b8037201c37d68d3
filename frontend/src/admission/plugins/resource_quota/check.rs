//! Whether what somebody asks for fits into the quotas of a namespace, and what they have used afterwards.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    limited::Limited,
    usage::{Counted, Scope},
};
use crate::{
    admission::{Attributes, Operation, amounts::Amounts},
    api::schema::{Object, Value},
    cluster::objects::text,
    request::status::ApiError,
};

/// A quota with a new state of what is used.
pub(super) struct Used {
    pub(super) quota: Arc<Object>,
    pub(super) used: Amounts,
}

/// One request against a namespace's quotas.
pub(super) struct Check<'a> {
    pub(super) attributes: &'a Attributes<'a>,
    pub(super) object: &'a Object,
    pub(super) counted: Counted<'a>,
    pub(super) limited: &'a [Limited],
    pub(super) now: Timestamp,
}

pub(super) fn hard(quota: &Object) -> Amounts {
    Amounts::of(quota.get(&["status", "hard"]))
}

pub(super) fn used(quota: &Object) -> Amounts {
    Amounts::of(quota.get(&["status", "used"]))
}

impl Check<'_> {
    /// The quotas whose usage changes; a refusal if one would be exceeded.
    pub(super) fn against(&self, quotas: &[Arc<Object>]) -> Result<Vec<Used>, ApiError> {
        let interesting = self.interesting(quotas)?;
        let usage = self.counted.usage(self.object, self.now);
        let negative = usage.only(|name| usage.get(name).is_some_and(|quantity| quantity.is_negative()));
        if !negative.is_empty() {
            let names: Vec<&str> = negative.iter().map(|(name, _)| name).collect();
            let why = format!("quota usage is negative for resource(s): {}", names.join(","));
            return Err(self.attributes.forbidden(why));
        }
        // A change uses what is more than before, in quotas that the object was in before.
        let old = self.attributes.old.filter(|_| self.attributes.operation == Operation::Update);
        let grown = old.map(|old| usage.beyond(&self.counted.usage(old, self.now)));
        let delta = |quota: &Object| match (old, &grown) {
            (Some(old), Some(grown)) if self.is_about(quota, old) => grown,
            _ => &usage,
        };
        let something = |amounts: &Amounts| amounts.iter().any(|(_, quantity)| !quantity.is_zero());
        let changed: Vec<&Arc<Object>> = interesting.iter().copied().filter(|quota| something(delta(quota))).collect();
        let uses = match interesting.is_empty() {
            true => something(grown.as_ref().unwrap_or(&usage)),
            false => !changed.is_empty(),
        };
        if !uses {
            return Ok(Vec::new());
        }
        self.check_covered(quotas, &interesting, &usage)?;
        changed.into_iter().map(|quota| self.fit(quota, delta(quota))).collect()
    }

    /// Quotas that are about the object, of which each must know what is used already.
    fn interesting<'q>(&self, quotas: &'q [Arc<Object>]) -> Result<Vec<&'q Arc<Object>>, ApiError> {
        let mut interesting = Vec::new();
        for quota in quotas.iter().filter(|quota| self.is_about(quota, self.object)) {
            let names = self.restricted(quota);
            if let Some(why) = (self.counted.counting.missing)(&names, self.object) {
                return Err(self.attributes.forbidden(format!("failed quota: {}: {why}", quota.name())));
            }
            let used = used(quota);
            if names.iter().any(|name| used.get(name).is_none()) {
                let (quota, names) = (quota.name(), names.join(","));
                return Err(self
                    .attributes
                    .forbidden(format!("status unknown for quota: {quota}, resources: {names}")));
            }
            interesting.push(quota);
        }
        Ok(interesting)
    }

    fn restricted(&self, quota: &Object) -> Vec<String> {
        hard(quota).0.into_keys().filter(|name| self.counted.matches(name)).collect()
    }

    fn is_about(&self, quota: &Object, object: &Object) -> bool {
        let in_scope = |scope: &Scope<'_>| (self.counted.counting.in_scope)(scope, object);
        !self.restricted(quota).is_empty() && scopes(quota).iter().all(in_scope)
    }

    /// What an operator allows only within a quota must be within one.
    fn check_covered(
        &self,
        quotas: &[Arc<Object>],
        interesting: &[&Arc<Object>],
        usage: &Amounts,
    ) -> Result<(), ApiError> {
        let row = self.attributes.row();
        let concerned = self.limited.iter().filter(|limited| limited.row() == row);
        let named = |name: &str| concerned.clone().any(|limited| limited.contains(name));
        let positive = |name: &str| usage.get(name).is_some_and(|q| !q.is_zero() && !q.is_negative());
        let restricted: Vec<String> = interesting.iter().flat_map(|quota| self.restricted(quota)).collect();
        let uncovered = usage.only(|name| named(name) && positive(name) && !restricted.iter().any(|r| r == name));
        if !uncovered.is_empty() {
            let names: Vec<&str> = uncovered.iter().map(|(name, _)| name).collect();
            return Err(self.attributes.forbidden(format!("insufficient quota to consume: {}", names.join(","))));
        }
        let in_scope = |scope: &Scope<'_>| (self.counted.counting.in_scope)(scope, self.object);
        let of_quotas: Vec<Scope<'_>> = quotas.iter().flat_map(|quota| scopes(quota)).filter(in_scope).collect();
        let limited: Vec<Scope<'_>> = self.limited.iter().flat_map(Limited::scopes).filter(in_scope).collect();
        let uncovered: Vec<String> = limited
            .iter()
            .filter(|scope| !of_quotas.iter().any(|other| other.name == scope.name))
            .map(|scope| format!("{{{} {} [{}]}}", scope.name, scope.operator, scope.values.join(" ")))
            .collect();
        match uncovered.is_empty() {
            true => Ok(()),
            false => {
                Err(ApiError::unknown(format!("insufficient quota to match these scopes: [{}]", uncovered.join(" "))))
            }
        }
    }

    fn fit(&self, quota: &Arc<Object>, delta: &Amounts) -> Result<Used, ApiError> {
        let (hard, used) = (hard(quota), used(quota));
        let requested = delta.only(|name| hard.get(name).is_some() && delta.get(name).is_some_and(|q| !q.is_zero()));
        let mut after = used.clone();
        after.add(&requested);
        let over = |name: &str| match (requested.get(name), after.get(name), hard.get(name)) {
            (Some(_), Some(after), Some(hard)) => after > hard,
            _ => false,
        };
        if self.attributes.subresource != "status" && hard.iter().any(|(name, _)| over(name)) {
            return Err(self.attributes.forbidden(format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                quota.name(),
                requested.only(over).print(),
                used.only(over).print(),
                hard.only(over).print(),
            )));
        }
        Ok(Used { quota: Arc::clone(quota), used: after })
    }
}

/// The conditions of a quota: its scopes, and its scope selector.
fn scopes(quota: &Object) -> Vec<Scope<'_>> {
    let plain = quota.get_list(&["spec", "scopes"]).unwrap_or_default().iter().filter_map(Value::as_str);
    let plain = plain.map(|name| Scope { name, operator: "Exists", values: Vec::new() });
    let expressions = quota.get_list(&["spec", "scopeSelector", "matchExpressions"]).unwrap_or_default().iter();
    let selected = expressions.map(|expression| Scope {
        name: text(expression, "scopeName"),
        operator: text(expression, "operator"),
        values: super::list(expression, &["values"]).iter().filter_map(Value::as_str).collect(),
    });
    plain.chain(selected).collect()
}
