//! What a schema demands of single values beyond their type: bounds, lengths, patterns, formats, enumerations.

use super::{
    formats,
    outcome::{Issue, Outcome, issue, of_value},
    shown,
};
use crate::{
    api::schema::{
        Value,
        structural::{Limits, Node},
    },
    request::status::{FieldError, FieldErrorKind, go_float},
};

/// Texts and numbers.
pub(super) fn validate(value: &Value, node: &Node, limits: &Limits, path: &str, outcome: &mut Outcome) {
    match value {
        Value::Str(text) => {
            string(text, limits, path, outcome);
            let format = formats::known(node);
            if !format.is_empty() && !formats::fits(format, text) {
                let wanted = &limits.format;
                let message = format!("{path} in body must be of type {wanted}: {}", shown(value));
                outcome.push(issue(path, FieldErrorKind::TypeInvalid, of_value(value), &message));
            }
        }
        Value::Int(_) | Value::Float(_) => number(value, limits, path, outcome),
        _ => {}
    }
}

fn string(text: &str, limits: &Limits, path: &str, outcome: &mut Outcome) {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let value = Value::from(text);
    if let Some(max) = limits.max_length.filter(|max| length > *max) {
        let bytes = usize::try_from(max).unwrap_or(0);
        let detail = FieldError::too_long("", bytes).detail;
        let text = format!("{path} in body should be at most {max} chars long");
        let path = Some(path.to_owned());
        return outcome.push(Issue { path, kind: FieldErrorKind::TooLong, shown: None, detail, text });
    }
    if let Some(min) = limits.min_length.filter(|min| length < *min) {
        let text = format!("{path} in body should be at least {min} chars long");
        return outcome.push(issue(path, FieldErrorKind::Invalid, of_value(&value), &text));
    }
    let pattern = &limits.pattern;
    if !pattern.text.is_empty() && !pattern.regex().is_some_and(|regex| regex.is_match(text)) {
        let text = format!("{path} in body should match '{}'", pattern.text);
        outcome.push(issue(path, FieldErrorKind::Invalid, of_value(&value), &text));
    }
}

fn number(value: &Value, limits: &Limits, path: &str, outcome: &mut Outcome) {
    let refuse = |outcome: &mut Outcome, what: String| {
        let text = format!("{path} in body should be {what}");
        outcome.push(issue(path, FieldErrorKind::Invalid, of_value(value), &text));
    };
    // Whole numbers are compared as such, with the bound cut to one.
    let whole = value.as_i64();
    let bound = |bound: f64| match whole {
        Some(_) => (bound as i64).to_string(),
        None => go_float(bound),
    };
    let order = |bound: f64| match whole {
        Some(whole) => whole.cmp(&(bound as i64)),
        None => value.as_f64().unwrap_or(0.0).total_cmp(&bound),
    };
    if let Some(factor) = limits.multiple_of {
        let positive = whole.map_or(factor > 0.0, |_| factor as i64 > 0);
        let fits = match whole {
            Some(whole) => positive && whole % (factor as i64) == 0,
            None => {
                let number = value.as_f64().unwrap_or(0.0);
                is_nearly_whole(if factor < 1.0 { 1.0 / factor * number } else { number / factor })
            }
        };
        if !positive {
            let factor = bound(factor);
            let text = format!("factor MultipleOf declared for {path} must be positive: {factor}");
            outcome.push(issue(path, FieldErrorKind::Invalid, Some(factor), &text));
        } else if !fits {
            refuse(outcome, format!("a multiple of {}", bound(factor)));
        }
    }
    if let Some(min) = limits.minimum {
        let bad = if limits.exclusive_minimum { order(min).is_le() } else { order(min).is_lt() };
        if bad {
            let than = if limits.exclusive_minimum { "greater than" } else { "greater than or equal to" };
            refuse(outcome, format!("{than} {}", bound(min)));
        }
    }
    if let Some(max) = limits.maximum {
        let bad = if limits.exclusive_maximum { order(max).is_ge() } else { order(max).is_gt() };
        if bad {
            let than = if limits.exclusive_maximum { "less than" } else { "less than or equal to" };
            refuse(outcome, format!("{than} {}", bound(max)));
        }
    }
}

