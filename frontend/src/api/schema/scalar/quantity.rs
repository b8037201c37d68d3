//! Quantities ("100m", "1Gi", "1e3"): parsing and the canonical text that Kubernetes prints.

use std::cmp::Ordering;

/// In units of 10^-9, the smallest that Kubernetes keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
/// Kubernetes has no limit here; ours is beyond 10^29 units.
const DECIMAL_MAX: i128 = i128::MAX / 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.nanos.cmp(&other.nanos))
    }
}

impl Quantity {
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let bytes = text.as_bytes();
        let unsigned = bytes.strip_prefix(b"-").or_else(|| bytes.strip_prefix(b"+")).unwrap_or(bytes);
        let negative = bytes.first() == Some(&b'-');
        let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let fraction = match unsigned.get(digits) {
            Some(b'.') => unsigned[digits + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count() + 1,
            _ => 0,
        };
        let number = &unsigned[..digits + fraction];
        if text.is_empty() || number.is_empty() {
            return Err(QuantityError::Format);
        }
        let (scale, format) = suffix(&unsigned[digits + fraction..])?;
        if number == b"." {
            return Err(QuantityError::Numeric);
        }
        let after_point = number[digits..].strip_prefix(b".").unwrap_or_default();
        let (mantissa, dropped) = mantissa(&number[..digits], after_point);
        let max = if format == Format::BinarySi { BINARY_MAX } else { DECIMAL_MAX };
        let size = scaled(mantissa, after_point.len() - dropped, scale).min(max);
        Ok(Quantity { nanos: if negative { -size } else { size }, format })
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

/// The canonical form of a quantity's text.
pub fn canonical(text: &str) -> Result<String, QuantityError> {
    Ok(Quantity::parse(text)?.canonical())
}

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

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
    Ok((Scale::Ten(exponent.clamp(-200, 200)), Format::DecimalExponent))
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
        Scale::Ten(power) => (mantissa, power - places as i32 + 9),
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
            ("1500e0", "1500"),
            ("10e6", "10e6"),
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
            ("5.", "5"),
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
            ("1 ", QuantityError::Format),
        ] {
            assert_eq!(canonical(text), Err(error), "{text}");
        }
    }
}
