//! Who owns what: metadata.managedFields as managers with their sets, and back.

use std::borrow::Cow;

use super::set::Set;
use crate::api::schema::{Kind, Object, Struct, StructRef, Value};

pub const PATH: [&str; 2] = ["metadata", "managedFields"];

/// How a manager came to own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// One entry of managedFields.
#[derive(Clone, Debug)]
pub(super) struct Manager<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) operation: Operation,
    pub(super) api_version: Cow<'a, str>,
    pub(super) subresource: Cow<'a, str>,
    pub(super) time: Option<Cow<'a, str>>,
    pub(super) set: Set<'a>,
}

impl Manager<'_> {
    /// An applier is the same whatever version it applies; an updater of another version is another.
    pub(super) fn is(&self, other: &Manager<'_>) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// As messages name it.
    pub(super) fn title(&self) -> String {
        let mut title = crate::request::status::go_quote(&self.name);
        if !self.subresource.is_empty() {
            title.push_str(&format!(" with subresource {}", crate::request::status::go_quote(&self.subresource)));
        }
        if self.operation == Operation::Update {
            title.push_str(&format!(" using {}", self.api_version));
        }
        title
    }
}

/// The entries of an object, undecoded.
pub(super) fn entries(object: &Object) -> Option<&[Value]> {
    object.get_list(&PATH)
}

/// Why the entries of an object cannot be read; nothing if they can.
pub(super) fn error(object: &Object) -> Option<String> {
    decode(entries(object).unwrap_or_default()).err()
}

/// A client forgets all owners by sending no entry, or an empty one.
pub(super) fn is_reset(entries: Option<&[Value]>) -> bool {
    match entries {
        None => false,
        Some([]) => true,
        Some([Value::Struct(entry)]) => entry.is_empty(),
        Some(_) => false,
    }
}

/// Reads entries; of two for one manager the later stays.
pub(super) fn decode(entries: &[Value]) -> Result<Vec<Manager<'_>>, String> {
    let mut managers: Vec<Manager<'_>> = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        let manager = decode_entry(at, entry)?;
        match managers.iter_mut().find(|known| known.is(&manager)) {
            Some(known) => *known = manager,
            None => managers.push(manager),
        }
    }
    Ok(managers)
}

fn decode_entry(at: usize, entry: &Value) -> Result<Manager<'_>, String> {
    let text = |name: &str| entry.child(name).and_then(Value::as_str).unwrap_or("");
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    if text("apiVersion").is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
        other => {
            let quoted = crate::request::status::go_quote(other);
            return Err(format!("invalid fieldsType {quoted} in managed fields entry {at}"));
        }
    }
    let json = entry.child("fieldsV1").and_then(Value::as_bytes).unwrap_or(b"{}");
    Ok(Manager {
        name: text("manager").into(),
        operation,
        api_version: text("apiVersion").into(),
        subresource: text("subresource").into(),
        time: entry.child("time").and_then(Value::as_str).map(Cow::Borrowed),
        set: Set::from_json(json).map_err(|error| format!("error decoding set: {error}"))?,
    })
}

/// The entries of managers, in the order in which the real server keeps them. None without managers.
pub(super) fn encode(mut managers: Vec<Manager<'_>>, metadata: &StructRef) -> Option<Value> {
    let entry_def = match &metadata.field(PATH[1])?.kind {
        Kind::Struct(def) => def,
        _ => return None,
    };
    managers.sort_by(|a, b| {
        let key = |manager: &Manager<'_>| (manager.operation, second(manager).to_owned());
        key(a)
            .cmp(&key(b))
            .then_with(|| a.name.cmp(&b.name))
            .then_with(|| a.api_version.cmp(&b.api_version))
            .then_with(|| a.subresource.cmp(&b.subresource))
    });
    let list: Vec<Value> = managers.iter().map(|manager| encode_entry(manager, entry_def)).collect();
    (!list.is_empty()).then_some(Value::List(list))
}

/// When a manager last changed anything, for comparison: times are kept in one form, which sorts as text.
pub(super) fn second<'m>(manager: &'m Manager<'_>) -> &'m str {
    manager.time.as_deref().unwrap_or("1970-01-01T00:00:00Z")
}

fn encode_entry(manager: &Manager<'_>, def: &StructRef) -> Value {
    let mut entry = Struct::new(def);
    let mut text = |name: &str, value: &str| {
        if !value.is_empty() {
            entry.set(name, value);
        }
    };
    text("manager", &manager.name);
    text("operation", manager.operation.name());
    text("apiVersion", &manager.api_version);
    text("time", manager.time.as_deref().unwrap_or(""));
    text("fieldsType", "FieldsV1");
    text("subresource", &manager.subresource);
    entry.set("fieldsV1", Value::Bytes(manager.set.to_json().into_boxed_slice()));
    Value::Struct(entry)
}
