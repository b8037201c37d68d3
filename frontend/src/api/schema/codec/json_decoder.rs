//! JSON to values in one pass guided by the schema, with Go's leniency, strictness and error texts: a type error does
//! not stop the pass (a later syntax error outranks it), unknown and duplicate fields are noted.

use std::{borrow::Cow, collections::HashSet};

use super::{
    DecodeError, StrictError,
    go_types::{element_type, field_type, struct_type},
    json_kind::describe,
    json_text::{Cursor, DEPTH_MAX, Token},
};
use crate::api::schema::{
    tables::{Field, Kind, Shape, StructDef, StructRef},
    text::Text,
    value::{MapValue, Struct, Value},
};

/// Objects that stand inside others with a kind and version of their own.
const WITH_TYPE_META: [&str; 2] = ["DeleteOptions", "PersistentVolumeClaim"];
/// No more strict errors are noted, as in kube-apiserver.
const STRICT_ERRORS_MAX: usize = 100;

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads JSON as a tree without schema.
pub fn decode_free(bytes: &[u8]) -> Result<Value> {
    decode_free_strict(bytes).map(|(value, _)| value)
}

/// The same, with the keys that came twice.
pub fn decode_free_strict(bytes: &[u8]) -> Result<(Value, Vec<StrictError>)> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.any()?;
    decoder.cursor.end()?;
    Ok((value, decoder.strict))
}

/// A struct of known type, alone; and what strict decoding finds in it.
pub fn decode_struct_json(def: &StructRef, json: &[u8]) -> Result<(Struct, Vec<StrictError>)> {
    let mut decoder = Decoder::new(json);
    let mut read = Struct::new(def);
    decoder.root(&mut read, def)?;
    match decoder.type_error {
        Some(message) => Err(DecodeError::Malformed(message)),
        None => Ok((read, decoder.strict)),
    }
}