pub(super) fn enumeration(value: &Value, limits: &Limits, path: &str, outcome: &mut Outcome) {
    if limits.enumeration.is_empty() || limits.enumeration.iter().any(|allowed| is_same(value, allowed)) {
        return;
    }
    let words: Vec<String> = limits
        .enumeration
        .iter()
        .map(|allowed| match allowed {
            Value::Str(text) => text.to_string(),
            other => shown(other),
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let detail = FieldError::not_supported("", "", &words).detail;
    let text = format!("{path} in body should be one of {words:?}");
    let path = Some(path.to_owned());
    outcome.push(Issue { path, kind: FieldErrorKind::NotSupported, shown: of_value(value), detail, text });
}

/// An integer that a float holds exactly, as JavaScript has it.
pub(super) fn is_whole(number: f64) -> bool {
    const SAFE_MAX: f64 = 9_007_199_254_740_991.0;
    number.fract() == 0.0 && number.abs() <= SAFE_MAX
}

/// Whole up to a relative error, above its whole part alone, as go-openapi's test for integers of JSON has it.
fn is_nearly_whole(number: f64) -> bool {
    let cut = number.trunc();
    is_whole(number) || is_whole(cut) && cut > 0.0 && (number - cut) / (number + cut) < 1e-9
}

/// A value that Go converts to the type of the allowed one first, as the original has it: floats are cut to whole
/// numbers, and a whole number becomes the text of the character that has it.
fn is_same(value: &Value, allowed: &Value) -> bool {
    match (value, allowed) {
        (Value::Int(a), Value::Float(b)) => *a as f64 == *b,
        (Value::Float(a), Value::Int(b)) => *a as i64 == *b,
        (Value::Int(a), Value::Str(b)) => {
            let character = u32::try_from(*a).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            b.chars().eq([character])
        }
        (Value::Null, _) => false,
        (Value::Struct(_), other) => crate::api::schema::fit::free(value.clone()) == *other,
        (a, b) => a == b,
    }
}

/// How many items a list has, and whether they differ.
pub(super) fn items(items: &[Value], limits: &Limits, path: &str, outcome: &mut Outcome) {
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if let Some(min) = limits.min_items.filter(|min| count < *min) {
        let text = format!("{path} in body should have at least {min} items");
        outcome.push(issue(path, FieldErrorKind::Invalid, Some(count.to_string()), &text));
    }
    if let Some(max) = limits.max_items.filter(|max| count > *max) {
        let text = format!("{path} in body should have at most {max} items");
        outcome.push(too_many(path, count, max, text));
    }
    if limits.unique_items && items.iter().enumerate().any(|(at, item)| items[..at].contains(item)) {
        let text = format!("{path} in body shouldn't contain duplicates");
        outcome.push(issue(path, FieldErrorKind::Invalid, Some("\"\"".to_owned()), &text));
    }
}

/// How many members an object has.
pub(super) fn properties(count: usize, limits: &Limits, path: &str, outcome: &mut Outcome) {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if let Some(min) = limits.min_properties.filter(|min| count < *min) {
        let text = format!("{path} in body should have at least {min} properties");
        outcome.push(issue(path, FieldErrorKind::Invalid, Some(count.to_string()), &text));
    }
    if let Some(max) = limits.max_properties.filter(|max| count > *max) {
        let text = format!("{path} in body should have at most {max} properties");
        outcome.push(too_many(path, count, max, text));
    }
}

fn too_many(path: &str, count: i64, max: i64, text: String) -> Issue {
    let size = |n: i64| usize::try_from(n).unwrap_or(0);
    let error = FieldError::too_many("", size(count), size(max));
    Issue {
        path: Some(path.to_owned()),
        kind: FieldErrorKind::TooMany,
        shown: error.bad_value,
        detail: error.detail,
        text,
    }
}
