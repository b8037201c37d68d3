//! The forms of texts that are not names: addresses, paths, percentages, headers. In: a text. Out: what is wrong with
//! it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::{self, regex_error, too_long_characters};

/// An address as Kubernetes has always read it: octets may have leading zeros.
pub(super) fn parse_ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text
            .parse::<Ipv6Addr>()
            .ok()
            .map(|address| address.to_ipv4_mapped().map_or(address.into(), IpAddr::V4));
    }
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))?;
        *octet = part.parse::<u32>().ok()?.try_into().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

/// Address and prefix length.
pub(super) fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let ip = parse_ip(address)?;
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let length: u32 = digits.then(|| length.parse().ok())??;
    let most = if address.contains(':') { 128 } else { 32 };
    (length <= most).then_some((ip, length as u8))
}

pub(super) fn ip(text: &str) -> Vec<String> {
    match parse_ip(text) {
        Some(_) => Vec::new(),
        None => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
    }
}

pub(super) fn cidr(text: &str) -> Vec<String> {
    match parse_cidr(text) {
        Some(_) => Vec::new(),
        None => vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()],
    }
}

/// An address in the one form that Go prints.
pub(super) fn canonical_ip(text: &str) -> Vec<String> {
    let Some(parsed) = parse_ip(text) else { return ip(text) };
    let mut messages = Vec::new();
    if text.parse::<IpAddr>().is_err() {
        messages.push("must not have leading 0s".to_owned());
    }
    if text.parse::<Ipv6Addr>().is_ok_and(|address| address.to_ipv4_mapped().is_some()) {
        messages.push("must not be an IPv4-mapped IPv6 address".to_owned());
    }
    if messages.is_empty() && parsed.to_string() != text {
        messages.push(format!("must be in canonical form ({})", crate::request::status::go_quote(&parsed.to_string())));
    }
    messages
}

/// A range of addresses in the one form that Go prints.
pub(super) fn canonical_cidr(text: &str) -> Vec<String> {
    let Some((address, length)) = parse_cidr(text) else { return cidr(text) };
    let (written, digits) = text.split_once('/').unwrap_or_default();
    let mapped = written.parse::<Ipv6Addr>().is_ok_and(|address| address.to_ipv4_mapped().is_some());
    let masked = mask(address, length);
    if written.parse::<IpAddr>().is_err() || (digits.len() > 1 && digits.starts_with('0')) {
        return vec!["must not have leading 0s in IP or prefix length".to_owned()];
    }
    if mapped {
        return vec!["must not have an IPv4-mapped IPv6 address".to_owned()];
    }
    if masked != address {
        return vec!["must not have bits set beyond the prefix length".to_owned()];
    }
    let canonical = format!("{masked}/{length}");
    if canonical == text {
        return Vec::new();
    }
    vec![format!("must be in canonical form ({})", crate::request::status::go_quote(&canonical))]
}

pub(super) fn mask(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & bits).into()
        }
        IpAddr::V6(v6) => {
            let bits = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & bits).into()
        }
    }
}

/// An address that an endpoint may have.
pub(super) fn endpoint_ip(text: &str) -> Vec<String> {
    let Some(address) = parse_ip(text) else { return vec!["must be a valid IP address".to_owned()] };
    let mut messages = Vec::new();
    let mut say = |wrong: bool, text: String| messages.extend(wrong.then_some(text));
    say(address.is_unspecified(), format!("may not be unspecified ({text})"));
    say(address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned());
    let (link_local, multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0 == 0xfe80, v6.segments()[0] & 0xff0f == 0xff02),
    };
    say(link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned());
    say(multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned());
    messages
}

/// A path that goes down only.
pub(super) fn descending_path(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.starts_with('/') {
        messages.push("must be a relative path".to_owned());
    }
    messages.extend(no_backsteps(text));
    messages
}

pub(super) fn no_backsteps(text: &str) -> Vec<String> {
    if text.split('/').any(|part| part == "..") { vec!["must not contain '..'".to_owned()] } else { Vec::new() }
}

/// A path inside a volume that the kubelet writes.
pub(super) fn volume_path(text: &str) -> Vec<String> {
    let mut messages = descending_path(text);
    if text.starts_with("..") && !text.starts_with("../") {
        messages.push("must not start with '..'".to_owned());
    }
    messages
}

pub(super) fn http_header(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    let message = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![regex_error(message, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

pub(super) fn percent(text: &str) -> Vec<String> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let message = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![regex_error(message, "[0-9]+%", &["1%", "93%"])]
}

/// A search domain: underscores are welcome.
pub(super) fn search_domain(text: &str) -> Vec<String> {
    if text == "." {
        return Vec::new();
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.strip_prefix('_').unwrap_or(label).as_bytes();
        let ends = bytes.first().is_some_and(|b| inner(*b)) && bytes.last().is_some_and(|b| inner(*b));
        ends && bytes.iter().all(|b| inner(*b) || matches!(b, b'-' | b'_'))
    };
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(too_long_characters(253));
    }
    if !text.split('.').all(label) {
        const LABEL: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
        messages.push(regex_error(message, &format!("{LABEL}(\\.{LABEL})*"), &["example.com"]));
    }
    messages
}

/// The name of a kernel parameter.
pub(super) fn sysctl(text: &str) -> Vec<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let segment = |segment: &str| {
        let bytes = segment.as_bytes();
        let ends = bytes.first().is_some_and(|b| plain(*b)) && bytes.last().is_some_and(|b| plain(*b));
        ends && bytes.iter().all(|b| plain(*b) || matches!(b, b'-' | b'_'))
    };
    if text.len() <= 253 && text.split(['.', '/']).all(segment) {
        return Vec::new();
    }
    const SEGMENT: &str = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    vec![format!("must have at most 253 characters and match regex ^({SEGMENT}[\\./])*{SEGMENT}$")]
}

/// A name as in C.
pub(super) fn c_identifier(text: &str) -> Vec<String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if text.bytes().all(word) && text.bytes().next().is_some_and(|b| !b.is_ascii_digit()) {
        return Vec::new();
    }
    let message = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
    vec![regex_error(message, "[A-Za-z_][A-Za-z0-9_]*", &["my_name", "MY_NAME", "MyName"])]
}

/// An address with the length of its network's prefix, as Go prints it.
pub(super) fn interface_address(text: &str) -> Vec<String> {
    let Some((address, length)) = parse_cidr(text) else {
        return vec!["must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)".to_owned()];
    };
    let mapped = address.is_ipv4() && length > 32;
    let canonical = format!("{address}/{}", if mapped { length - 96 } else { length });
    if canonical == text {
        return Vec::new();
    }
    vec![format!("must be in canonical form ({})", crate::request::status::go_quote(&canonical))]
}

/// The name of a storage driver, whose case does not matter.
pub(super) fn driver(text: &str) -> Vec<String> {
    names::dns_1123_subdomain(&text.to_lowercase())
}

/// `example.com/path`: the errors print the part that is wrong.
pub(super) fn domain_path<'t>(
    path: &super::field_path::FieldPath<'_, 't>,
    field: &str,
    text: &str,
    errors: &mut super::error_list::ErrorList<'t>,
) {
    if text.is_empty() {
        return errors.required(path, field, "");
    }
    let Some((host, rest)) = text.split_once('/').filter(|(host, rest)| !host.is_empty() && !rest.is_empty()) else {
        return errors.invalid(path, field, text, "must be a domain-prefixed path (such as \"acme.io/foo\")");
    };
    errors.invalid_each(path, field, host, names::dns_1123_subdomain(host));
    if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        errors.invalid(path, field, rest, regex_error("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[]));
    }
}
