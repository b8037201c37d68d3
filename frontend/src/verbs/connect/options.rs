//! What a client wants of a connection, read from its query into the options object that admission sees.
//!
//! In: the query, and the kind of the options (`PodExecOptions`): its fields say how each parameter is read. Out: the
//! object, or the 400 of Go's parser. Parameters that no field takes are ignored.

use crate::{
    api::schema::{
        Field, Kind, Object, Shape, Type, Value,
        scalar::time::{format_time, parse_time},
    },
    request::{
        info::Query,
        status::{ApiError, go_quote},
    },
};

/// Reads options; `path` is what follows the subresource, for kinds that want to know.
pub(super) fn read(kind: &Type, query: &Query, path: Option<&str>) -> Result<Object, ApiError> {
    let mut options = Object::new(kind);
    for field in kind.root.fields.iter() {
        let given: Vec<&str> = match path {
            Some(path) if field.name == "path" => vec![path],
            _ => query.all(&field.name).collect(),
        };
        let Some(first) = given.first() else { continue };
        let value = value(field, first, &given).map_err(ApiError::bad_request)?;
        if let Some(value) = value {
            options.set(&[&field.name], value);
        }
    }
    Ok(options)
}

/// None: as if it were not given.
fn value(field: &Field, first: &str, given: &[&str]) -> Result<Option<Value>, String> {
    Ok(match (&field.kind, field.shape) {
        (Kind::Bool, Shape::One) => (first != "0" && !first.eq_ignore_ascii_case("false")).then(|| true.into()),
        (Kind::Str, Shape::One) => (!first.is_empty()).then(|| first.into()),
        (Kind::Str, Shape::List) => Some(Value::List(given.iter().map(|text| (*text).into()).collect())),
        (Kind::Int64, Shape::One) => Some(Value::Int(integer(first)?)),
        (Kind::Int32, Shape::List) => {
            let numbers = given.iter().flat_map(|text| text.split(','));
            let ports = numbers.map(port).collect::<Result<Vec<_>, _>>();
            Some(Value::List(ports.map_err(|why| format!("cannot convert to []int32: {why}"))?))
        }
        (Kind::Time, Shape::One) => match first {
            "" | "null" => None,
            text => Some(format_time(parse_time(text)?).into()),
        },
        _ => None,
    })
}

fn integer(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("strconv.ParseInt: parsing {}: value out of range", go_quote(text)))
        }
        Err(_) => Err(format!("strconv.ParseInt: parsing {}: invalid syntax", go_quote(text))),
    }
}

fn port(text: &str) -> Result<Value, String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if is_number => Ok(Value::Int(port.into())),
        _ if is_number => Err(format!("strconv.ParseUint: parsing {}: value out of range", go_quote(text))),
        _ => Err(format!("strconv.ParseUint: parsing {}: invalid syntax", go_quote(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{Schema, codec};

    fn json(kind: &str, query: &str) -> Result<String, String> {
        let kind = Schema::builtin().kind("", "v1", kind).unwrap();
        let options = read(&kind, &Query::parse(query), None).map_err(|error| error.message)?;
        let mut out = Vec::new();
        codec::encode_json(&options, &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn parameters_become_fields() {
        let cases = [
            (
                "PodExecOptions",
                "command=ls&command=-l&stdin=false&stdout=1&tty&container=c&other=x",
                r#"{"kind":"PodExecOptions","apiVersion":"v1","stdout":true,"tty":true,"container":"c","command":["ls","-l"]}"#,
            ),
            (
                "PodPortForwardOptions",
                "ports=80,81&ports=82",
                r#"{"kind":"PodPortForwardOptions","apiVersion":"v1","ports":[80,81,82]}"#,
            ),
            (
                "PodLogOptions",
                "follow=true&tailLines=0&sinceTime=2026-01-01T01:00:00%2B01:00",
                r#"{"kind":"PodLogOptions","apiVersion":"v1","follow":true,"sinceTime":"2026-01-01T00:00:00Z","tailLines":0}"#,
            ),
        ];
        for (kind, query, want) in cases {
            assert_eq!(json(kind, query).as_deref(), Ok(want));
        }
    }

    #[test]
    fn what_is_no_number_or_time_is_refused_as_go_does() {
        let cases = [
            ("PodLogOptions", "tailLines=x", r#"strconv.ParseInt: parsing "x": invalid syntax"#),
            ("PodLogOptions", "limitBytes=", r#"strconv.ParseInt: parsing "": invalid syntax"#),
            (
                "PodLogOptions",
                "sinceSeconds=99999999999999999999",
                r#"strconv.ParseInt: parsing "99999999999999999999": value out of range"#,
            ),
            (
                "PodPortForwardOptions",
                "ports=70000",
                r#"cannot convert to []int32: strconv.ParseUint: parsing "70000": value out of range"#,
            ),
            (
                "PodPortForwardOptions",
                "ports=-1",
                r#"cannot convert to []int32: strconv.ParseUint: parsing "-1": invalid syntax"#,
            ),
        ];
        for (kind, query, want) in cases {
            assert_eq!(json(kind, query).unwrap_err(), want);
        }
    }
}
