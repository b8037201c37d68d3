//! What a plain scalar stands for in YAML 1.1, as Go's reader sees it; and how floats are spelled.

use super::YamlError;

pub(super) const TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// A scalar with its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// Beyond an `Int`.
    Unsigned(u64),
    Float(f64),
    Text,
    /// Kept as its text, but not written without quotes.
    Timestamp,
}

impl Scalar {
    fn tag(&self) -> &'static str {
        match self {
            Scalar::Null => "null",
            Scalar::Bool(_) => "bool",
            Scalar::Int(_) | Scalar::Unsigned(_) => "int",
            Scalar::Float(_) => "float",
            Scalar::Text => "str",
            Scalar::Timestamp => "timestamp",
        }
    }
}

/// A scalar with a tag; an empty one is none.
pub(super) fn tagged(tag: &str, text: &str) -> Result<Scalar, YamlError> {
    let known = tag.strip_prefix(TAG_PREFIX).unwrap_or(if tag.is_empty() { "" } else { "!" });
    if !matches!(known, "" | "str" | "bool" | "int" | "float" | "null" | "timestamp") || known == "str" {
        return Ok(Scalar::Text);
    }
    let found = match untagged(text) {
        // Only what is not said to be something else is looked at as a time.
        Scalar::Timestamp if !known.is_empty() && known != "timestamp" => number(text).unwrap_or(Scalar::Text),
        found => found,
    };
    match (known, &found) {
        ("float", Scalar::Int(number)) => Ok(Scalar::Float(*number as f64)),
        _ if known.is_empty() || known == found.tag() => Ok(found),
        _ => Err(YamlError::plain(format!("cannot decode !!{} `{text}` as a !!{known}", found.tag()))),
    }
}

/// A scalar that says itself what it is.
pub(super) fn untagged(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => match text.as_bytes()[0] {
            b'.' => decimal(text).map_or(Scalar::Text, Scalar::Float),
            b'0'..=b'9' | b'+' | b'-' if is_timestamp(text) => Scalar::Timestamp,
            b'0'..=b'9' | b'+' | b'-' => number(text).unwrap_or(Scalar::Text),
            _ => Scalar::Text,
        },
    }
}

fn number(text: &str) -> Option<Scalar> {
    let plain = text.replace('_', "");
    if let Some(number) = integer(&plain) {
        return Some(number);
    }
    decimal(&plain).map(Scalar::Float)
}

/// An integer with Go's prefixes, octal behind a bare 0.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|digit| char::from(digit).is_digit(radix)) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(size).map(Scalar::Int);
    }
    match i64::try_from(size) {
        Ok(number) => Some(Scalar::Int(number)),
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(Scalar::Unsigned(size)),
    }
}

/// Digits with a point and an exponent, and nothing beyond what a float can hold.
fn decimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    let some = !whole.is_empty() || !fraction.is_empty();
    if !some || !digits(whole) || !digits(fraction) || !exponent_fits {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A date, or a date with a time in one of the three forms that are known.
fn is_timestamp(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else { return false };
    if year.len() != 4 || !year.bytes().all(|digit| digit.is_ascii_digit()) {
        return false;
    }
    let Some((month, rest)) = rest.split_once('-') else { return false };
    let day_end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (day, time) = rest.split_at(day_end);
    let (Some(month), Some(day)) = (short(month, 12), short(day, 31)) else { return false };
    let year: i64 = year.parse().unwrap_or(0);
    let is_date =
        month >= 1 && day >= 1 && i64::from(day) <= crate::api::schema::scalar::time::days_in(year, i64::from(month));
    is_date
        && match time.as_bytes().first() {
            None => true,
            Some(b'T' | b't') => clock(&time[1..]).is_some_and(is_zone),
            Some(b' ') => clock(&time[1..]).is_some_and(str::is_empty),
            Some(_) => false,
        }
}

/// One or two digits up to a bound.
fn short(text: &str, max: u32) -> Option<u32> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= max)
}

/// `h:m:s` with a fraction, and what follows it.
fn clock(text: &str) -> Option<&str> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, rest) = rest.split_once(':')?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (second, rest) = rest.split_at(end);
    short(hour, 23)?;
    short(minute, 59)?;
    short(second, 59)?;
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some(rest) };
    let rest = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
    (rest.len() < fraction.len()).then_some(rest)
}

fn is_zone(text: &str) -> bool {
    if text == "Z" {
        return true;
    }
    let Some((hours, minutes)) = text.strip_prefix(['+', '-']).and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    hours.len() == 2 && minutes.len() == 2 && short(hours, 24).is_some() && short(minutes, 60).is_some()
}

/// The shortest digits that give a number back, and its decimal exponent, as `d.ddd` times ten to it.
fn shortest(scientific: &str) -> (String, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// A number as Go's `%g` spells it; `digits` is its scientific notation in Rust.
fn go_general(negative: bool, digits: &str) -> String {
    let (digits, exponent) = shortest(digits);
    let sign = if negative { "-" } else { "" };
    let body = if !(-4..6).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        format!("{first}{point}{rest}e{exponent_sign}{:02}", exponent.abs())
    } else if exponent < 0 {
        format!("0.{}{digits}", "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0)))
    } else {
        let whole = usize::try_from(exponent + 1).unwrap_or(1);
        match digits.len() <= whole {
            true => format!("{digits}{}", "0".repeat(whole - digits.len())),
            false => format!("{}.{}", &digits[..whole], &digits[whole..]),
        }
    };
    format!("{sign}{body}")
}

/// A float of 64 bits in YAML.
pub(super) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    go_general(number.is_sign_negative(), &format!("{:e}", number.abs()))
}

/// A float as a key: with the precision of 32 bits.
pub(super) fn float_key(number: f64) -> String {
    let narrow = number as f32;
    if !narrow.is_finite() {
        return float_text(f64::from(narrow));
    }
    go_general(number.is_sign_negative(), &format!("{:e}", narrow.abs()))
}
