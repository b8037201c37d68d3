//! Quantities ("100m", "1Gi", "1e3"): parsing and the canonical text that Kubernetes prints.

use std::cmp::Ordering;

/// In units of 10^-9, the smallest that Kubernetes keeps. Two are equal when they amount to the same.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    DecimalSi,
    BinarySi,
    DecimalExponent,
}

const NANO: i128 = 1_000_000_000;
/// Larger values are cut to this; Kubernetes does so for binary suffixes.
const BINARY_MAX: i128 = i64::MAX as i128 * NANO;
/// Kubernetes has no limit here; ours, for reckoning, is beyond 10^28 whole units. Texts have none.
const DECIMAL_MAX: i128 = i128::MAX / 16 / NANO * NANO;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.nanos.cmp(&other.nanos))
    }
}

impl Quantity {
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let parts = Parts::of(text)?;
        if parts.is_numberless(text) {
            return Err(QuantityError::Numeric);
        }
        let (mantissa, dropped) = mantissa(parts.whole.as_bytes(), parts.fraction.as_bytes());
        let max = if parts.format == Format::BinarySi { BINARY_MAX } else { DECIMAL_MAX };
        let size = scaled(mantissa, parts.fraction.len() - dropped, parts.scale).min(max);
        Ok(Quantity { nanos: if parts.negative { -size } else { size }, format: parts.format })
    }

    pub fn from_units(units: i64) -> Quantity {
        Quantity { nanos: i128::from(units) * NANO, format: Format::DecimalSi }
    }

    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Rounded up, as Kubernetes' Value().
    pub fn units(&self) -> i64 {
        let whole = self.nanos.div_euclid(NANO) + i128::from(self.nanos.rem_euclid(NANO) != 0);
        whole.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// Rounded up, as Kubernetes' MilliValue().
    pub fn milli_units(&self) -> i64 {
        let milli = self.nanos.div_euclid(1_000_000) + i128::from(self.nanos.rem_euclid(1_000_000) != 0);
        milli.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    pub fn is_whole(&self) -> bool {
        self.nanos % NANO == 0
    }

    /// The sum, printed in the style of the first.
    pub fn plus(&self, other: &Quantity) -> Quantity {
        let format = if self.is_zero() { other.format } else { self.format };
        Quantity { nanos: self.nanos + other.nanos, format }
    }

    pub fn minus(&self, other: &Quantity) -> Quantity {
        self.plus(&Quantity { nanos: -other.nanos, format: other.format })
    }

    /// Away from nothing smaller than a thousandth, as Kubernetes keeps resources.
    pub fn round_up_to_milli(&self) -> Quantity {
        const MILLI: i128 = 1_000_000;
        let whole = self.nanos / MILLI * MILLI;
        let up = if whole == self.nanos { 0 } else { MILLI * self.nanos.signum() };
        Quantity { nanos: whole + up, format: self.format }
    }

    pub fn canonical(&self) -> String {
        if self.nanos == 0 {
            return "0".to_owned();
        }
        let small = self.nanos.abs() < 1024 * NANO;
        if self.format == Format::BinarySi && !small && self.nanos % NANO == 0 {
            return self.canonical_binary();
        }
        let (mut mantissa, mut exponent) = (self.nanos, -9);
        while mantissa % 1000 == 0 {
            mantissa /= 1000;
            exponent += 3;
        }
        match (self.format, exponent) {
            (_, 0) => mantissa.to_string(),
            (Format::DecimalExponent, _) => format!("{mantissa}e{exponent}"),
            _ => {
                let suffix = DECIMAL.iter().find(|(_, power)| *power == exponent).map_or("", |(name, _)| name);
                format!("{mantissa}{suffix}")
            }
        }
    }

    fn canonical_binary(&self) -> String {
        let (mut mantissa, mut power) = (self.nanos / NANO, 0);
        while mantissa % 1024 == 0 && power < BINARY.len() {
            mantissa /= 1024;
            power += 1;
        }
        let suffix = if power == 0 { "" } else { BINARY[power - 1] };
        format!("{mantissa}{suffix}")
    }
}

/// A quantity's text as Kubernetes keeps it: as it was written where that is canonical already but for its spelling,
/// else in canonical form.
pub fn canonical(text: &str) -> Result<String, QuantityError> {
    let quantity = Quantity::parse(text)?;
    let parts = Parts::of(text)?;
    Ok(match parts.scale {
        _ if parts.is_kept() => text.to_owned(),
        Scale::Two(_) => quantity.canonical(),
        Scale::Ten(exponent) => parts.canonical_decimal(exponent, quantity.format),
    })
}

/// The pieces of a quantity's text. Any of them may be missing, even all digits: `Gi` and `.` are zero.
struct Parts<'t> {
    negative: bool,
    /// Without zeros in front; `0` where nothing else is left.
    whole: &'t str,
    fraction: &'t str,
    scale: Scale,
    format: Format,
    /// Neither suffix nor another digit than zero.
    is_bare_zero: bool,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Result<Parts<'t>, QuantityError> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let stripped = unsigned.trim_start_matches('0');
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, rest) = stripped.split_at(digits(stripped));
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", rest),
        };
        let is_bare_zero = stripped.is_empty();
        let (scale, format) = suffix(rest.as_bytes())?;
        let whole = if whole.is_empty() { "0" } else { whole };
        Ok(Parts { negative, whole, fraction, scale, format, is_bare_zero })
    }

    /// Only the short way takes no digits for zero.
    fn is_numberless(&self, text: &str) -> bool {
        !self.is_bare_zero
            && !self.is_short()
            && !text.trim_start_matches(['+', '-', '.']).starts_with(|digit: char| digit.is_ascii_digit())
    }

    fn digits(&self) -> String {
        format!("{}{}", self.whole, self.fraction)
    }

    /// Whether the number is small enough for the short way of reading, which knows no fractions of the smallest unit.
    fn is_short(&self) -> bool {
        let length = self.whole.len() + self.fraction.len();
        match self.scale {
            Scale::Ten(exponent) => {
                let places = i32::try_from(self.fraction.len()).unwrap_or(i32::MAX);
                length <= 18 && exponent.saturating_sub(places) >= -9
            }
            Scale::Two(power) => self.fraction.is_empty() && length + power as usize * 3 / 10 < 15,
        }
    }

    /// Whether the text stays: three zeros at its end, or a power that is none of a thousand, do not.
    fn is_kept(&self) -> bool {
        if self.is_bare_zero || !self.is_short() {
            return false;
        }
        let digits = self.digits();
        match self.scale {
            Scale::Two(_) => digits.parse::<u64>().is_ok_and(|number| number & 7 != 0),
            Scale::Ten(exponent) => {
                let exponent = exponent - i32::try_from(self.fraction.len()).unwrap_or(0);
                exponent % 3 == 0 && !digits.ends_with("000") && !digits.starts_with('0')
            }
        }
    }

    /// Digits without zeros at their end and the power of a thousand that goes with them. Fractions of the smallest
    /// unit count as one.
    fn canonical_decimal(&self, exponent: i32, format: Format) -> String {
        let mut digits = self.digits().trim_start_matches('0').to_owned();
        let mut exponent = exponent.saturating_sub(i32::try_from(self.fraction.len()).unwrap_or(i32::MAX));
        let beyond = usize::try_from((-9i32).saturating_sub(exponent)).unwrap_or(0);
        if beyond > 0 && !digits.is_empty() {
            let cut = digits.split_off(digits.len().saturating_sub(beyond));
            let inexact = digits.is_empty() || cut.bytes().any(|digit| digit != b'0');
            if inexact {
                increment(&mut digits);
            }
            exponent = -9;
        }
        let significant = digits.trim_end_matches('0').len();
        exponent = exponent.saturating_add(i32::try_from(digits.len() - significant).unwrap_or(0));
        digits.truncate(significant);
        if digits.is_empty() {
            return "0".to_owned();
        }
        let padding = exponent.rem_euclid(3);
        digits.extend(std::iter::repeat_n('0', usize::try_from(padding).unwrap_or(0)));
        exponent -= padding;
        let sign = if self.negative { "-" } else { "" };
        match (format, exponent) {
            (_, 0) => format!("{sign}{digits}"),
            (Format::DecimalExponent, _) => format!("{sign}{digits}e{exponent}"),
            _ => {
                let suffix = DECIMAL.iter().find(|(_, power)| *power == exponent).map_or("", |(name, _)| name);
                format!("{sign}{digits}{suffix}")
            }
        }
    }
}

