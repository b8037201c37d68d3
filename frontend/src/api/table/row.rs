//! One object as the cells see it: short accessors that read absent as Go's zero value.

use jiff::Timestamp;

use super::column::{Cell, CellValue};
use super::format;
use crate::api::schema::{Object, Value};

/// What an age is when there is no time to count from.
const UNKNOWN: &str = "<unknown>";

pub(super) struct Row<'a> {
    pub(super) object: &'a Object,
    pub(super) now: Timestamp,
}

impl Row<'_> {
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

    pub(super) fn cell(&self, cell: Cell) -> CellValue {
        match cell {
            Cell::Name => self.object.name().into(),
            Cell::Age => self.age().into(),
            Cell::CreatedAt => self.object.creation_timestamp().into(),
            Cell::Text(path) => self.text(path).into(),
            Cell::TextOr(path, absent) => self.object.get_str(path).unwrap_or(absent).into(),
            Cell::Int(path) => self.int(path).into(),
            Cell::BoolOr(path, absent) => self.object.get_bool(path).unwrap_or(absent).into(),
            Cell::Count(path) => self.value(path).map_or(0, count).into(),
            Cell::ContainerNames(path) => join(self.list(path), "name").into(),
            Cell::ContainerImages(path) => join(self.list(path), "image").into(),
            Cell::Selector(path) => format::or_none(format::label_selector(self.value(path))).into(),
            Cell::Labels(path) => format::labels(self.value(path)).into(),
            Cell::With(make) => make(self),
        }
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

pub(super) fn text_in<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    value.at(path).and_then(Value::as_str).unwrap_or("")
}

pub(super) fn int_in(value: &Value, path: &[&str]) -> i64 {
    value.at(path).and_then(Value::as_i64).unwrap_or(0)
}

pub(super) fn bool_in(value: &Value, path: &[&str]) -> bool {
    value.at(path).and_then(Value::as_bool).unwrap_or(false)
}

/// The status of the condition of this type in a list of conditions.
pub(super) fn condition<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions.iter().find(|c| text_in(c, &["type"]) == kind)
}
