//! JSON patch (RFC 6902), with the liberties that the real server's library takes.
//!
//! `replace` of a missing map key succeeds, a pointer without a leading slash loses its first segment, negative indexes
//! count from the end. Objects on the way to a change come out with sorted keys, since error messages show the
//! document.

use serde_json::{Map, Value};

use super::PatchError;

/// More operations than this are refused.
pub const OPERATIONS_MAX: usize = 10_000;

/// All that the copies of one patch add, as JSON.
const COPIED_BYTES_MAX: usize = 3 * 1024 * 1024;

/// A parsed patch document: its operations, not yet looked into.
#[derive(Clone, Debug)]
pub struct JsonPatch(Vec<Map<String, Value>>);

impl JsonPatch {
    /// Takes a document that must be a list of objects.
    pub fn from_value(document: Value) -> Result<JsonPatch, PatchError> {
        let go_type = |v: &Value| match v {
            Value::Object(_) => "object",
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "bool",
            Value::Null => "null",
        };
        let mismatch = |found: &Value, wanted: &str| {
            PatchError::Malformed(format!(
                "error decoding patch: json: cannot unmarshal {} into Go value of type {wanted}",
                go_type(found)
            ))
        };
        match document {
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::Object(operation) => Ok(operation),
                    Value::Null => Ok(Map::new()),
                    other => Err(mismatch(&other, "handlers.jsonPatchOp")),
                })
                .collect::<Result<_, _>>()
                .map(JsonPatch),
            Value::Null => Ok(JsonPatch(Vec::new())),
            other => Err(mismatch(&other, "[]handlers.jsonPatchOp")),
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies all operations, or none if one fails.
    pub fn apply(&self, document: &Value) -> Result<Value, PatchError> {
        let mut patched = document.clone();
        sort(&mut patched);
        let mut copied = 0;
        for operation in &self.0 {
            apply_one(&mut patched, operation, &mut copied)?;
        }
        Ok(patched)
    }
}

fn refuse<T>(text: String) -> Result<T, PatchError> {
    Err(PatchError::DoesNotApply(text))
}

fn missing<T>(what: &str, path: &str) -> Result<T, PatchError> {
    refuse(format!("{what} operation does not apply: doc is missing path: {path:?}: missing value"))
}

fn text<'a>(operation: &'a Map<String, Value>, name: &str) -> Result<&'a str, PatchError> {
    match operation.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text),
        None => refuse(format!("operation missing {name} field: missing value")),
    }
}

fn apply_one(document: &mut Value, operation: &Map<String, Value>, copied_bytes: &mut usize) -> Result<(), PatchError> {
    let op = operation.get("op").and_then(Value::as_str).unwrap_or("unknown");
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    match op {
        "add" => add(document, text(operation, "path")?, value()),
        "remove" => remove(document, text(operation, "path")?).map(drop),
        "replace" => replace(document, text(operation, "path")?, value()),
        "move" => {
            let moved = remove(document, text(operation, "from")?)?;
            add(document, text(operation, "path")?, moved)
        }
        "test" => test(document, text(operation, "path")?, &value()),
        "copy" => {
            let from = text(operation, "from")?;
            // What is copied is written down after both ways were gone, and so in the order that they left.
            container(document, text(operation, "path")?);
            let copied = match container(document, from) {
                Some((holder, key)) => get(holder, &key)?.cloned().unwrap_or(Value::Null),
                None => return missing("copy", from),
            };
            *copied_bytes += json_length(&copied);
            if *copied_bytes > COPIED_BYTES_MAX {
                return refuse(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied_bytes}, exceeding the limit {COPIED_BYTES_MAX}"
                ));
            }
            add(document, text(operation, "path")?, copied)
        }
        other => refuse(format!("Unexpected kind: {other}")),
    }
}

