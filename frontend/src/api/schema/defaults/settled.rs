//! Whether defaults would change a stored message: what was stored by a server of this version has them all. Told
//! from the bytes, without a tree. No is said wherever that cannot be told.

use super::{PLANS, Work};
use crate::api::schema::{
    codec::Message,
    plans::Plan,
    tables::{Kind, Presence, Shape},
};

/// True if defaults certainly change nothing.
pub fn is_settled(message: &Message<'_>) -> bool {
    let Some(plan) = PLANS.of(message.def()) else { return true };
    has_its_own(message, plan) && plan.visit.iter().all(|slot| is_settled_below(message, *slot))
}

fn has_its_own(message: &Message<'_>, plan: &Plan<Work>) -> bool {
    let rules = plan.work.rules.iter().all(|rule| {
        let function = match (rule.function, rule.is_settled) {
            (None, _) => true,
            (Some(_), Some(is_settled)) => is_settled(message),
            (Some(_), None) => false,
        };
        function && rule.values.iter().all(|(path, _)| message.has(path))
    });
    rules && plan.work.round.iter().all(|slot| message.entries(*slot).all(|(_, value)| !may_round(value)))
}

/// Only a fraction or a suffix below milli is rounded.
fn may_round(quantity: Option<&[u8]>) -> bool {
    quantity.is_none_or(|text| text.iter().any(|byte| b"nu.eE".contains(byte)))
}

fn is_settled_below(message: &Message<'_>, slot: usize) -> bool {
    let field = &message.def().fields[slot];
    let is_plain = field.shape == Shape::One && matches!(field.presence, Presence::Always | Presence::Omit);
    let mut given = message.messages(slot).peekable();
    if given.peek().is_none() {
        // A plain struct is there even when nothing was given for it.
        return !(is_plain && matches!(field.kind, Kind::Struct(_)));
    }
    given.all(|inner| inner.is_some_and(|inner| is_settled(&inner)))
}
