//! Values of flags: Go's booleans, durations and lists, addresses, and address ranges.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::Kind;

/// Checks a value and splits it where the kind is a list.
pub(super) fn split(kind: Kind, value: &str) -> Result<Vec<String>, String> {
    let one = || Ok(vec![value.to_owned()]);
    match kind {
        Kind::Bool => parse_bool(value).map_or_else(|| Err("strconv.ParseBool: invalid syntax".to_owned()), |_| one()),
        Kind::Int => {
            value.parse::<i64>().map_or_else(|_| Err("strconv.ParseInt: invalid syntax".to_owned()), |_| one())
        }
        Kind::Float => {
            value.parse::<f64>().map_or_else(|_| Err("strconv.ParseFloat: invalid syntax".to_owned()), |_| one())
        }
        Kind::Duration => parse_duration(value).and_then(|_| one()),
        Kind::Ip => value.parse::<IpAddr>().map_or_else(|_| Err(format!("failed to parse IP: {value:?}")), |_| one()),
        Kind::Text | Kind::Texts => one(),
        Kind::Strings => Ok(value.split(',').filter(|v| !v.is_empty()).map(|v| v.trim().to_owned()).collect()),
    }
}

pub(super) fn parse_bool(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Go's durations: `1h30m`, `1.5s`, `300ms`, `0`. Negative ones are refused: no flag of ours has a use for them.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("time: missing unit in duration {text:?}"))?;
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..unit_len] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(invalid()),
        };
        seconds += number * unit;
        rest = &rest[unit_len..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

/// The first address of a range that a Service may have: the base plus one.
pub fn first_address(range: &IpNet) -> IpAddr {
    match range.network() {
        IpAddr::V4(base) => IpAddr::V4(u32::from(base).wrapping_add(1).into()),
        IpAddr::V6(base) => IpAddr::V6(u128::from(base).wrapping_add(1).into()),
    }
}
