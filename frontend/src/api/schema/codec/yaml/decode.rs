//! Nodes to JSON, the way Go's reader and its bridge to JSON go it: maps keep the last of equal keys and are sorted.
//!
//! In: a document. Out: its JSON, and what a strict reading would have refused.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    YamlError,
    parser::{Document, NodeId, NodeKind},
    resolve::{Scalar, TAG_PREFIX, float_key, tagged},
};
use crate::{
    api::schema::codec::json_text::{write_float, write_string},
    request::status::go_quote,
};

/// A value as Go's reader keeps it.
#[derive(Clone, Debug)]
enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(Entries),
}

/// Maps tell `1`, `"1"` and `1.0` apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    /// By its bits.
    Float(u64),
    Text(String),
}

type Entries = BTreeMap<Key, Value>;

/// A document in JSON.
pub(super) struct Json {
    pub(super) text: Vec<u8>,
    /// What strict reading names: keys that come twice.
    pub(super) repeated: Vec<String>,
}

pub(super) fn json(document: &Document) -> Result<Json, YamlError> {
    let mut reading = Reading { document, repeated: Vec::new(), open: Vec::new(), nodes: 1, aliased: 0, depth: 0 };
    let value = reading.value(document.root)?;
    let mut text = Vec::new();
    write(&value, &mut text)?;
    Ok(Json { text, repeated: reading.repeated })
}

struct Reading<'a> {
    document: &'a Document,
    repeated: Vec<String>,
    /// The aliases that are being followed.
    open: Vec<NodeId>,
    /// How many nodes were read, and how many of them by way of an alias.
    nodes: u64,
    aliased: u64,
    depth: usize,
}

/// Aliases may multiply a text: up to the low mark nearly all may come from them, from the high mark on a tenth.
const RATIO_LOW: u64 = 400_000;
const RATIO_HIGH: u64 = 4_000_000;
/// Values nested deeper are refused, however they came about.
const DEPTH_MAX: usize = 300;

