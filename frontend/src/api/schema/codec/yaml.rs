//! YAML to objects and back. In: the first document, scalars resolved as YAML 1.1 does (y is a boolean), made into JSON
//! and read by the JSON codec. Out: JSON made into YAML with sorted keys, in the style of Go's encoder.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::json_text::{write_float, write_string};
use super::{DecodeError, Decoded, decode_json, encode_json};
use crate::api::schema::kinds::Schema;
use crate::api::schema::object::Object;
use crate::api::schema::tables::Gvk;

/// Reads the first document.
pub fn decode_yaml(schema: &Schema, bytes: &[u8], default: Option<&Gvk>) -> Result<Decoded, DecodeError> {
    let json = yaml_to_json(bytes)?;
    decode_json(schema, &json, default)
}

/// The first document as JSON; keys that come twice stay twice.
pub fn yaml_to_json(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        strict_booleans: false,
    };
    let mut reader = bytes;
    let first = serde_saphyr::read_with_options::<_, Json>(&mut reader, options).next();
    match first {
        None => Ok(b"null".to_vec()),
        Some(Ok(Json(json))) => Ok(json),
        Some(Err(error)) => {
            let text = error.to_string();
            let first_line = text.lines().next().unwrap_or_default();
            Err(DecodeError::Malformed(format!("error converting YAML to JSON: yaml: {first_line}")))
        }
    }
}

struct Json(Vec<u8>);

impl<'de> serde::Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        let mut out = Vec::new();
        Print(&mut out).deserialize(deserializer)?;
        Ok(Json(out))
    }
}

/// Prints whatever comes as JSON.
struct Print<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Print<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Print<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.0.extend_from_slice(if truth { b"true" } else { b"false" });
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.0.extend_from_slice(number.to_string().as_bytes());
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.0.extend_from_slice(number.to_string().as_bytes());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if !number.is_finite() {
            return Err(E::custom(format!("json: unsupported value: {number}")));
        }
        write_float(self.0, number);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        write_string(self.0, text);
        Ok(())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        write_string(self.0, &String::from_utf8_lossy(bytes));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let mut item = Vec::new();
        let mut first = true;
        while items.next_element_seed(Print(&mut item))?.is_some() {
            if !first {
                self.0.push(b',');
            }
            first = false;
            self.0.append(&mut item);
        }
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let mut key = Vec::new();
        let mut first = true;
        while entries.next_key_seed(Print(&mut key))?.is_some() {
            if !first {
                self.0.push(b',');
            }
            first = false;
            // Keys that are no strings become their text.
            match key.first() {
                Some(b'"') => self.0.append(&mut key),
                Some(b'{' | b'[') => return Err(A::Error::custom("unsupported map key")),
                _ => {
                    self.0.push(b'"');
                    self.0.append(&mut key);
                    self.0.push(b'"');
                }
            }
            self.0.push(b':');
            entries.next_value_seed(Print(&mut *self.0))?;
        }
        self.0.push(b'}');
        Ok(())
    }
}

/// YAML with sorted keys, as kube-apiserver answers it.
pub fn encode_yaml(object: &Object, out: &mut Vec<u8>) {
    let mut json = Vec::new();
    encode_json(object, &mut json);
    json_to_yaml(&json, out);
}

/// Any JSON as YAML; what is no JSON gives nothing.
pub fn json_to_yaml(json: &[u8], out: &mut Vec<u8>) {
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(json) {
        super::yaml_text::write_document(&value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(yaml: &str) -> String {
        String::from_utf8(yaml_to_json(yaml.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn scalars_are_those_of_yaml_1_1() {
        for (yaml, expected) in [
            ("a: y", r#"{"a":true}"#),
            ("n: 1", r#"{"false":1}"#),
            ("a: 'y'", r#"{"a":"y"}"#),
            ("a: 0644", r#"{"a":420}"#),
            ("a: 1.5\nb: ~\nc: 10\n", r#"{"a":1.5,"b":null,"c":10}"#),
            ("a: x\n---\nb: y\n", r#"{"a":"x"}"#),
            ("- 1\n- [a, {b: c}]\n", r#"[1,["a",{"b":"c"}]]"#),
            ("", "null"),
        ] {
            assert_eq!(json(yaml), expected, "{yaml}");
        }
    }

    #[test]
    fn what_was_printed_reads_back() {
        let cases = [
            r#"{"a":"true","b":"1","c":"","d":"x: y","e":"l1\nl2\n","f":"- x","g":null,"h":[],"i":{},"j":1.5}"#,
            r#"{"a":[{"b":[1,2],"c":"d"},["x",["y"]],"~"],"k":"1e3","l":" lead","m":"it's","n":"\ttab","o":"a\nb"}"#,
            r##"{"a":"#no","b":"a #no","c":"0x1f","d":"2001-01-01","e":"=","f":"\u003c\u003c","g":"a:","h":"\"q\"","i":"é","y":"12:30"}"##,
        ];
        for case in cases {
            let mut yaml = Vec::new();
            json_to_yaml(case.as_bytes(), &mut yaml);
            let yaml = String::from_utf8(yaml).unwrap();
            assert_eq!(json(&yaml), case, "{yaml}");
        }
    }
}
