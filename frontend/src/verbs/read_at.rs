//! How fresh a read must be, as its resourceVersion says.

use crate::request::status::go_quote;

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadAt {
    /// As of now.
    Latest,
    /// Whatever the cache has.
    Any,
    /// This revision or a later one.
    NotOlderThan(i64),
}

impl ReadAt {
    /// Reads a resourceVersion. The error is that of Go's parser.
    pub(super) fn parse(text: &str) -> Result<ReadAt, String> {
        match text {
            "" => Ok(ReadAt::Latest),
            "0" => Ok(ReadAt::Any),
            _ => parse_revision(text).map(|n| if n == 0 { ReadAt::Any } else { ReadAt::NotOlderThan(n) }),
        }
    }
}

pub(super) fn parse_revision(text: &str) -> Result<i64, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(number) if digits => Ok(i64::try_from(number).unwrap_or(i64::MAX)),
        _ if digits => Err(format!("strconv.ParseUint: parsing {}: value out of range", go_quote(text))),
        _ => Err(format!("strconv.ParseUint: parsing {}: invalid syntax", go_quote(text))),
    }
}

/// A resourceVersion that is none.
pub(super) fn invalid_version(text: &str, why: &str) -> String {
    format!("resourceVersion: Invalid value: {}: {why}", go_quote(text))
}