impl Reading<'_> {
    fn count(&mut self) -> Result<(), YamlError> {
        self.nodes += 1;
        if !self.open.is_empty() {
            self.aliased += 1;
        }
        let allowed = match self.nodes {
            ..=RATIO_LOW => 0.99,
            RATIO_HIGH.. => 0.10,
            nodes => 0.99 - 0.89 * ((nodes - RATIO_LOW) as f64 / (RATIO_HIGH - RATIO_LOW) as f64),
        };
        let excessive = self.aliased > 100 && self.nodes > 1000 && self.aliased as f64 / self.nodes as f64 > allowed;
        if excessive { Err(YamlError::plain("document contains excessive aliasing")) } else { Ok(()) }
    }

    fn value(&mut self, id: NodeId) -> Result<Value, YamlError> {
        self.count()?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(YamlError::plain("exceeded max depth of 10000"));
        }
        let document = self.document;
        let value = match &document.nodes[id].kind {
            NodeKind::Alias { name, of } => self.aliased(id, name, |reading| reading.value(*of))?,
            NodeKind::Scalar { text, tag, implicit } => scalar(text, tag, *implicit)?,
            NodeKind::Sequence(items) => {
                Value::List(items.iter().map(|item| self.value(*item)).collect::<Result<_, _>>()?)
            }
            NodeKind::Mapping(nodes) => {
                let mut entries = Entries::new();
                self.mapping(nodes, &mut entries)?;
                Value::Map(entries)
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn aliased<T>(
        &mut self,
        id: NodeId,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, YamlError>,
    ) -> Result<T, YamlError> {
        if self.open.contains(&id) {
            return Err(YamlError::plain(format!("anchor '{name}' value contains itself")));
        }
        self.open.push(id);
        let read = read(self);
        self.open.pop();
        read
    }

    fn mapping(&mut self, nodes: &[NodeId], into: &mut Entries) -> Result<(), YamlError> {
        for pair in nodes.chunks_exact(2) {
            let [key, value] = [pair[0], pair[1]];
            if self.is_merge(key) {
                self.merge(value, into)?;
                continue;
            }
            let key = match self.value(key)? {
                Value::Null => Key::Null,
                Value::Bool(truth) => Key::Bool(truth),
                Value::Int(number) => Key::Int(number),
                Value::Unsigned(number) => Key::Unsigned(number),
                Value::Float(number) => Key::Float(number.to_bits()),
                Value::Text(text) => Key::Text(text),
                collection => return Err(YamlError::plain(format!("invalid map key: {}", go_syntax(&collection)))),
            };
            let line = self.document.nodes[value].line + 1;
            let value = self.value(value)?;
            if into.contains_key(&key) {
                self.repeated.push(format!("line {line}: key {} already set in map", go_key(&key)));
            }
            into.insert(key, value);
        }
        Ok(())
    }

    fn is_merge(&self, key: NodeId) -> bool {
        match &self.document.nodes[key].kind {
            NodeKind::Scalar { text, tag, implicit } => {
                text == "<<" && (*implicit || tag.strip_prefix(TAG_PREFIX) == Some("merge"))
            }
            _ => false,
        }
    }

    /// `<<: *base` and `<<: [*one, *other]`, of which the first counts most.
    fn merge(&mut self, id: NodeId, into: &mut Entries) -> Result<(), YamlError> {
        let document = self.document;
        match &document.nodes[id].kind {
            NodeKind::Sequence(items) => items.iter().rev().try_for_each(|item| self.merge_one(*item, into)),
            _ => self.merge_one(id, into),
        }
    }

    fn merge_one(&mut self, id: NodeId, into: &mut Entries) -> Result<(), YamlError> {
        let document = self.document;
        let wrong = || YamlError::plain("map merge requires map or sequence of maps as the value");
        self.count()?;
        match &document.nodes[id].kind {
            NodeKind::Mapping(nodes) => self.mapping(nodes, into),
            NodeKind::Alias { name, of } => match &document.nodes[*of].kind {
                NodeKind::Mapping(nodes) => self.aliased(id, name, |reading| {
                    reading.count()?;
                    reading.mapping(nodes, into)
                }),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }
}

fn scalar(text: &str, tag: &str, implicit: bool) -> Result<Value, YamlError> {
    if tag.strip_prefix(TAG_PREFIX) == Some("binary") {
        let clean = text.replace(['\n', '\r'], "");
        let bytes =
            STANDARD.decode(clean).map_err(|_| YamlError::plain("!!binary value contains invalid base64 data"))?;
        return Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned()));
    }
    if tag.is_empty() && !implicit {
        return Ok(Value::Text(text.to_owned()));
    }
    Ok(match tagged(tag, text)? {
        Scalar::Null => Value::Null,
        Scalar::Bool(truth) => Value::Bool(truth),
        Scalar::Int(number) => Value::Int(number),
        Scalar::Unsigned(number) => Value::Unsigned(number),
        Scalar::Float(number) => Value::Float(number),
        Scalar::Text | Scalar::Timestamp => Value::Text(text.to_owned()),
    })
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), YamlError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Unsigned(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(number) if number.is_finite() => write_float(out, *number),
        Value::Float(number) => {
            let name = match (number.is_nan(), *number > 0.0) {
                (true, _) => "NaN",
                (false, true) => "+Inf",
                (false, false) => "-Inf",
            };
            return Err(YamlError { text: format!("json: unsupported value: {name}") });
        }
        Value::Text(text) => write_string(out, text),
        Value::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Map(entries) => write_map(entries, out)?,
    }
    Ok(())
}

fn write_map(entries: &Entries, out: &mut Vec<u8>) -> Result<(), YamlError> {
    let mut named = BTreeMap::new();
    for (key, value) in entries {
        let name = match key {
            Key::Bool(truth) => truth.to_string(),
            Key::Int(number) => number.to_string(),
            Key::Float(bits) => float_key(f64::from_bits(*bits)),
            Key::Text(text) => text.clone(),
            Key::Null | Key::Unsigned(_) => return Err(unsupported_key(key, value)),
        };
        named.insert(name, value);
    }
    out.push(b'{');
    for (at, (name, value)) in named.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(out, &name);
        out.push(b':');
        write(value, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn unsupported_key(key: &Key, value: &Value) -> YamlError {
    let (kind, key) = match key {
        Key::Null => ("%!s(<nil>)".to_owned(), "<nil>".to_owned()),
        key => ("uint64".to_owned(), go_key(key)),
    };
    let value = if matches!(value, Value::Null) { "<nil>".to_owned() } else { go_syntax(value) };
    YamlError { text: format!("unsupported map key of type: {kind}, key: {key}, value: {value}") }
}

fn go_key(key: &Key) -> String {
    match key {
        Key::Null => "<nil>".to_owned(),
        Key::Bool(truth) => truth.to_string(),
        Key::Int(number) => number.to_string(),
        Key::Unsigned(number) => format!("{number:#x}"),
        Key::Float(bits) => super::resolve::float_text(f64::from_bits(*bits)),
        Key::Text(text) => go_quote(text),
    }
}

/// A value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Unsigned(number) => format!("{number:#x}"),
        Value::Float(number) => super::resolve::float_text(*number),
        Value::Text(text) => go_quote(text),
        Value::List(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{}:{}", go_key(key), go_syntax(value))).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}
