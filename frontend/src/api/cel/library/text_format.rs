//! `'%s has %d'.format(['a', 1])`: the values in a text.
//!
//! The same walk over the format serves twice: with values at run time, and with the types of a list literal when an
//! expression is compiled.

use super::super::{
    gofmt,
    types::Type,
    value::{Evaluated, Val, fail, no_such_overload},
};

/// What is wrong; `arg` is the argument that does not fit its clause.
pub(in super::super) struct FormatError {
    pub(in super::super) message: String,
    pub(in super::super) arg: Option<(Clause, usize)>,
}

/// A clause: its letter and how many digits it asks for.
#[derive(Clone, Copy)]
pub(in super::super) struct Clause {
    letter: char,
    precision: Option<usize>,
}

/// What clauses are applied to.
pub(in super::super) trait FormatArgs {
    fn len(&self) -> usize;
    fn format(&self, clause: Clause, arg: usize) -> Result<String, String>;
}

const DEFAULT_PRECISION: usize = 6;
/// More digits than a number has are zeros; this bounds the zeros.
const PRECISION_MAX: usize = 100_000;
/// No number has more digits after the point.
const DIGITS_MAX: usize = 1_100;

/// Walks over a format. Also says how many arguments it wants.
pub(in super::super) fn check_format(text: &str, args: &dyn FormatArgs) -> Result<(String, usize), FormatError> {
    let mut out = String::with_capacity(text.len());
    let mut used = 0;
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let plain = |message: String| FormatError { message, arg: None };
        if used >= args.len() {
            return Err(plain(format!("index {used} out of range")));
        }
        if rest.is_empty() {
            return Err(plain("unexpected end of string".to_owned()));
        }
        let parsed = clause(rest).map_err(|error| plain(format!("could not parse formatting clause: {error}")))?;
        let (clause, after) = parsed;
        let text = args.format(clause, used).map_err(|message| FormatError {
            message: format!("error during formatting: {message}"),
            arg: Some((clause, used)),
        })?;
        out.push_str(&text);
        used += 1;
        rest = after;
    }
    out.push_str(rest);
    Ok((out, used))
}

fn clause(text: &str) -> Result<(Clause, &str), String> {
    let (precision, rest) = match text.strip_prefix('.') {
        None => (None, text),
        Some(after) => {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            if digits == after.len() {
                return Err("error while parsing precision: could not find end of precision specifier".to_owned());
            }
            let number = after[..digits].parse::<usize>().map_err(|_| {
                let shown = gofmt::quote(&after[..digits]);
                let why = if digits == 0 { "invalid syntax" } else { "value out of range" };
                format!(
                    "error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing {shown}: {why}"
                )
            })?;
            (Some(number.min(PRECISION_MAX)), &after[digits..])
        }
    };
    // The original looks at bytes: of a longer letter it sees the first.
    let letter = char::from(rest.as_bytes().first().copied().unwrap_or_default());
    match letter {
        's' | 'd' | 'f' | 'e' | 'b' | 'x' | 'X' | 'o' => Ok((Clause { letter, precision }, &rest[1..])),
        other => Err(format!("unrecognized formatting clause \"{other}\"")),
    }
}

/// Which types a clause takes, and what is said of others.
fn wants(clause: Clause) -> (fn(&str) -> bool, &'static str) {
    match clause.letter {
        'd' => (|name| matches!(name, "int" | "uint"), "decimal clause can only be used on integers, was given "),
        'f' => {
            (|name| matches!(name, "double" | "string"), "fixed-point clause can only be used on doubles, was given ")
        }
        'e' => {
            (|name| matches!(name, "double" | "string"), "scientific clause can only be used on doubles, was given ")
        }
        'b' => (
            |name| matches!(name, "int" | "uint" | "bool"),
            "only integers and bools can be formatted as binary, was given ",
        ),
        'x' | 'X' => (
            |name| matches!(name, "int" | "uint" | "string" | "bytes"),
            "only integers, byte buffers, and strings can be formatted as hex, was given ",
        ),
        'o' => (|name| matches!(name, "int" | "uint"), "octal clause can only be used on integers, was given "),
        _ => (
            |name| {
                matches!(
                    name,
                    "list" | "map" | "int" | "uint" | "double" | "bool" | "string" | "bytes" | "type" | "null_type"
                ) || name.starts_with("google.protobuf.")
            },
            "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given ",
        ),
    }
}

impl Clause {
    /// What is wrong with a type, if anything; dyn may turn out to be right.
    pub(in super::super) fn refusal(self, of: &Type) -> Option<String> {
        let (takes, message) = wants(self);
        let name = of.name();
        (!of.is_dyn() && !takes(&name)).then(|| format!("{message}{name}"))
    }

    pub(in super::super) fn is_text(self) -> bool {
        self.letter == 's'
    }
}

struct Values<'v, 'a>(&'v [Val<'a>]);

impl FormatArgs for Values<'_, '_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn format(&self, clause: Clause, arg: usize) -> Result<String, String> {
        let val = &self.0[arg];
        let (_, message) = wants(clause);
        let refuse = || Err(format!("{message}{}", val.type_name()));
        match clause.letter {
            'd' => match val {
                Val::Int(number) => Ok(number.to_string()),
                Val::Uint(number) => Ok(number.to_string()),
                _ => refuse(),
            },
            'f' => number(val).map_or_else(refuse, |number| Ok(fixed(number, clause.precision))),
            'e' => number(val).map_or_else(refuse, |number| Ok(scientific(number, clause.precision))),
            'b' => match val {
                Val::Bool(truth) => Ok(u8::from(*truth).to_string()),
                _ => digits(val, |n| format!("{n:b}")).map_or_else(refuse, Ok),
            },
            'o' => digits(val, |n| format!("{n:o}")).map_or_else(refuse, Ok),
            'x' | 'X' => hex(val, clause.letter == 'X').map_or_else(refuse, Ok),
            _ => text(val),
        }
    }
}

