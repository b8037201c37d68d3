//! JSON of types that read themselves in Go: bytes, times, quantities, unions of CRD schemas.

use std::borrow::Cow;

use base64::{
    Engine, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig},
};

use super::{DecodeError, go_types::element_type, json_decoder::Decoder, json_kind::describe, json_text::Token};
use crate::api::schema::{
    scalar::{duration, quantity, time},
    tables::{Field, Kind, StructRef},
    value::{Struct, Value},
};

type Result<T> = std::result::Result<T, DecodeError>;

/// Base64 as Go reads it: bits of the last letter that belong to no byte may be anything.
pub(super) const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

impl<'a> Decoder<'a> {
    pub(super) fn base64(&mut self) -> Result<Option<Value>> {
        let text = self.cursor.string()?;
        // Go skips line ends.
        let clean: Cow<'_, str> = if text.contains(['\n', '\r']) {
            Cow::Owned(text.replace(['\n', '\r'], ""))
        } else {
            Cow::Borrowed(&*text)
        };
        match BASE64.decode(clean.as_bytes()) {
            Ok(bytes) => Ok(Some(Value::Bytes(bytes.into()))),
            Err(error) => {
                let at = illegal_base64_at(&text, &error);
                self.type_error.get_or_insert(format!("illegal base64 data at input byte {at}"));
                Ok(None)
            }
        }
    }

    /// []byte given as a list of numbers, which Go accepts.
    pub(super) fn byte_array(&mut self) -> Result<Option<Value>> {
        let mut bytes = Vec::new();
        let mut more = self.cursor.open(b']');
        while more {
            match self.cursor.token()? {
                Token::Number => {
                    let text = self.cursor.number()?;
                    match text.parse::<u8>() {
                        Ok(byte) => bytes.push(byte),
                        Err(_) => self.type_error(&format!("number {text}"), "uint8"),
                    }
                }
                token => self.refuse(token, "uint8")?,
            }
            more = self.cursor.more(b']')?;
        }
        Ok(Some(Value::Bytes(bytes.into())))
    }

    pub(super) fn string_items(&mut self) -> Result<Value> {
        let mut items = Vec::new();
        let mut more = self.cursor.open(b']');
        while more {
            match self.cursor.token()? {
                Token::Str => items.push(Value::Str(self.cursor.string()?.into_owned().into())),
                Token::Null => {
                    self.cursor.word()?;
                    items.push(Value::from(""));
                }
                token => self.refuse(token, "string")?,
            }
            more = self.cursor.more(b']')?;
        }
        Ok(Value::List(items))
    }

    pub(super) fn schema_union(
        &mut self,
        kind: &'a Kind,
        def: &'a StructRef,
        field: &'a Field,
        token: Token,
    ) -> Result<Option<Value>> {
        match (kind, token) {
            (_, Token::Object) => {
                let mut schema = Struct::new(def);
                self.fields(&mut schema, def)?;
                Ok(Some(Value::Struct(schema)))
            }
            (Kind::SchemaOrBool(_), Token::Bool) => Ok(Some(Value::Bool(self.cursor.word()? == "true"))),
            (Kind::SchemaOrBool(_), _) => Err(DecodeError::Malformed("boolean or JSON schema expected".to_owned())),
            (_, Token::Array) => {
                let mut items = Vec::new();
                let mut more = self.cursor.open(b']');
                while more {
                    match (kind, self.cursor.token()?) {
                        (Kind::SchemaOrArray(_), Token::Object) => {
                            let mut schema = Struct::new(def);
                            self.fields(&mut schema, def)?;
                            items.push(Value::Struct(schema));
                        }
                        (Kind::SchemaOrStringArray(_), Token::Str) => {
                            items.push(Value::Str(self.cursor.string()?.into_owned().into()));
                        }
                        (_, token) => self.refuse(token, &element_type(field))?,
                    }
                    more = self.cursor.more(b']')?;
                }
                Ok(Some(Value::List(items)))
            }
            _ => {
                self.cursor.skip(self.path.len())?;
                Ok(None)
            }
        }
    }

    /// Types that read themselves in Go: their errors end the decoding at once.
    pub(super) fn special(&mut self, kind: &Kind, token: Token) -> Result<Value> {
        if *kind == Kind::Quantity {
            let raw = self.cursor.skip(self.path.len())?;
            let text = String::from_utf8_lossy(raw);
            let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&text);
            let canonical = quantity::canonical(text.trim());
            return canonical.map(Value::from).map_err(|error| DecodeError::Malformed(error.to_string()));
        }
        if *kind == Kind::IntOrString && token != Token::Str {
            let raw = String::from_utf8_lossy(self.cursor.skip(self.path.len())?);
            if let Ok(number) = raw.parse::<i32>() {
                return Ok(Value::Int(number.into()));
            }
            let what = if token == Token::Number { format!("number {raw}") } else { describe(token).to_owned() };
            return Err(DecodeError::Malformed(self.type_error_text(&what, "int32")));
        }
        if token != Token::Str {
            return Err(DecodeError::Malformed(self.type_error_text(describe(token), "string")));
        }
        let text = self.cursor.string()?;
        let canonical = match kind {
            Kind::Time => {
                time::parse_time(&text).map(|at| if at.is_zero() { String::new() } else { time::format_time(at) })
            }
            Kind::MicroTime => time::parse_micro_time(&text)
                .map(|at| if at.is_zero() { String::new() } else { time::format_micro_time(at) }),
            Kind::Duration => duration::parse(&text).map(duration::format),
            _ => Ok(text.into_owned()),
        };
        let canonical = canonical.map_err(DecodeError::Malformed)?;
        let is_time = matches!(kind, Kind::Time | Kind::MicroTime);
        Ok(if is_time && canonical.is_empty() { Value::Null } else { Value::from(canonical) })
    }
}

/// The offset that Go's decoder names, in the text with its line ends; the error is about the text without them.
pub(super) fn illegal_base64_at(text: &str, error: &base64::DecodeError) -> usize {
    let letters: Vec<usize> =
        text.bytes().enumerate().filter(|(_, b)| !b"\r\n".contains(b)).map(|(at, _)| at).collect();
    match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            letters.get(*at).copied().unwrap_or(text.len())
        }
        // The last letters are too few.
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len() - letters.len() % 4,
    }
}