/// Adds one to a number in decimal digits.
fn increment(digits: &mut String) {
    let nines = digits.len() - digits.trim_end_matches('9').len();
    digits.truncate(digits.len() - nines);
    let last = digits.pop().map_or('1', |last| char::from(last as u8 + 1));
    digits.push(last);
    digits.extend(std::iter::repeat_n('0', nines));
}

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

#[derive(Clone, Copy)]
enum Scale {
    Ten(i32),
    Two(u32),
}

fn suffix(text: &[u8]) -> Result<(Scale, Format), QuantityError> {
    let text = std::str::from_utf8(text).map_err(|_| QuantityError::Format)?;
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == text) {
        return Ok((Scale::Ten(*power), Format::DecimalSi));
    }
    if let Some(at) = BINARY.iter().position(|name| *name == text) {
        return Ok((Scale::Two(10 * (at as u32 + 1)), Format::BinarySi));
    }
    let letters = text.trim_start_matches(|letter| "eEinumkKMGTP".contains(letter));
    let digits = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    let exponent = text.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
    let exponent: i32 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
    Ok((Scale::Ten(exponent), Format::DecimalExponent))
}

/// The digits as one number, and how many digits after the point were beyond its precision.
fn mantissa(whole: &[u8], fraction: &[u8]) -> (i128, usize) {
    let mut number = 0i128;
    for digit in whole {
        number = number.saturating_mul(10).saturating_add(i128::from(digit - b'0')).min(DECIMAL_MAX);
    }
    for (at, digit) in fraction.iter().enumerate() {
        if number > i128::from(i64::MAX) * 1000 || at >= 30 {
            let rounded = number + i128::from(fraction[at..].iter().any(|digit| *digit != b'0'));
            return (rounded, fraction.len() - at);
        }
        number = number * 10 + i128::from(digit - b'0');
    }
    (number, 0)
}

