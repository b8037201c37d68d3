//! One object as the cells see it: short accessors that read absent as Go's zero value.

use jiff::Timestamp;

use super::{format, value::text_in};
use crate::api::schema::{Object, Value};

/// What an age is when there is no time to count from.
const UNKNOWN: &str = "<unknown>";

pub(super) struct Row<'a> {
    pub(super) object: &'a Object,
    pub(super) now: Timestamp,
}

impl Row<'_> {
    pub(super) fn whole(&self) -> &Value {
        self.object.value()
    }

    pub(super) fn value(&self, path: &[&str]) -> Option<&Value> {
        self.object.get(path)
    }

    pub(super) fn text(&self, path: &[&str]) -> &str {
        self.object.get_str(path).unwrap_or("")
    }

    pub(super) fn int(&self, path: &[&str]) -> i64 {
        self.object.get_i64(path).unwrap_or(0)
    }

    pub(super) fn list(&self, path: &[&str]) -> &[Value] {
        self.object.get_list(path).unwrap_or(&[])
    }

    pub(super) fn is_deleting(&self) -> bool {
        self.object.deletion_timestamp().is_some()
    }

    /// The time since an RFC 3339 time, short.
    pub(super) fn since(&self, time: Option<&str>) -> String {
        match time.and_then(parse_time) {
            Some(then) => format::human_duration(self.now.duration_since(then).as_millis()),
            None => UNKNOWN.to_owned(),
        }
    }

    pub(super) fn age(&self) -> String {
        self.since(self.object.get_str(&["metadata", "creationTimestamp"]))
    }
}

pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The entries of a list or map.
pub(super) fn count(value: &Value) -> i64 {
    let entries = match value {
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => 0,
    };
    i64::try_from(entries).unwrap_or(i64::MAX)
}

/// The text under a name in each item, joined by commas.
pub(super) fn join(items: &[Value], name: &str) -> String {
    let texts: Vec<&str> = items.iter().map(|item| text_in(item, &[name])).collect();
    texts.join(",")
}
