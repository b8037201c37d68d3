//! Time (whole seconds) and MicroTime: RFC 3339 texts and seconds since 1970. No clock here.

/// An instant: seconds since 1970 and nanoseconds within the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    pub seconds: i64,
    pub nanos: u32,
}

const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
const MICRO_LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Go's zero time, 0001-01-01T00:00:00Z, which is the same as none.
const ZERO_SECONDS: i64 = -62_135_596_800;

impl Instant {
    pub fn is_zero(self) -> bool {
        self.seconds == ZERO_SECONDS && self.nanos == 0
    }
}

/// Reads a Time. The error is Go's.
pub fn parse_time(text: &str) -> Result<Instant, String> {
    parse(text, LAYOUT)
}

/// Reads a MicroTime. The error is Go's.
pub fn parse_micro_time(text: &str) -> Result<Instant, String> {
    parse(text, MICRO_LAYOUT)
}

/// How many digits an element of the layout takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Digits {
    Four,
    Two,
    OneOrTwo,
}

/// The elements of a date and time in turn: how the layout writes them, what stands behind them, and which values they
/// take.
const ELEMENTS: [(&str, Digits, &str, std::ops::RangeInclusive<i64>, &str); 6] = [
    ("2006", Digits::Four, "-", 0..=9999, "year"),
    ("01", Digits::Two, "-", 1..=12, "month"),
    // Days are checked at the end, when the month is known.
    ("02", Digits::Two, "T", 0..=99, "day"),
    ("15", Digits::OneOrTwo, ":", 0..=23, "hour"),
    ("04", Digits::Two, ":", 0..=59, "minute"),
    ("05", Digits::Two, "", 0..=59, "second"),
];

/// RFC 3339 as Go's time.Parse takes it: a comma may stand for the point, and an hour may have one digit.
fn parse(text: &str, layout: &str) -> Result<Instant, String> {
    let cannot = |rest: &str, element: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quoted(text),
            quoted(layout),
            quoted(rest),
            quoted(element)
        )
    };
    let out_of_range = |what: &str| format!("parsing time {}: {what} out of range", quoted(text));
    let mut rest = text;
    let mut numbers = [0i64; 6];
    for (number, (element, digits, separator, range, name)) in numbers.iter_mut().zip(ELEMENTS) {
        let (value, after) = leading_number(rest, digits).ok_or_else(|| cannot(rest, element))?;
        if !range.contains(&value) {
            return Err(out_of_range(name));
        }
        *number = value;
        rest = after.strip_prefix(separator).ok_or_else(|| cannot(after, separator))?;
    }
    let (nanos, after) = match layout == MICRO_LAYOUT {
        true => micros(rest).ok_or_else(|| cannot(rest, ".000000"))?,
        false => fraction(rest),
    };
    let (offset, extra) = zone(after).map_err(|what| match what {
        Some(what) => out_of_range(what),
        None => cannot(after, "Z07:00"),
    })?;
    if !extra.is_empty() {
        return Err(format!("parsing time {}: extra text: {}", quoted(text), quoted(extra)));
    }
    let [year, month, day, hour, minute, second] = numbers;
    if day < 1 || day > days_in(year, month) {
        return Err(out_of_range("day"));
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Ok(Instant { seconds, nanos })
}

fn leading_number(text: &str, digits: Digits) -> Option<(i64, &str)> {
    let there = text.bytes().take_while(u8::is_ascii_digit).count();
    let length = match digits {
        Digits::Four => 4,
        Digits::Two => 2,
        Digits::OneOrTwo => there.clamp(1, 2),
    };
    (there >= length).then(|| (text[..length].parse().unwrap_or(0), &text[length..]))
}

/// A fraction of any length, if there is one, in nanoseconds.
fn fraction(text: &str) -> (u32, &str) {
    let Some(digits) = text.strip_prefix(['.', ',']) else { return (0, text) };
    let rest = digits.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let digits = &digits[..digits.len() - rest.len()];
    if digits.is_empty() {
        return (0, text);
    }
    let nanos = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    (nanos.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')), rest)
}

/// A fraction of six digits.
fn micros(text: &str) -> Option<(u32, &str)> {
    const LENGTH: usize = 7;
    let (digits, rest) = (text.get(..LENGTH)?, text.get(LENGTH..)?);
    let all = digits.starts_with(['.', ',']) && digits[1..].bytes().all(|digit| digit.is_ascii_digit());
    all.then(|| (fraction(digits).0, rest))
}

/// The offset from UTC in seconds; the error names what is out of range.
fn zone(text: &str) -> Result<(i64, &str), Option<&'static str>> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Ok((0, rest));
    }
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, ..] = text.as_bytes() else { return Err(None) };
    if ![h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit) {
        return Err(None);
    }
    let number = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let (hours, minutes) = (number(h1, h2), number(m1, m2));
    if hours > 24 {
        return Err(Some("time zone offset hour"));
    }
    if minutes > 60 {
        return Err(Some("time zone offset minute"));
    }
    let offset = hours * 3600 + minutes * 60;
    Ok((if *sign == b'-' { -offset } else { offset }, &text[6..]))
}

