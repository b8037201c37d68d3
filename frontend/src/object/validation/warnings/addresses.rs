//! Addresses and ranges in forms that will be refused one day.

use std::net::{IpAddr, Ipv6Addr};

use super::{
    super::{field_path::FieldPath, forms},
    Said,
};
use crate::request::status::go_quote;

fn is_mapped(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok_and(|address| address.to_ipv4_mapped().is_some())
}

pub(super) fn address(path: &FieldPath<'_, '_>, field: &str, text: &str, said: &mut Said) {
    let Some(parsed) = forms::parse_ip(text) else { return };
    let (written, canonical) = (go_quote(text), go_quote(&parsed.to_string()));
    if text.parse::<IpAddr>().is_err() || is_mapped(text) {
        let future = "will be considered invalid in a future Kubernetes release";
        said.at(path, field, format_args!("non-standard IP address {written} {future}: use {canonical}"));
    } else if parsed.is_ipv6() && written != canonical {
        said.at(
            path,
            field,
            format_args!("IPv6 address {written} should be in RFC 5952 canonical format ({canonical})"),
        );
    }
}

/// Every address of a list of texts.
pub(super) fn addresses(path: &FieldPath<'_, '_>, field: &str, said: &mut Said) {
    for (at, text) in path.texts(field).enumerate() {
        address(path, &format!("{field}[{at}]"), text, said);
    }
}

/// Every range of a list of texts.
pub(super) fn ranges(path: &FieldPath<'_, '_>, field: &str, said: &mut Said) {
    for (at, text) in path.texts(field).enumerate() {
        range(path, &format!("{field}[{at}]"), text, said);
    }
}

pub(super) fn range(path: &FieldPath<'_, '_>, field: &str, text: &str, said: &mut Said) {
    let Some((address, length)) = forms::parse_cidr(text) else { return };
    let (host, digits) = text.split_once('/').unwrap_or_default();
    // A mapped address is an IPv4 one, of which the prefix leaves out the 96 bits before it.
    let (bits, length) = match address {
        IpAddr::V4(_) if is_mapped(host) => (32, length.saturating_sub(96)),
        IpAddr::V4(_) => (32, length),
        IpAddr::V6(_) => (128, length),
    };
    let written = go_quote(text);
    let network = forms::mask(address, length);
    let canonical = go_quote(&format!("{network}/{length}"));
    let odd = host.parse::<IpAddr>().is_err() || is_mapped(host) || (digits.len() > 1 && digits.starts_with('0'));
    if network != address {
        let single = go_quote(&format!("{address}/{bits}"));
        let text =
            format_args!("CIDR value {written} is ambiguous in this context (should be {canonical} or {single}?)");
        said.at(path, field, text);
    }
    if odd {
        let future = "will be considered invalid in a future Kubernetes release";
        said.at(path, field, format_args!("non-standard CIDR value {written} {future}: use {canonical}"));
    } else if network == address && address.is_ipv6() && written != canonical {
        let text = format_args!("IPv6 CIDR value {written} should be in RFC 5952 canonical format ({canonical})");
        said.at(path, field, text);
    }
}
