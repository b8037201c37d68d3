//! Quantities of resources.

use std::cmp::Ordering;

use crate::api::schema::scalar::quantity;

/// A quantity, and how Kubernetes holds it: only what is a whole number times a power of ten that is not negative
/// counts as an integer, so that "1" is one and "1000m" is none.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    amount: quantity::Quantity,
    scaled: Option<Scaled>,
}

/// value x 10^scale
#[derive(Clone, Copy, Debug)]
struct Scaled {
    value: i64,
    scale: i32,
}

/// Decimal digits that surely fit into an i64.
const DIGITS_MAX: i32 = 18;
/// The smallest scale that is held this way.
const SCALE_MIN: i32 = -9;

impl Quantity {
    pub(in super::super) fn parse(text: &str) -> Result<Quantity, String> {
        let amount = quantity::Quantity::parse(text).map_err(|error| error.to_string())?;
        Ok(Quantity { amount, scaled: Scaled::parse(text) })
    }

    pub(in super::super) fn of_int(number: i64) -> Quantity {
        Quantity { amount: quantity::Quantity::from_units(number), scaled: Some(Scaled { value: number, scale: 0 }) }
    }

    pub(in super::super) fn canonical(&self) -> String {
        self.amount.canonical()
    }

    pub(in super::super) fn compare(&self, other: &Quantity) -> Ordering {
        self.amount.partial_cmp(&other.amount).unwrap_or(Ordering::Equal)
    }

    pub(in super::super) fn as_i64(&self) -> Option<i64> {
        let Scaled { value, scale } = self.scaled?;
        value.checked_mul(10i64.checked_pow(u32::try_from(scale).ok()?)?)
    }

    /// -1, 0 or 1.
    pub(in super::super) fn sign(&self) -> i64 {
        match (self.amount.is_zero(), self.amount.is_negative()) {
            (true, _) => 0,
            (_, true) => -1,
            _ => 1,
        }
    }

    pub(in super::super) fn as_f64(&self) -> f64 {
        match self.scaled {
            Some(Scaled { value, scale: 0 }) => value as f64,
            Some(Scaled { value, scale }) => value as f64 * 10f64.powi(scale),
            None => approximate(&self.canonical()),
        }
    }

    pub(in super::super) fn plus(&self, other: &Quantity) -> Quantity {
        let scaled = self.scaled.zip(other.scaled).and_then(|(a, b)| a.plus(b));
        Quantity { amount: self.amount.plus(&other.amount), scaled }
    }

    pub(in super::super) fn minus(&self, other: &Quantity) -> Quantity {
        let negated = |scaled: Scaled| Some(Scaled { value: scaled.value.checked_neg()?, ..scaled });
        let scaled = self.scaled.zip(other.scaled.and_then(negated)).and_then(|(a, b)| a.plus(b));
        Quantity { amount: self.amount.minus(&other.amount), scaled }
    }
}

impl Scaled {
    /// None for what needs more than this form.
    fn parse(text: &str) -> Option<Scaled> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = whole.trim_start_matches('0');
        let digits = i32::try_from(whole.len() + fraction.len()).ok()?;
        let places = i32::try_from(fraction.len()).ok()?;
        let binary = BINARY.iter().position(|name| *name == suffix);
        let (mantissa, scale, room) = match binary {
            Some(at) if fraction.is_empty() => {
                let exponent = 10 * (at as i32 + 1);
                (1i64.checked_shl(exponent.cast_unsigned())?, 0, 15 - digits - exponent * 3 / 10 - 1)
            }
            Some(_) => return None,
            None => (1, decimal_exponent(suffix)?, DIGITS_MAX - digits),
        };
        let scale = scale - places;
        if room < 0 || scale < SCALE_MIN {
            return None;
        }
        let value: i64 = format!("0{whole}{fraction}").parse().ok()?;
        let value = value.checked_mul(mantissa)?;
        Some(Scaled { value: if text.starts_with('-') { -value } else { value }, scale })
    }

    fn plus(self, other: Scaled) -> Option<Scaled> {
        if other.value == 0 {
            return Some(self);
        }
        if self.value == 0 {
            return Some(other);
        }
        let scale = self.scale.min(other.scale);
        let to = |of: Scaled| of.value.checked_mul(10i64.checked_pow(u32::try_from(of.scale - scale).ok()?)?);
        Some(Scaled { value: to(self)?.checked_add(to(other)?)?, scale })
    }
}

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

fn decimal_exponent(suffix: &str) -> Option<i32> {
    const NAMES: [(&str, i32); 10] =
        [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
    let named = NAMES.iter().find(|(name, _)| *name == suffix).map(|(_, exponent)| *exponent);
    named.or_else(|| suffix.strip_prefix(['e', 'E'])?.parse().ok())
}

/// Of a canonical text.
fn approximate(text: &str) -> f64 {
    let end = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number = number.parse::<f64>().unwrap_or(f64::NAN);
    match BINARY.iter().position(|name| *name == suffix) {
        Some(at) => number * 1024f64.powi(at as i32 + 1),
        None => number * 10f64.powi(decimal_exponent(suffix).unwrap_or(0)),
    }
}
