//! Functions named as types: int('1'), string(2.5), timestamp('…').

use super::{
    super::{
        gofmt,
        timestamp::Timestamp,
        value::{Evaluated, Val, fail, no_such_overload},
    },
    row::{Imp, Row, Shared, row},
};
use crate::api::schema::scalar::duration;

pub(super) const ROWS: &[Row] = &[
    Row("type", "type(A) type(A)", Imp::Special),
    row("bool_to_bool", "bool(bool) bool", same),
    row("string_to_bool", "bool(string) bool", to_bool),
    row("bytes_to_bytes", "bytes(bytes) bytes", same),
    row("string_to_bytes", "bytes(string) bytes", to_bytes),
    row("double_to_double", "double(double) double", same),
    row("int64_to_double", "double(int) double", to_double),
    row("string_to_double", "double(string) double", to_double),
    row("uint64_to_double", "double(uint) double", to_double),
    row("duration_to_duration", "duration(duration) duration", same),
    row("int64_to_duration", "duration(int) duration", to_duration),
    row("string_to_duration", "duration(string) duration", to_duration),
    Row("to_dyn", "dyn(A) dyn", Imp::Special),
    row("int64_to_int64", "int(int) int", same),
    row("double_to_int64", "int(double) int", to_int),
    row("duration_to_int64", "int(duration) int", to_int),
    row("string_to_int64", "int(string) int", to_int),
    row("timestamp_to_int64", "int(timestamp) int", to_int),
    row("uint64_to_int64", "int(uint) int", to_int),
    row("string_to_string", "string(string) string", same),
    row("bool_to_string", "string(bool) string", to_string),
    row("bytes_to_string", "string(bytes) string", to_string),
    row("double_to_string", "string(double) string", to_string),
    row("duration_to_string", "string(duration) string", to_string),
    row("int64_to_string", "string(int) string", to_string),
    row("timestamp_to_string", "string(timestamp) string", to_string),
    row("uint64_to_string", "string(uint) string", to_string),
    row("timestamp_to_timestamp", "timestamp(timestamp) timestamp", same),
    row("int64_to_timestamp", "timestamp(int) timestamp", to_timestamp),
    row("string_to_timestamp", "timestamp(string) timestamp", to_timestamp),
    row("uint64_to_uint64", "uint(uint) uint", same),
    row("double_to_uint64", "uint(double) uint", to_uint),
    row("int64_to_uint64", "uint(int) uint", to_uint),
    row("string_to_uint64", "uint(string) uint", to_uint),
];

pub(super) const SHARED: &[Shared] = &[
    Shared { function: "type", operand: None, imp: Imp::Plain(type_of) },
    Shared { function: "dyn", operand: None, imp: Imp::Plain(same) },
];

fn same<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    args.first().cloned().map_or_else(no_such_overload, Ok)
}

fn type_of<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    args.first().map_or_else(no_such_overload, |val| Ok(Val::Type(val.type_name().into())))
}

fn cannot<'a>(args: &[Val<'a>], to: &str) -> Evaluated<'a> {
    let from = args.first().map_or("", |val| val.type_name());
    fail(format!("type conversion error from '{from}' to '{to}'"))
}

fn to_bool<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Str(text)] => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Val::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Val::Bool(false)),
            _ => cannot(args, "bool"),
        },
        _ => cannot(args, "bool"),
    }
}

fn to_bytes<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Str(text)] => Ok(Val::Bytes(text.as_bytes().into())),
        _ => cannot(args, "bytes"),
    }
}

fn to_double<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(number)] => Ok(Val::Double(*number as f64)),
        [Val::Uint(number)] => Ok(Val::Double(*number as f64)),
        [Val::Str(text)] => gofmt::parse_float(text).map_or_else(|| cannot(args, "double"), |n| Ok(Val::Double(n))),
        _ => cannot(args, "double"),
    }
}

fn to_duration<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Str(text)] => match duration::parse(text) {
            Ok(nanos) => Ok(Val::Duration(nanos)),
            Err(_) => cannot(args, "google.protobuf.Duration"),
        },
        _ => cannot(args, "google.protobuf.Duration"),
    }
}

fn to_int<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Double(number)] => {
            if *number > i64::MIN as f64 && *number < i64::MAX as f64 {
                Ok(Val::Int(*number as i64))
            } else {
                fail("integer overflow")
            }
        }
        [Val::Duration(nanos)] => Ok(Val::Int(*nanos)),
        [Val::Timestamp(at)] => Ok(Val::Int(at.seconds)),
        [Val::Uint(number)] => i64::try_from(*number).map_or_else(|_| fail("integer overflow"), |n| Ok(Val::Int(n))),
        [Val::Str(text)] => text.parse().map_or_else(|_| cannot(args, "int"), |number| Ok(Val::Int(number))),
        _ => cannot(args, "int"),
    }
}

fn to_uint<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Double(number)] => {
            if *number >= 0.0 && *number < u64::MAX as f64 {
                Ok(Val::Uint(*number as u64))
            } else {
                fail("unsigned integer overflow")
            }
        }
        [Val::Int(number)] => {
            u64::try_from(*number).map_or_else(|_| fail("unsigned integer overflow"), |n| Ok(Val::Uint(n)))
        }
        [Val::Str(text)] if !text.starts_with('+') => {
            text.parse().map_or_else(|_| cannot(args, "uint"), |number| Ok(Val::Uint(number)))
        }
        _ => cannot(args, "uint"),
    }
}

pub(super) fn to_string<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    Ok(match args {
        [Val::Bool(truth)] => Val::from(truth.to_string()),
        [Val::Bytes(bytes)] => match std::str::from_utf8(bytes) {
            Ok(text) => Val::from(text.to_owned()),
            Err(_) => return fail("invalid UTF-8 in bytes, cannot convert to string"),
        },
        [Val::Double(number)] => Val::from(gofmt::general(*number)),
        [Val::Duration(nanos)] => Val::from(gofmt::seconds(*nanos)),
        [Val::Int(number)] => Val::from(number.to_string()),
        [Val::Timestamp(at)] => Val::from(gofmt::time(*at)),
        [Val::Uint(number)] => Val::from(number.to_string()),
        [Val::Str(text)] => Val::Str(text.clone()),
        [Val::Type(name)] => Val::from(name.to_string()),
        _ => return cannot(args, "string"),
    })
}

fn to_timestamp<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Int(seconds)] if (Timestamp::MIN..=Timestamp::MAX).contains(seconds) => {
            Ok(Val::Timestamp(Timestamp::utc(*seconds, 0)))
        }
        [Val::Int(_)] => fail("timestamp overflow"),
        [Val::Str(text)] => match Timestamp::parse(text) {
            Some(at) if (Timestamp::MIN..=Timestamp::MAX).contains(&at.seconds) => Ok(Val::Timestamp(at)),
            Some(_) => fail("timestamp overflow"),
            None => cannot(args, "google.protobuf.Timestamp"),
        },
        _ => cannot(args, "google.protobuf.Timestamp"),
    }
}
