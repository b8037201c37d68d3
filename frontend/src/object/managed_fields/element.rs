//! One step of a path: a field's name, the keys of a list's item, the value of a set's item, or an index. In: names and
//! values, or the text that managedFields have for a step. Out: the order of steps, that text, and the form in which
//! messages show a step.

use std::{borrow::Cow, cmp::Ordering, fmt};

use super::json_text;
use crate::{
    api::schema::{Value, codec},
    request::status::go_quote,
};

/// A step below an object. The order of the variants is the order in which managedFields list them.
#[derive(Clone, Debug)]
pub enum Element<'a> {
    Field(Cow<'a, str>),
    /// The fields that identify an item of a list, sorted by their names.
    Key(Vec<(Cow<'a, str>, Scalar<'a>)>),
    /// An item of a set.
    Value(Scalar<'a>),
    Index(i64),
}

/// A value that identifies an item.
#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    Int(i64),
    Float(f64),
    Str(Cow<'a, str>),
    Bool(bool),
    /// A list or map as JSON: no schema makes one, but a client may send it.
    Other(Cow<'a, str>),
    Null,
}

impl<'a> Element<'a> {
    pub fn field(name: impl Into<Cow<'a, str>>) -> Element<'a> {
        Element::Field(name.into())
    }

    pub fn into_owned(self) -> Element<'static> {
        match self {
            Element::Field(name) => Element::Field(Cow::Owned(name.into_owned())),
            Element::Key(fields) => Element::Key(
                fields.into_iter().map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned())).collect(),
            ),
            Element::Value(value) => Element::Value(value.into_owned()),
            Element::Index(index) => Element::Index(index),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        }
    }

    /// The step as managedFields write it, before it becomes a JSON string: `f:spec`, `k:{"name":"a"}`, `v:"b"`, `i:0`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Element::Field(name) => {
                out.extend_from_slice(b"f:");
                out.extend_from_slice(name.as_bytes());
            }
            Element::Key(fields) => {
                out.extend_from_slice(b"k:{");
                for (at, (name, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    json_text::write_text(out, name);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
            Element::Value(value) => {
                out.extend_from_slice(b"v:");
                value.write(out);
            }
            Element::Index(index) => out.extend_from_slice(format!("i:{index}").as_bytes()),
        }
    }

    /// None for a step of a form that is not known, which is left out; an error for one that is broken.
    pub(super) fn parse(text: Cow<'a, str>) -> Result<Option<Element<'a>>, String> {
        let bytes = text.as_bytes();
        if bytes.len() < 2 {
            return Err("key must be 2 characters long:".to_owned());
        }
        if bytes[1] != b':' {
            return Err(format!("missing colon: {text}"));
        }
        let kind = bytes[0];
        if kind == b'f' {
            return Ok(Some(Element::Field(match text {
                Cow::Borrowed(text) => Cow::Borrowed(&text[2..]),
                Cow::Owned(text) => Cow::Owned(text[2..].to_owned()),
            })));
        }
        let rest = &text[2..];
        Ok(Some(match kind {
            b'v' => Element::Value(scalar(rest)?),
            b'k' => Element::Key(key_fields(rest)?),
            b'i' => {
                let index = rest.parse();
                Element::Index(index.map_err(|_| format!("strconv.Atoi: parsing {}: invalid syntax", go_quote(rest)))?)
            }
            _ => return Ok(None),
        }))
    }
}

/// The value behind `v:`, or of a key.
pub(super) fn scalar(text: &str) -> Result<Scalar<'static>, String> {
    let value = codec::decode_free(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(scalar_of(&value, text))
}

/// The fields behind `k:`, sorted by name.
fn key_fields(text: &str) -> Result<Vec<(Cow<'static, str>, Scalar<'static>)>, String> {
    let value = codec::decode_free(text.as_bytes()).map_err(|error| error.to_string())?;
    let Some(map) = value.as_map() else { return Err(format!("expected an object, got {text}")) };
    Ok(map.iter().map(|(name, value)| (Cow::Owned(name.to_owned()), scalar_of(value, ""))).collect())
}

fn scalar_of(value: &Value, text: &str) -> Scalar<'static> {
    match value {
        Value::Null => Scalar::Null,
        Value::Bool(truth) => Scalar::Bool(*truth),
        Value::Int(number) => Scalar::Int(*number),
        Value::Float(number) => Scalar::Float(*number),
        Value::Str(text) => Scalar::Str(Cow::Owned(text.to_string())),
        _ => Scalar::Other(Cow::Owned(text.to_owned())),
    }
}

impl Scalar<'_> {
    pub fn into_owned(self) -> Scalar<'static> {
        match self {
            Scalar::Str(text) => Scalar::Str(Cow::Owned(text.into_owned())),
            Scalar::Other(json) => Scalar::Other(Cow::Owned(json.into_owned())),
            Scalar::Int(number) => Scalar::Int(number),
            Scalar::Float(number) => Scalar::Float(number),
            Scalar::Bool(truth) => Scalar::Bool(truth),
            Scalar::Null => Scalar::Null,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Scalar::Float(_) => 0,
            Scalar::Int(_) => 1,
            Scalar::Str(_) => 2,
            Scalar::Bool(_) => 3,
            Scalar::Other(_) => 4,
            Scalar::Null => 5,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Scalar::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Scalar::Float(number) => codec::write_float(out, *number),
            Scalar::Str(text) => json_text::write_value_text(out, text),
            Scalar::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
            Scalar::Other(json) => out.extend_from_slice(json.as_bytes()),
            Scalar::Null => out.extend_from_slice(b"null"),
        }
    }
}

impl Ord for Element<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Key(a), Element::Key(b)) => a.cmp(b),
            (Element::Value(a), Element::Value(b)) => a.cmp(b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Ord for Scalar<'_> {
    /// Numbers are compared by value, whatever their form.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Scalar::Int(a), Scalar::Int(b)) => a.cmp(b),
            (Scalar::Float(a), Scalar::Float(b)) => a.total_cmp(b),
            (Scalar::Float(a), Scalar::Int(b)) => a.total_cmp(&(*b as f64)),
            (Scalar::Int(a), Scalar::Float(b)) => (*a as f64).total_cmp(b),
            (Scalar::Str(a), Scalar::Str(b)) | (Scalar::Other(a), Scalar::Other(b)) => a.cmp(b),
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

macro_rules! by_order {
    ($($name:ident),*) => {$(
        impl PartialOrd for $name<'_> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl Eq for $name<'_> {}
    )*};
}

by_order!(Element, Scalar);

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Int(number) => write!(f, "{number}"),
            Scalar::Float(number) => {
                let mut text = Vec::new();
                codec::write_float(&mut text, *number);
                f.write_str(&String::from_utf8_lossy(&text))
            }
            Scalar::Str(text) => f.write_str(&go_quote(text)),
            Scalar::Bool(truth) => write!(f, "{truth}"),
            Scalar::Other(json) => f.write_str(json),
            Scalar::Null => f.write_str("null"),
        }
    }
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(fields) => {
                f.write_str("[")?;
                for (at, (name, value)) in fields.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={value}")?;
                }
                f.write_str("]")
            }
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}
