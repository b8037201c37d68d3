//! Quantities of resources.

use std::cmp::Ordering;

use super::{
    super::value::{Evaluated, Val, fail, no_such_overload},
    Row, row,
};
use crate::api::schema::scalar::quantity;

pub(super) const ROWS: &[Row] = &[
    row("string_to_quantity", "quantity(string) kubernetes.Quantity", to_quantity),
    row("is_quantity_string", "isQuantity(string) bool", is_quantity),
    row("quantity_sign", "sign(kubernetes.Quantity) int", sign),
    row("quantity_is_greater_than", "kubernetes.Quantity::isGreaterThan(kubernetes.Quantity) bool", |args| {
        compared(args, |order| Val::Bool(order.is_gt()))
    }),
    row("quantity_is_less_than", "kubernetes.Quantity::isLessThan(kubernetes.Quantity) bool", |args| {
        compared(args, |order| Val::Bool(order.is_lt()))
    }),
    row("quantity_compare_to", "kubernetes.Quantity::compareTo(kubernetes.Quantity) int", |args| {
        compared(args, |order| Val::Int(order as i64))
    }),
    row("quantity_get_float", "kubernetes.Quantity::asApproximateFloat() double", as_float),
    row("quantity_get_int", "kubernetes.Quantity::asInteger() int", as_integer),
    row("quantity_is_integer", "kubernetes.Quantity::isInteger() bool", is_integer),
    row("quantity_add", "kubernetes.Quantity::add(kubernetes.Quantity) kubernetes.Quantity", add),
    row("quantity_add_int", "kubernetes.Quantity::add(int) kubernetes.Quantity", add),
    row("quantity_sub", "kubernetes.Quantity::sub(kubernetes.Quantity) kubernetes.Quantity", sub),
    row("quantity_sub_int", "kubernetes.Quantity::sub(int) kubernetes.Quantity", sub),
];

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
    fn parse(text: &str) -> Result<Quantity, String> {
        let amount = quantity::Quantity::parse(text).map_err(|error| error.to_string())?;
        Ok(Quantity { amount, scaled: Scaled::parse(text) })
    }

    fn of_int(number: i64) -> Quantity {
        Quantity { amount: quantity::Quantity::from_units(number), scaled: Some(Scaled { value: number, scale: 0 }) }
    }

    pub(in super::super) fn canonical(&self) -> String {
        self.amount.canonical()
    }

    pub(in super::super) fn compare(&self, other: &Quantity) -> Ordering {
        self.amount.partial_cmp(&other.amount).unwrap_or(Ordering::Equal)
    }

    fn as_i64(&self) -> Option<i64> {
        let Scaled { value, scale } = self.scaled?;
        value.checked_mul(10i64.checked_pow(u32::try_from(scale).ok()?)?)
    }

    fn plus(&self, other: &Quantity, negative: Sign) -> Quantity {
        let amount = match negative {
            Sign::Plus => self.amount.plus(&other.amount),
            Sign::Minus => self.amount.minus(&other.amount),
        };
        let other = other.scaled.and_then(|scaled| match negative {
            Sign::Plus => Some(scaled),
            Sign::Minus => Some(Scaled { value: scaled.value.checked_neg()?, ..scaled }),
        });
        let scaled = self.scaled.zip(other).and_then(|(a, b)| a.plus(b));
        Quantity { amount, scaled }
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
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

fn to_quantity<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    Quantity::parse(text).map_or_else(fail, |quantity| Ok(Val::Quantity(quantity.into())))
}

fn is_quantity<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    Ok(Val::Bool(Quantity::parse(text).is_ok()))
}

fn sign<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Quantity(quantity)] = args else { return no_such_overload() };
    Ok(Val::Int(match (quantity.amount.is_zero(), quantity.amount.is_negative()) {
        (true, _) => 0,
        (_, true) => -1,
        _ => 1,
    }))
}

fn compared<'a>(args: &[Val<'a>], result: fn(Ordering) -> Val<'a>) -> Evaluated<'a> {
    match args {
        [Val::Quantity(a), Val::Quantity(b)] => Ok(result(a.compare(b))),
        _ => no_such_overload(),
    }
}

fn as_float<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Quantity(quantity)] = args else { return no_such_overload() };
    Ok(Val::Double(match quantity.scaled {
        Some(Scaled { value, scale: 0 }) => value as f64,
        Some(Scaled { value, scale }) => value as f64 * 10f64.powi(scale),
        None => approximate(&quantity.canonical()),
    }))
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

fn as_integer<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Quantity(quantity)] = args else { return no_such_overload() };
    match quantity.as_i64() {
        Some(number) => Ok(Val::Int(number)),
        None => fail("cannot convert value to integer"),
    }
}

fn is_integer<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Quantity(quantity)] = args else { return no_such_overload() };
    Ok(Val::Bool(quantity.as_i64().is_some()))
}

fn sum<'a>(args: &[Val<'a>], sign: Sign) -> Evaluated<'a> {
    let (quantity, other) = match args {
        [Val::Quantity(quantity), Val::Quantity(other)] => (quantity, **other),
        [Val::Quantity(quantity), Val::Int(other)] => (quantity, Quantity::of_int(*other)),
        _ => return no_such_overload(),
    };
    Ok(Val::Quantity(quantity.plus(&other, sign).into()))
}

fn add<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    sum(args, Sign::Plus)
}

fn sub<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    sum(args, Sign::Minus)
}