/// As Go quotes texts in errors about times: bytes beyond ASCII one by one.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' | 0x7f => out.push(char::from(byte)),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out + "\""
}

/// "2026-11-21T07:34:55Z"
pub fn format_time(at: Instant) -> String {
    let mut out = String::with_capacity(27);
    write_seconds(&mut out, at.seconds);
    out.push('Z');
    out
}

/// "2026-11-21T07:34:55.000000Z"
pub fn format_micro_time(at: Instant) -> String {
    let mut out = String::with_capacity(27);
    write_seconds(&mut out, at.seconds);
    out.push('.');
    write_digits(&mut out, i64::from(at.nanos / 1000), 6);
    out.push('Z');
    out
}

fn write_seconds(out: &mut String, seconds: i64) {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let parts = [(year, 4, '-'), (month, 2, '-'), (day, 2, 'T'), (rest / 3600, 2, ':'), (rest / 60 % 60, 2, ':')];
    for (number, width, separator) in parts {
        write_digits(out, number, width);
        out.push(separator);
    }
    write_digits(out, rest % 60, 2);
}

fn write_digits(out: &mut String, number: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10i64.pow(place) % 10;
        out.push(char::from(b'0' + digit.unsigned_abs() as u8));
    }
}

pub(crate) fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years are counted from March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_utc_and_whole_seconds() {
        for (text, canonical) in [
            ("2026-11-21T07:34:55Z", "2026-11-21T07:34:55Z"),
            ("2026-11-21T07:34:55.987654321+02:00", "2026-11-21T05:34:55Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
            ("2024-02-29T00:00:00-01:30", "2024-02-29T01:30:00Z"),
            ("2024-02-29T5:00:00,5Z", "2024-02-29T05:00:00Z"),
        ] {
            assert_eq!(format_time(parse_time(text).unwrap()), canonical);
        }
        let micro = parse_micro_time("2026-11-21T07:34:55.987654Z").unwrap();
        assert_eq!(format_micro_time(micro), "2026-11-21T07:34:55.987654Z");
        assert!(parse_time("0001-01-01T00:00:00Z").unwrap().is_zero());
    }

    #[test]
    fn a_micro_time_has_six_digits() {
        for (text, rest, element) in
            [("2027-03-04T05:06:07+02:00", "+02:00", ".000000"), ("2027-03-04T05:06:07.123456789Z", "789Z", "Z07:00")]
        {
            let refusal = parse_micro_time(text).unwrap_err();
            let layout = "2006-01-02T15:04:05.000000Z07:00";
            assert_eq!(refusal, format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {element:?}"));
        }
    }

    #[test]
    fn refusals_are_those_of_go() {
        let cases = [
            ("not-a-time", "cannot parse \"not-a-time\" as \"2006\""),
            ("2026-11-21", "cannot parse \"\" as \"T\""),
            ("2026-11-21T07:34:55", "cannot parse \"\" as \"Z07:00\""),
            ("2026-11-21T07:34:5Z", "cannot parse \"5Z\" as \"05\""),
        ];
        for (text, end) in cases {
            let refusal = parse_time(text).unwrap_err();
            assert_eq!(refusal, format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": {end}"));
        }
        let cases = [
            ("2026-02-29T07:34:55Z", "day out of range"),
            ("2026-13-21T07:34:55Z", "month out of range"),
            ("2026-11-21T24:34:55Z", "hour out of range"),
            ("2026-11-21T07:34:55+25:00", "time zone offset hour out of range"),
            ("2026-11-21T07:34:55Zx", "extra text: \"x\""),
        ];
        for (text, end) in cases {
            assert_eq!(parse_time(text), Err(format!("parsing time {text:?}: {end}")));
        }
    }
}