/// mantissa x 10^-places x scale in nanos, rounded away from zero.
fn scaled(mantissa: i128, places: usize, scale: Scale) -> i128 {
    let (mut value, mut exponent) = match scale {
        // Beyond this many places nothing changes any more.
        Scale::Ten(power) => (mantissa, power.clamp(-200, 200) - places as i32 + 9),
        Scale::Two(power) => (mantissa.saturating_mul(1 << power), 9 - places as i32),
    };
    while exponent > 0 && value != 0 && value < DECIMAL_MAX {
        value = value.saturating_mul(10);
        exponent -= 1;
    }
    let mut inexact = false;
    while exponent < 0 && value != 0 {
        inexact |= value % 10 != 0;
        value /= 10;
        exponent += 1;
    }
    // A fraction of the smallest unit counts as one.
    value + i128::from(inexact || (value == 0 && mantissa != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        for (text, expected) in [
            ("0", "0"),
            ("100m", "100m"),
            ("0.1", "100m"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1023", "1023"),
            ("1e3", "1e3"),
            ("1500e0", "1500e0"),
            ("10e6", "10e6"),
            ("100e5", "10e6"),
            ("1E", "1E"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("-5", "-5"),
            ("100Gi", "100Gi"),
            ("9223372036854775807", "9223372036854775807"),
            ("9999999999999999999999", "9999999999999999999999"),
            ("9999999999999999999999Ki", "9223372036854775807"),
            ("128974848", "128974848"),
            (".5", "500m"),
            ("5.", "5."),
            ("+1", "+1"),
            ("1E3", "1E3"),
            ("1e+03", "1e+03"),
            ("000123", "000123"),
            ("123456.789", "123456.789"),
            ("0.5", "500m"),
            ("8Gi", "8Gi"),
            ("Gi", "0"),
            (".", "0"),
            ("-", "0"),
            ("000", "0"),
            ("1e100", "10e99"),
            ("1e400", "10e399"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("0.0000000001", "1n"),
            ("1.9999999991", "2"),
            ("-0.5", "-500m"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refusals() {
        for (text, error) in [
            ("", QuantityError::Format),
            ("abc", QuantityError::Format),
            ("1.2.3", QuantityError::Format),
            ("1KiB", QuantityError::Format),
            ("1kk", QuantityError::Suffix),
            ("Ei", QuantityError::Numeric),
            ("1 ", QuantityError::Format),
        ] {
            assert_eq!(canonical(text), Err(error), "{text}");
        }
    }
}
