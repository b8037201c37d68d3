//! Addresses and networks, with the errors of Go's net/netip.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::gofmt::quote;

/// What is wrong with an address, and where it begins to be.
struct Flaw<'t> {
    what: &'static str,
    at: &'t str,
}

fn flaw<'t, T>(what: &'static str, at: &'t str) -> Result<T, Flaw<'t>> {
    Err(Flaw { what, at })
}

/// An address that may have a zone.
pub(super) fn parse_with_zone(text: &str) -> Result<IpAddr, String> {
    let address = match text.find(['.', ':', '%']).map(|at| text.as_bytes()[at]) {
        Some(b'.') => parse_v4(text).map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
        Some(b':') => parse_v6(text).map(IpAddr::V6),
        Some(_) => flaw("missing IPv6 address", ""),
        None => flaw("unable to parse IP", ""),
    };
    address.map_err(|Flaw { what, at }| {
        let place = if at.is_empty() { String::new() } else { format!(" (at {})", quote(at)) };
        format!("ParseAddr({}): {what}{place}", quote(text))
    })
}

fn parse_v4(text: &str) -> Result<[u8; 4], Flaw<'_>> {
    let (mut octets, mut value, mut at_octet, mut digits) = ([0u8; 4], 0u32, 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return flaw("IPv4 field has octet with leading zero", "");
                }
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return flaw("IPv4 field has value >255", "");
                }
            }
            b'.' => {
                if at == 0 || at + 1 == text.len() || text.as_bytes()[at - 1] == b'.' {
                    return flaw("IPv4 field must have at least one digit", &text[at..]);
                }
                if at_octet == 3 {
                    return flaw("IPv4 address too long", "");
                }
                octets[at_octet] = value as u8;
                at_octet += 1;
                (value, digits) = (0, 0);
            }
            _ => return flaw("unexpected character", &text[at..]),
        }
    }
    if at_octet < 3 {
        return flaw("IPv4 address too short", "");
    }
    octets[3] = value as u8;
    Ok(octets)
}

fn parse_v6(text: &str) -> Result<Ipv6Addr, Flaw<'_>> {
    let mut rest = text;
    if let Some((address, zone)) = text.split_once('%') {
        if zone.is_empty() {
            return flaw("zone must be a non-empty string", "");
        }
        rest = address;
    }
    let mut bytes = Vec::with_capacity(16);
    let mut ellipsis = None;
    if let Some(after) = rest.strip_prefix("::") {
        ellipsis = Some(0);
        rest = after;
        if rest.is_empty() {
            return Ok(Ipv6Addr::UNSPECIFIED);
        }
    }
    while bytes.len() < 16 {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        if digits > 4 {
            return flaw("each group must have 4 or less digits", rest);
        }
        if digits == 0 {
            return flaw("each colon-separated field must have at least one digit", rest);
        }
        if rest.as_bytes().get(digits) == Some(&b'.') {
            if ellipsis.is_none() && bytes.len() != 12 {
                return flaw("embedded IPv4 address must replace the final 2 fields of the address", rest);
            }
            if bytes.len() > 12 {
                return flaw("too many hex fields to fit an embedded IPv4 at the end of the address", rest);
            }
            bytes.extend(parse_v4(rest)?);
            rest = "";
            break;
        }
        let group = u16::from_str_radix(&rest[..digits], 16).unwrap_or_default();
        bytes.extend(group.to_be_bytes());
        rest = &rest[digits..];
        if rest.is_empty() {
            break;
        }
        if !rest.starts_with(':') {
            return flaw("unexpected character, want colon", rest);
        }
        if rest.len() == 1 {
            return flaw("colon must be followed by more characters", rest);
        }
        rest = &rest[1..];
        if rest.starts_with(':') {
            if ellipsis.is_some() {
                return flaw("multiple :: in address", rest);
            }
            ellipsis = Some(bytes.len());
            rest = &rest[1..];
            if rest.is_empty() {
                break;
            }
        }
    }
    if !rest.is_empty() {
        return flaw("trailing garbage after address", rest);
    }
    match (bytes.len() < 16, ellipsis) {
        (true, None) => return flaw("address string too short", ""),
        (true, Some(at)) => {
            let missing = 16 - bytes.len();
            bytes.splice(at..at, std::iter::repeat_n(0, missing));
        }
        (false, Some(_)) => return flaw("the :: must expand to at least one field of zeros", ""),
        (false, None) => {}
    }
    let mut octets = [0u8; 16];
    octets.copy_from_slice(&bytes);
    Ok(Ipv6Addr::from(octets))
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

pub(in super::super) fn parse_ip(text: &str) -> Result<IpAddr, String> {
    let address = parse_with_zone(text)
        .map_err(|error| format!("IP Address {} parse error during conversion from string: {error}", quote(text)))?;
    if text.contains('%') {
        return Err(format!("IP address {} with zone value is not allowed", quote(text)));
    }
    if is_mapped(address) {
        return Err(format!("IPv4-mapped IPv6 address {} is not allowed", quote(text)));
    }
    Ok(address)
}

pub(in super::super) fn parse_cidr(text: &str) -> Result<(IpAddr, u8), String> {
    let refuse = |why: String| {
        let shown = quote(text);
        format!("network address parse error during conversion from string: netip.ParsePrefix({shown}): {why}")
    };
    let (address, bits) = text.rsplit_once('/').ok_or_else(|| refuse("no '/'".to_owned()))?;
    let ip = parse_with_zone(address).map_err(refuse)?;
    if address.contains('%') {
        return Err(refuse("IPv6 zones cannot be present in a prefix".to_owned()));
    }
    let bad = || refuse(format!("bad bits after slash: {}", quote(bits)));
    if bits.len() > 1 && !matches!(bits.as_bytes()[0], b'1'..=b'9') {
        return Err(bad());
    }
    let length: i64 = bits.parse().map_err(|_| bad())?;
    let max = if ip.is_ipv4() { 32 } else { 128 };
    let length = u8::try_from(length).ok().filter(|length| *length <= max);
    let length = length.ok_or_else(|| refuse("prefix length out of range".to_owned()))?;
    if is_mapped(ip) {
        return Err(format!("IPv4-mapped IPv6 address {} is not allowed", quote(text)));
    }
    Ok((ip, length))
}

pub(in super::super) fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    }
}

pub(in super::super) fn is_link_local_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    }
}

pub(in super::super) fn is_global_unicast(address: IpAddr) -> bool {
    let limited = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    let special = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    !limited && !special && !is_link_local_unicast(address)
}

pub(in super::super) fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

pub(in super::super) fn contains(network: (IpAddr, u8), address: IpAddr) -> bool {
    network.0.is_ipv4() == address.is_ipv4() && mask(network.0, network.1) == mask(address, network.1)
}