pub(super) enum Step<'a> {
    Field(&'a Field),
    Index(usize),
    Key(Cow<'a, str>),
}

/// The keys of an object that is being read. While they come sorted, the last one tells enough.
#[derive(Default)]
pub(super) struct KnownKeys(HashSet<Text>);

impl KnownKeys {
    fn has(&mut self, entries: &[(Text, Value)], key: &Text) -> bool {
        if self.0.is_empty() {
            if entries.last().is_none_or(|(last, _)| last < key) {
                return false;
            }
            self.0.extend(entries.iter().map(|(key, _)| key.clone()));
        }
        !self.0.insert(key.clone())
    }
}

pub(super) struct Decoder<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) path: Vec<Step<'a>>,
    /// The struct whose field is being read.
    owner: &'a str,
    pub(super) strict: Vec<StrictError>,
    /// Above zero inside types that decode themselves in Go: nothing strict is noted there.
    quiet: usize,
    /// The first; the pass goes on to find syntax errors.
    pub(super) type_error: Option<String>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder {
            cursor: Cursor::new(bytes),
            path: Vec::new(),
            owner: "",
            strict: Vec::new(),
            quiet: 0,
            type_error: None,
        }
    }

    pub(super) fn root(&mut self, root: &mut Struct, def: &'a StructRef) -> Result<()> {
        match self.cursor.token()? {
            Token::Object => self.fields(root, def)?,
            Token::Null => drop(self.cursor.word()?),
            token => self.refuse(token, &struct_type(def))?,
        }
        self.cursor.end()
    }

    /// Reads an object's members into a struct. The cursor stands on the brace.
    pub(super) fn fields(&mut self, target: &mut Struct, def: &'a StructDef) -> Result<()> {
        self.check_depth()?;
        let outer = std::mem::replace(&mut self.owner, &def.name);
        let slots = target.slots_mut();
        let mut seen = 0u128;
        let mut next = 0;
        let mut more = self.cursor.open(b'}');
        while more {
            let key = self.cursor.key()?;
            match find(def, &key, next) {
                None => {
                    self.note(StrictError::UnknownField(self.strict_path(&key)));
                    self.cursor.skip(self.path.len())?;
                }
                Some(at) => {
                    let field = &def.fields[at];
                    if seen >> at & 1 == 1 {
                        self.note(StrictError::DuplicateField(self.strict_path(&key)));
                    }
                    seen |= 1u128.checked_shl(at as u32).unwrap_or(0);
                    next = at + 1;
                    self.path.push(Step::Field(field));
                    let old = slots[at].take();
                    slots[at] = self.field(field, old)?;
                    self.path.pop();
                }
            }
            more = self.cursor.more(b'}')?;
        }
        self.owner = outer;
        Ok(())
    }

    fn check_depth(&self) -> Result<()> {
        match self.path.len() {
            0..=DEPTH_MAX => Ok(()),
            _ => Err(DecodeError::Syntax("exceeded max depth".to_owned())),
        }
    }

    /// None when the field stays unset: null, or a zero that says nothing.
    fn field(&mut self, field: &'a Field, old: Option<Value>) -> Result<Option<Value>> {
        let token = self.cursor.token()?;
        if token == Token::Null {
            self.cursor.word()?;
            // null leaves a plain value as it was, and empties everything else.
            let plain = field.presence.is_plain();
            return Ok(if plain && field.shape == Shape::One { old } else { None });
        }
        match field.shape {
            Shape::List => self.list(field, token),
            Shape::Map => self.map(field, token, old),
            Shape::One => {
                let value = self.one(&field.kind, field, token, old)?;
                let plain = field.presence.is_plain();
                Ok(value.filter(|value| !is_unset(field, value, plain)))
            }
        }
    }

    fn list(&mut self, field: &'a Field, token: Token) -> Result<Option<Value>> {
        if token != Token::Array {
            self.refuse(token, &field_type(field))?;
            return Ok(None);
        }
        let mut items = Vec::new();
        let mut more = self.cursor.open(b']');
        while more {
            self.path.push(Step::Index(items.len()));
            let token = self.cursor.token()?;
            let item = self.element(field, token)?;
            items.push(item);
            self.path.pop();
            more = self.cursor.more(b']')?;
        }
        Ok(Some(Value::List(items)))
    }

    fn map(&mut self, field: &'a Field, token: Token, old: Option<Value>) -> Result<Option<Value>> {
        if token != Token::Object {
            self.refuse(token, &field_type(field))?;
            return Ok(None);
        }
        let mut entries: Vec<(Text, Value)> = Vec::new();
        let mut more = self.cursor.open(b'}');
        while more {
            let key = self.cursor.key()?;
            let text = Text::from(&*key);
            self.path.push(Step::Key(key));
            let token = self.cursor.token()?;
            let item = self.element(field, token)?;
            self.path.pop();
            entries.push((text, item));
            more = self.cursor.more(b'}')?;
        }
        self.note_duplicates(&entries);
        match old {
            Some(Value::Map(mut map)) => {
                entries.into_iter().for_each(|(key, value)| drop(map.insert(key, value)));
                Ok(Some(Value::Map(map)))
            }
            _ => Ok(Some(Value::Map(MapValue::from_entries(entries)))),
        }
    }

    fn note_duplicates(&mut self, entries: &[(Text, Value)]) {
        if entries.is_sorted_by(|a, b| a.0 < b.0) {
            return;
        }
        let mut seen = HashSet::new();
        for (key, _) in entries {
            if !seen.insert(key) {
                self.note(StrictError::DuplicateField(self.strict_path(key)));
            }
        }
    }

    /// Called before a value is read, so that what is wrong is told in the order of the text.
    pub(super) fn note_duplicate(&mut self, known: &mut KnownKeys, entries: &[(Text, Value)], key: &Text) {
        if known.has(entries, key) {
            self.note(StrictError::DuplicateField(self.strict_path(key)));
        }
    }

    /// An item of a list or a map; null is the zero value.
    fn element(&mut self, field: &'a Field, token: Token) -> Result<Value> {
        if token == Token::Null {
            self.cursor.word()?;
            return Ok(zero(&field.kind));
        }
        Ok(self.one(&field.kind, field, token, None)?.unwrap_or_else(|| zero(&field.kind)))
    }

    pub(super) fn one(
        &mut self,
        kind: &'a Kind,
        field: &'a Field,
        token: Token,
        old: Option<Value>,
    ) -> Result<Option<Value>> {
        match (kind, token) {
            (Kind::Str, Token::Str) => Ok(Some(Value::Str(self.cursor.string()?.into_owned().into()))),
            (Kind::Bool, Token::Bool) => Ok(Some(Value::Bool(self.cursor.word()? == "true"))),
            (Kind::Int32 | Kind::Int64 | Kind::Float64, Token::Number) => self.number(kind, field),
            (Kind::Struct(def), Token::Object) => {
                let mut target = match old {
                    Some(Value::Struct(target)) => target,
                    _ => Struct::new(def),
                };
                self.fields(&mut target, def)?;
                Ok(Some(Value::Struct(target)))
            }
            (Kind::Bytes, Token::Str) => self.base64(),
            (Kind::Bytes, Token::Array) => self.byte_array(),
            (Kind::Raw, _) => Ok(Some(Value::Bytes(self.cursor.skip(self.path.len())?.into()))),
            (Kind::Any, _) => Ok(Some(self.any()?)),
            (Kind::StringItems, Token::Array) => self.string_items().map(Some),
            (Kind::SchemaOrBool(def) | Kind::SchemaOrArray(def) | Kind::SchemaOrStringArray(def), _) => {
                self.quiet += 1;
                let value = self.schema_union(kind, def, field, token);
                self.quiet -= 1;
                value
            }
            (Kind::Time | Kind::MicroTime | Kind::Duration | Kind::Quantity | Kind::IntOrString, _) => {
                self.special(kind, token).map(Some)
            }
            _ => {
                self.refuse(token, &element_type(field))?;
                Ok(None)
            }
        }
    }

    fn number(&mut self, kind: &Kind, field: &Field) -> Result<Option<Value>> {
        let text = self.cursor.number()?;
        let value = match kind {
            Kind::Int32 => text.parse::<i32>().ok().map(|number| Value::Int(number.into())),
            Kind::Int64 => text.parse::<i64>().ok().map(Value::Int),
            _ => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Float),
        };
        if value.is_none() {
            self.type_error(&format!("number {text}"), &element_type(field));
        }
        Ok(value)
    }

    /// A free tree.
    pub(super) fn any(&mut self) -> Result<Value> {
        self.check_depth()?;
        Ok(match self.cursor.token()? {
            Token::Null => {
                self.cursor.word()?;
                Value::Null
            }
            Token::Bool => Value::Bool(self.cursor.word()? == "true"),
            Token::Str => Value::Str(self.cursor.string()?.into_owned().into()),
            Token::Number => {
                let text = self.cursor.number()?;
                match (text.parse::<i64>(), text.parse::<f64>()) {
                    (Ok(number), _) => Value::Int(number),
                    (_, Ok(number)) if number.is_finite() => Value::Float(number),
                    _ => {
                        let what = format!("number {text}");
                        self.type_error(&what, "float64");
                        Value::Null
                    }
                }
            }
            Token::Array => {
                let mut items = Vec::new();
                let mut more = self.cursor.open(b']');
                while more {
                    self.path.push(Step::Index(items.len()));
                    items.push(self.any()?);
                    self.path.pop();
                    more = self.cursor.more(b']')?;
                }
                Value::List(items)
            }
            Token::Object => {
                let (mut entries, mut known): (Vec<(Text, Value)>, _) = (Vec::new(), KnownKeys::default());
                let mut more = self.cursor.open(b'}');
                while more {
                    let key = self.cursor.key()?;
                    let text = Text::from(&*key);
                    self.note_duplicate(&mut known, &entries, &text);
                    self.path.push(Step::Key(key));
                    let value = self.any()?;
                    self.path.pop();
                    entries.push((text, value));
                    more = self.cursor.more(b'}')?;
                }
                Value::Map(MapValue::from_entries(entries))
            }
        })
    }

    /// Steps over a value of the wrong type and notes it.
    pub(super) fn refuse(&mut self, token: Token, go_type: &str) -> Result<()> {
        self.cursor.skip(self.path.len())?;
        self.type_error(describe(token), go_type);
        Ok(())
    }

    pub(super) fn type_error(&mut self, what: &str, go_type: &str) {
        if self.type_error.is_none() {
            self.type_error = Some(self.type_error_text(what, go_type));
        }
    }

    /// Go names the innermost struct and all fields on the way, embedded structs too, but no index and no map key.
    pub(super) fn type_error_text(&self, what: &str, go_type: &str) -> String {
        let mut fields = String::new();
        for step in &self.path {
            if let Step::Field(field) = step {
                let is_type = matches!(&*field.name, "kind" | "apiVersion");
                let inside = is_type && self.path.len() > 1 && WITH_TYPE_META.contains(&self.owner);
                let embedded = if inside { "TypeMeta" } else { &*field.embedded };
                for name in [embedded, &*field.name] {
                    if !name.is_empty() {
                        fields.push('.');
                        fields.push_str(name);
                    }
                }
            }
        }
        if fields.is_empty() {
            return format!("json: cannot unmarshal {what} into Go value of type {go_type}");
        }
        format!("json: cannot unmarshal {what} into Go struct field {}{fields} of type {go_type}", self.owner)
    }

    fn note(&mut self, error: StrictError) {
        if self.quiet == 0 && self.strict.len() < STRICT_ERRORS_MAX && !self.strict.contains(&error) {
            self.strict.push(error);
        }
    }

    fn strict_path(&self, last: &str) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Field(Field { name, .. }) | Step::Key(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
            }
        }
        if !path.is_empty() {
            path.push('.');
        }
        path + last
    }
}

