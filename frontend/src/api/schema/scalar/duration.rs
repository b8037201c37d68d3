//! metav1.Duration: Go's text form ("1h0m0s") and nanoseconds.

const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0f64;
    while !rest.is_empty() {
        let digits =
            rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.').len();
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit = rest.len() - rest.trim_start_matches(|letter: char| !letter.is_ascii_digit() && letter != '.').len();
        if unit == 0 {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let factor = UNITS.iter().find(|(name, _)| *name == &rest[..unit]);
        let Some((_, factor)) = factor else {
            return Err(format!("time: unknown unit {:?} in duration {text:?}", &rest[..unit]));
        };
        total += number * factor;
        rest = &rest[unit..];
    }
    if total > i64::MAX as f64 {
        return Err(invalid());
    }
    let nanos = total as i64;
    Ok(if negative { -nanos } else { nanos })
}

pub fn format(nanos: i64) -> String {
    let size = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    if size == 0 {
        return "0s".to_owned();
    }
    let text = if size < 1_000 {
        format!("{size}ns")
    } else if size < 1_000_000 {
        format!("{}µs", fraction(size, 3))
    } else if size < 1_000_000_000 {
        format!("{}ms", fraction(size, 6))
    } else {
        let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
        let seconds = fraction(rest, 9);
        match (minutes / 60, minutes % 60) {
            (0, 0) => format!("{seconds}s"),
            (0, minutes) => format!("{minutes}m{seconds}s"),
            (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
        }
    };
    format!("{sign}{text}")
}

/// size / 10^places without trailing zeros
fn fraction(size: u64, places: usize) -> String {
    let unit = 10u64.pow(places as u32);
    let (whole, part) = (size / unit, size % unit);
    if part == 0 {
        return whole.to_string();
    }
    let digits = format!("{part:0places$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_print_as_go_prints_them() {
        for (text, canonical) in [
            ("60m", "1h0m0s"),
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("0", "0s"),
            ("1500us", "1.5ms"),
            ("-2h", "-2h0m0s"),
        ] {
            assert_eq!(format(parse(text).unwrap()), canonical);
        }
        assert_eq!(parse("5").unwrap_err(), "time: missing unit in duration \"5\"");
    }
}