/// The texts of what is no number are taken as numbers.
fn number(val: &Val<'_>) -> Option<f64> {
    match val {
        Val::Double(number) => Some(*number),
        Val::Str(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn digits(val: &Val<'_>, show: fn(u64) -> String) -> Option<String> {
    match val {
        Val::Int(number) => {
            let sign = if *number < 0 { "-" } else { "" };
            Some(format!("{sign}{}", show(number.unsigned_abs())))
        }
        Val::Uint(number) => Some(show(*number)),
        _ => None,
    }
}

fn hex(val: &Val<'_>, upper: bool) -> Option<String> {
    let of_bytes = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = match val {
        Val::Str(text) => of_bytes(text.as_bytes()),
        Val::Bytes(bytes) => of_bytes(bytes),
        other => digits(other, |n| format!("{n:x}"))?,
    };
    Some(if upper { text.to_ascii_uppercase() } else { text })
}

fn special(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        return Some("NaN");
    }
    number.is_infinite().then_some(if number > 0.0 { "\u{221e}" } else { "-\u{221e}" })
}

/// With the thousands apart, as in the English of the United States.
fn fixed(number: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(number) {
        return text.to_owned();
    }
    let precision = precision.unwrap_or(DEFAULT_PRECISION);
    let digits = precision.min(DIGITS_MAX);
    let mut text = format!("{:.digits$}", number.abs());
    text.push_str(&"0".repeat(precision - digits));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if number.is_sign_negative() {
        out.push('-');
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// "1.052033×10⁰³"
fn scientific(number: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(number) {
        return text.to_owned();
    }
    let text = format!("{number:.DEFAULT_PRECISION$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mut out = format!("{mantissa}\u{d7}10");
    if exponent < 0 {
        out.push('\u{207b}');
    }
    const SUPERSCRIPTS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    for digit in format!("{:02}", exponent.abs()).bytes() {
        out.push(SUPERSCRIPTS[usize::from(digit - b'0')]);
    }
    // The original takes the precision for a width.
    format!("{out:>width$}", width = precision.unwrap_or(DEFAULT_PRECISION))
}

/// `%s` at the top, where a text stands without quotes.
fn text(val: &Val<'_>) -> Result<String, String> {
    match val {
        Val::Null => Ok("null".to_owned()),
        Val::List(_) | Val::Map(_) => nested(val),
        Val::Timestamp(at) => Ok(gofmt::time(*at)),
        Val::Optional(_)
        | Val::Url(_)
        | Val::Quantity(_)
        | Val::Ip(_)
        | Val::Cidr(..)
        | Val::Semver(_)
        | Val::Format(_)
        | Val::Authz(_)
        | Val::Decision(_) => {
            let (_, message) = wants(Clause { letter: 's', precision: None });
            Err(format!("{message}{}", val.type_name()))
        }
        other => match super::conversions::to_string(std::slice::from_ref(other)) {
            Ok(Val::Str(text)) => Ok(text.to_string()),
            Ok(other) => Ok(other.shown()),
            Err(error) => Err(format!("could not convert argument {} to string", gofmt::quote(&error.to_string()))),
        },
    }
}

/// A value inside a list or map.
fn nested(val: &Val<'_>) -> Result<String, String> {
    match val {
        Val::List(list) => {
            let items: Result<Vec<String>, String> =
                list.iter().map(|item| nested(&item.map_err(|error| error.to_string())?)).collect();
            Ok(format!("[{}]", items?.join(", ")))
        }
        Val::Map(map) => {
            let mut entries = Vec::new();
            for (key, value) in map.entries().map_err(|error| error.to_string())? {
                entries.push((map_key(&key)?, nested(&value)?));
            }
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
            Ok(format!("{{{}}}", entries.join(", ")))
        }
        Val::Str(text) => Ok(gofmt::quote(text)),
        Val::Bytes(bytes) => Ok(format!("b{}", gofmt::quote(&String::from_utf8_lossy(bytes)))),
        Val::Double(number) if number.is_finite() => Ok(format!("{number:.DEFAULT_PRECISION$}")),
        Val::Double(number) => Ok(gofmt::quote(&gofmt::plain(*number))),
        Val::Timestamp(at) => Ok(format!("timestamp({})", gofmt::quote(&gofmt::time(*at)))),
        Val::Duration(nanos) => Ok(format!("duration({})", gofmt::quote(&gofmt::seconds(*nanos)))),
        Val::Type(name) => Ok(format!("type({})", &**name)),
        Val::Null | Val::Bool(_) | Val::Int(_) | Val::Uint(_) => text(val),
        other => Err(format!("no formatting function for {}", other.type_name())),
    }
}

fn map_key(key: &Val<'_>) -> Result<String, String> {
    match key {
        Val::Str(_) | Val::Bool(_) | Val::Int(_) | Val::Uint(_) => nested(key),
        other => Err(format!("no formatting function for map key of type {}", other.type_name())),
    }
}

pub(super) fn format<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text), Val::List(list)] = args else { return no_such_overload() };
    let values = list.to_vec()?;
    match check_format(text, &Values(&values)) {
        Ok((text, _)) => Ok(Val::from(text)),
        Err(error) => fail(error.message),
    }
}