/// The slot of a field; members mostly come in the order of the schema.
fn find(def: &StructDef, key: &str, next: usize) -> Option<usize> {
    let (before, after) = def.fields.split_at(next.min(def.fields.len()));
    let named = |field: &Field| field.name == key;
    after.iter().position(named).map(|at| at + before.len()).or_else(|| before.iter().position(named))
}

/// Whether a value of a plain field says no more than its absence.
pub(super) fn is_unset(field: &Field, value: &Value, plain: bool) -> bool {
    let zero = plain && value.is_zero() && !matches!(value, Value::Bytes(_) | Value::List(_));
    zero || is_zero_quantity(field, value, plain)
}

/// "0" in a plain field is what an absent quantity prints anyway.
fn is_zero_quantity(field: &Field, value: &Value, plain: bool) -> bool {
    let zero = match field.kind {
        Kind::Quantity => "0",
        Kind::Duration => "0s",
        _ => return false,
    };
    plain && value.as_str() == Some(zero)
}

/// Go's zero value of an item.
pub(super) fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::Int32 | Kind::Int64 | Kind::IntOrString => Value::Int(0),
        Kind::Float64 => Value::Float(0.0),
        Kind::Str => Value::from(""),
        Kind::Quantity => Value::from("0"),
        Kind::Duration => Value::from("0s"),
        Kind::Struct(def) => Value::Struct(Struct::new(def)),
        _ => Value::Null,
    }
}
