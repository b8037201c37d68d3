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
    parse(text).ok_or_else(|| refusal(text, LAYOUT))
}

/// Reads a MicroTime. The error is Go's.
pub fn parse_micro_time(text: &str) -> Result<Instant, String> {
    let fraction = text.get(19..).and_then(|rest| rest.strip_prefix('.'));
    let digits = fraction.map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    match parse(text) {
        Some(at) if digits == 6 => Ok(at),
        _ => Err(refusal(text, MICRO_LAYOUT)),
    }
}

fn refusal(text: &str, layout: &str) -> String {
    let (rest, element) = unparsed(text, layout == MICRO_LAYOUT);
    match element {
        "" => format!("parsing time {text:?}: extra text: {rest:?}"),
        _ => format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {element:?}"),
    }
}

/// What is left where the text stops to follow the layout, and the layout's element there.
fn unparsed(text: &str, micro: bool) -> (&str, &'static str) {
    const STEPS: [(usize, &str, &str); 6] =
        [(4, "2006", "-"), (2, "01", "-"), (2, "02", "T"), (2, "15", ":"), (2, "04", ":"), (2, "05", "")];
    let mut rest = text;
    for (digits, element, separator) in STEPS {
        let bytes = rest.as_bytes();
        if bytes.len() < digits || !bytes[..digits].iter().all(u8::is_ascii_digit) {
            return (rest, element);
        }
        rest = &rest[digits..];
        match rest.strip_prefix(separator) {
            Some(after) => rest = after,
            None => return (rest, separator),
        }
    }
    if micro {
        const FRACTION: usize = 7;
        match rest.as_bytes().split_first_chunk::<FRACTION>() {
            Some(([b'.', digits @ ..], _)) if digits.iter().all(u8::is_ascii_digit) => rest = &rest[FRACTION..],
            _ => return (rest, ".000000"),
        }
    } else if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
    }
    match rest.strip_prefix('Z') {
        Some(extra) => (extra, ""),
        None => (rest, "Z07:00"),
    }
}

/// RFC 3339 with any offset and fraction.
fn parse(text: &str) -> Option<Instant> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes[4] != b'-' || bytes[7] != b'-' || bytes[10] != b'T' {
        return None;
    }
    if bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        bytes[from..to]
            .iter()
            .try_fold(0i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0u32;
    if bytes[at] == b'.' {
        let digits = bytes[at + 1..].iter().take_while(|digit| digit.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        for place in 0..9 {
            let digit = if place < digits { u32::from(bytes[at + 1 + place] - b'0') } else { 0 };
            nanos = nanos * 10 + digit;
        }
        at += 1 + digits;
    }
    let offset = match &bytes[at..] {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 24 || minutes > 60 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(Instant { seconds, nanos })
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

fn days_in(year: i64, month: i64) -> i64 {
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
        ];
        for (text, end) in cases {
            let refusal = parse_time(text).unwrap_err();
            assert_eq!(refusal, format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": {end}"));
        }
    }
}
