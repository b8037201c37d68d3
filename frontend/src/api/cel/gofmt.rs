//! Texts of numbers, times and quotes as Go prints them.

use super::timestamp::Timestamp;

/// `%g`: the shortest digits that are the number; with an exponent where it is below -4 or above 5.
pub(super) fn general(number: f64) -> String {
    if let Some(text) = special(number) {
        return text.to_owned();
    }
    let (digits, exponent) = digits(number);
    if (-4..6).contains(&exponent) {
        return plain(number);
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.abs())
}

fn special(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        return Some("NaN");
    }
    number.is_infinite().then_some(if number > 0.0 { "+Inf" } else { "-Inf" })
}

/// The shortest digits without a point, and the exponent of the first.
fn digits(number: f64) -> (String, i32) {
    let text = format!("{:e}", number.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// `%f` with as few digits as say the number.
pub(super) fn plain(number: f64) -> String {
    special(number).map_or_else(|| format!("{number}"), str::to_owned)
}

/// RFC 3339 with as many digits of a second as there are.
pub(super) fn time(at: Timestamp) -> String {
    use crate::api::schema::scalar::time::{Instant, format_time};
    let local = format_time(Instant { seconds: at.seconds + i64::from(at.offset), nanos: 0 });
    let mut out = local.trim_end_matches('Z').to_owned();
    if at.nanos != 0 {
        let fraction = format!("{:09}", at.nanos);
        out.push('.');
        out.push_str(fraction.trim_end_matches('0'));
    }
    if at.offset == 0 {
        out.push('Z');
    } else {
        let sign = if at.offset < 0 { '-' } else { '+' };
        let minutes = at.offset.unsigned_abs() / 60;
        out.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
    }
    out
}

/// Seconds with as few digits as say the duration: "1.5s".
pub(super) fn seconds(nanos: i64) -> String {
    // Go adds the fraction to the seconds as floats, and so may not print the last digits.
    let whole = (nanos / 1_000_000_000) as f64;
    let fraction = (nanos % 1_000_000_000) as f64 / 1e9;
    format!("{}s", plain(whole + fraction))
}

/// `%q`
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            letter if is_printed(letter) => out.push(letter),
            letter if (letter as u32) < 0x80 => out.push_str(&format!("\\x{:02x}", letter as u32)),
            letter if (letter as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => out.push_str(&format!("\\U{:08x}", letter as u32)),
        }
    }
    out.push('"');
    out
}

fn is_printed(letter: char) -> bool {
    letter == ' '
        || !(letter.is_control()
            || letter.is_whitespace()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}'))
}

/// `strconv.ParseFloat`
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let word = unsigned.to_ascii_lowercase();
    if matches!(word.as_str(), "inf" | "infinity") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let fits = |letter: u8| letter.is_ascii_digit() || matches!(letter, b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.bytes().all(fits) || !unsigned.bytes().any(|letter| letter.is_ascii_digit()) {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_go_prints_them() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (1e21, "1e+21"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(general(number), text);
        }
    }

    #[test]
    fn durations_print_in_seconds() {
        for (nanos, text) in [(0, "0s"), (1_500_000_000, "1.5s"), (-60_000_000_000, "-60s"), (1, "0.000000001s")] {
            assert_eq!(seconds(nanos), text);
        }
    }
}
