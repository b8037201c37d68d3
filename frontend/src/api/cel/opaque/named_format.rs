//! Named formats, and what is wrong with a text by them.

use super::{super::timestamp::Timestamp, url::Url};
use crate::api::schema::scalar::names;

/// A format, and what is wrong with a text.
#[derive(Debug)]
pub struct NamedFormat {
    pub(in super::super) name: &'static str,
    /// The function of its name.
    pub(in super::super) function: &'static str,
    pub(in super::super) messages: fn(&str) -> Vec<String>,
    /// The length of the pattern that it is, or could be.
    pub(in super::super) pattern_length: u64,
}

const fn format(
    function: &'static str,
    name: &'static str,
    pattern_length: u64,
    messages: fn(&str) -> Vec<String>,
) -> NamedFormat {
    NamedFormat { name, function, messages, pattern_length }
}

pub(in super::super) static NAMED: [NamedFormat; 13] = [
    format("dns1123Label", "DNS1123Label", 30, names::dns_1123_label),
    format("dns1123Subdomain", "DNS1123Subdomain", 60, names::dns_1123_subdomain),
    format("dns1035Label", "DNS1035Label", 30, names::dns_1035_label),
    format("qualifiedName", "QualifiedName", 60, names::label_key),
    format("dns1123LabelPrefix", "DNS1123LabelPrefix", 30, |text| names::dns_1123_label(&masked(text))),
    format("dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", 60, |text| names::dns_1123_subdomain(&masked(text))),
    format("dns1035LabelPrefix", "DNS1035LabelPrefix", 30, |text| names::dns_1035_label(&masked(text))),
    format("labelValue", "LabelValue", 40, names::label_value),
    format("uri", "URI", 1103, |text| Url::parse_request(text).err().into_iter().collect()),
    format("uuid", "uuid", 70, |text| refusal(is_uuid(text), "does not match the UUID format")),
    format("byte", "byte", 84, |text| refusal(is_base64(text), "invalid base64")),
    format("date", "date", 71, |text| refusal(is_date(text), "invalid date")),
    format("datetime", "datetime", 71, |text| refusal(is_datetime(text), "invalid datetime")),
];

/// What is to be a prefix may end in a dash.
fn masked(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next_back() {
        Some('-') if letters.next_back().is_some() => format!("{}a", letters.as_str()),
        _ => text.to_owned(),
    }
}

fn refusal(fits: bool, message: &str) -> Vec<String> {
    if fits { Vec::new() } else { vec![message.to_owned()] }
}

/// Dashes may be left out.
fn is_uuid(text: &str) -> bool {
    let mut rest = text;
    for length in [8, 4, 4, 4, 12] {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        if digits < length {
            return false;
        }
        rest = &rest[length..];
        rest = rest.strip_prefix('-').unwrap_or(rest);
    }
    rest.is_empty() && !text.ends_with('-')
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4) && padding <= 2 && !text.is_empty() && body.bytes().all(fits)
}

fn is_date(text: &str) -> bool {
    Timestamp::parse(&format!("{text}T00:00:00Z")).is_some()
}

fn is_datetime(text: &str) -> bool {
    Timestamp::parse(text).is_some()
}