/// How long a value is as JSON, without writing it anywhere.
fn json_length(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The object or list that holds what the pointer names, and the last key.
fn container<'a>(document: &'a mut Value, pointer: &str) -> Option<(&'a mut Value, String)> {
    let mut segments: Vec<String> =
        pointer.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
    let key = segments.pop()?;
    let mut at = document;
    for segment in segments {
        at = match at {
            Value::Object(map) => map.get_mut(&segment)?,
            Value::Array(items) => {
                let index = index(&segment, items.len())?;
                items.get_mut(index)?
            }
            _ => return None,
        };
        sort(at);
    }
    matches!(at, Value::Object(_) | Value::Array(_)).then_some((at, key))
}

fn sort(value: &mut Value) {
    if let Value::Object(map) = value {
        map.sort_keys();
    }
}

/// An index into a list of that length; negative ones count from its end.
fn index(key: &str, length: usize) -> Option<usize> {
    let digits = key.strip_prefix('+').unwrap_or(key);
    let index: i64 = digits.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let from_start = if index < 0 { index + length } else { index };
    usize::try_from(from_start).ok()
}

fn get<'a>(holder: &'a Value, key: &str) -> Result<Option<&'a Value>, PatchError> {
    match holder {
        Value::Object(map) => Ok(map.get(key)),
        Value::Array(items) => match index(key, items.len()).and_then(|at| items.get(at)) {
            Some(item) => Ok(Some(item)),
            None => refuse(format!("Unable to access invalid index: {key}: invalid index referenced")),
        },
        _ => Ok(None),
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), PatchError> {
    match container(document, path) {
        Some((Value::Object(map), key)) => {
            map.insert(key, value);
            map.sort_keys();
            Ok(())
        }
        Some((Value::Array(items), key)) if key == "-" => {
            items.push(value);
            Ok(())
        }
        Some((Value::Array(items), key)) => match index(&key, items.len() + 1).filter(|at| *at <= items.len()) {
            Some(at) => {
                items.insert(at, value);
                Ok(())
            }
            None => refuse(format!("error in add for path: '{path}': invalid index referenced")),
        },
        _ => missing("add", path),
    }
}

fn remove(document: &mut Value, path: &str) -> Result<Value, PatchError> {
    let nonexistent = |key: &str| {
        let why = format!("Unable to remove nonexistent key: {key}: missing value");
        PatchError::DoesNotApply(format!("error in remove for path: '{path}': {why}"))
    };
    match container(document, path) {
        Some((Value::Object(map), key)) => map.shift_remove(&key).ok_or_else(|| nonexistent(&key)),
        Some((Value::Array(items), key)) => match index(&key, items.len()).filter(|at| *at < items.len()) {
            Some(at) => Ok(items.remove(at)),
            None => refuse(format!(
                "error in remove for path: '{path}': Unable to access invalid index: {key}: invalid index referenced"
            )),
        },
        _ => missing("remove", path),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), PatchError> {
    if path.is_empty() {
        return match value {
            Value::Object(_) | Value::Array(_) => {
                *document = value;
                Ok(())
            }
            _ => refuse("replace operation value must be object or array".to_owned()),
        };
    }
    match container(document, path) {
        Some((Value::Object(map), key)) => {
            map.insert(key, value);
            map.sort_keys();
            Ok(())
        }
        Some((Value::Array(items), key)) => match index(&key, items.len()).and_then(|at| items.get_mut(at)) {
            Some(item) => {
                *item = value;
                Ok(())
            }
            None => refuse(format!("replace operation does not apply: doc is missing key: {path}: missing value")),
        },
        _ => missing("replace", path),
    }
}

fn test(document: &mut Value, path: &str, wanted: &Value) -> Result<(), PatchError> {
    let failed = || refuse(format!("testing value {path} failed: test failed"));
    if path.is_empty() {
        return if equal(document, wanted) { Ok(()) } else { failed() };
    }
    let Some((holder, key)) = container(document, path) else {
        return missing("test", path);
    };
    let found = get(holder, &key)?.unwrap_or(&Value::Null);
    if equal(found, wanted) { Ok(()) } else { failed() }
}

/// Equality of documents: numbers by value, objects without order.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        (a, b) => a == b,
    }
}
