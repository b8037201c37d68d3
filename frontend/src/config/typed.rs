//! Values of flags by the type that they have.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{FlagError, Given, parse_duration};

pub(super) fn invalid(text: impl Into<String>) -> FlagError {
    FlagError::Invalid(text.into())
}

pub(super) fn text(given: &Given, name: &str) -> Option<String> {
    given.last(name).filter(|v| !v.is_empty()).map(str::to_owned)
}

pub(super) fn path(given: &Given, name: &str) -> Option<PathBuf> {
    text(given, name).map(PathBuf::from)
}

pub(super) fn bad(flag: &str, value: &str, why: impl Into<String>) -> FlagError {
    FlagError::BadValue { flag: format!("--{flag}"), value: value.to_owned(), why: why.into() }
}

pub(super) fn ip(flag: &str, value: &str) -> Result<IpAddr, FlagError> {
    value.parse().map_err(|_| bad(flag, value, "failed to parse IP"))
}

pub(super) fn integer(given: &Given, flag: &str, default: u64) -> Result<u64, FlagError> {
    let Some(value) = given.last(flag) else { return Ok(default) };
    value.parse().map_err(|_| bad(flag, value, "must be a number that is not negative"))
}

/// A count in which 0 means no limit.
pub(super) fn limit(given: &Given, flag: &str, default: u64) -> Result<Option<usize>, FlagError> {
    let count = integer(given, flag, default)?;
    Ok(usize::try_from(count).ok().filter(|n| *n > 0))
}

pub(super) fn duration(given: &Given, flag: &str, default: Duration) -> Result<Duration, FlagError> {
    let Some(value) = given.last(flag) else { return Ok(default) };
    parse_duration(value).map_err(|why| bad(flag, value, why))
}
