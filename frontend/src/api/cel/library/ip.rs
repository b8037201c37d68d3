//! Functions of addresses and networks.

use std::net::IpAddr;

use super::{
    super::{
        opaque::address::{
            contains, is_global_unicast, is_link_local_multicast, is_link_local_unicast, mask, parse_cidr, parse_ip,
        },
        value::{Evaluated, Val, fail, no_such_overload},
    },
    row::{Row, row},
};

pub(super) const ROWS: &[Row] = &[
    row("string_to_ip", "ip(string) net.IP", to_ip),
    row("family", "net.IP::family() int", family),
    row("ip_is_canonical", "ip.isCanonical(string) bool", is_canonical),
    row("is_unspecified", "net.IP::isUnspecified() bool", |args| about(args, |ip| ip.is_unspecified())),
    row("is_loopback", "net.IP::isLoopback() bool", |args| about(args, |ip| ip.is_loopback())),
    row("is_link_local_multicast", "net.IP::isLinkLocalMulticast() bool", |args| about(args, is_link_local_multicast)),
    row("is_link_local_unicast", "net.IP::isLinkLocalUnicast() bool", |args| about(args, is_link_local_unicast)),
    row("is_global_unicast", "net.IP::isGlobalUnicast() bool", |args| about(args, is_global_unicast)),
    row("is_ip", "isIP(string) bool", is_ip),
    row("ip_to_string", "string(net.IP) string", to_string),
    row("string_to_cidr", "cidr(string) net.CIDR", to_cidr),
    row("cidr_contains_ip_string", "net.CIDR::containsIP(string) bool", contains_ip),
    row("cidr_contains_ip_ip", "net.CIDR::containsIP(net.IP) bool", contains_ip),
    row("cidr_contains_cidr_string", "net.CIDR::containsCIDR(string) bool", contains_cidr),
    row("cidr_contains_cidr", "net.CIDR::containsCIDR(net.CIDR) bool", contains_cidr),
    row("cidr_ip", "net.CIDR::ip() net.IP", cidr_ip),
    row("cidr_prefix_length", "net.CIDR::prefixLength() int", prefix_length),
    row("cidr_masked", "net.CIDR::masked() net.CIDR", masked),
    row("is_cidr", "isCIDR(string) bool", is_cidr),
    row("cidr_to_string", "string(net.CIDR) string", to_string),
];

fn about<'a>(args: &[Val<'a>], holds: fn(IpAddr) -> bool) -> Evaluated<'a> {
    match args {
        [Val::Ip(address)] => Ok(Val::Bool(holds(*address))),
        _ => no_such_overload(),
    }
}

fn to_ip<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    parse_ip(text).map_or_else(fail, |address| Ok(Val::Ip(address)))
}

fn is_ip<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    Ok(Val::Bool(parse_ip(text).is_ok()))
}

fn is_canonical<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    parse_ip(text).map_or_else(fail, |address| Ok(Val::Bool(address.to_string() == **text)))
}

fn family<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Ip(address)] => Ok(Val::Int(if address.is_ipv4() { 4 } else { 6 })),
        _ => no_such_overload(),
    }
}

fn to_string<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [address @ (Val::Ip(_) | Val::Cidr(..))] => Ok(Val::from(address.shown())),
        _ => no_such_overload(),
    }
}

/// The original says it twice.
const PREFIX: &str = "network address parse error during conversion from string: ";

fn to_cidr<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    match parse_cidr(text) {
        Ok((address, bits)) => Ok(Val::Cidr(address, bits)),
        Err(error) => fail(format!("{PREFIX}{error}")),
    }
}

fn is_cidr<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    Ok(Val::Bool(parse_cidr(text).is_ok()))
}

fn contains_ip<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Cidr(address, bits), Val::Ip(other)] => Ok(Val::Bool(contains((*address, *bits), *other))),
        // Of a text that is no address the original only says that nothing fits it.
        [Val::Cidr(address, bits), Val::Str(text)] => match parse_ip(text) {
            Ok(other) => Ok(Val::Bool(contains((*address, *bits), other))),
            Err(_) => no_such_overload(),
        },
        _ => no_such_overload(),
    }
}

fn contains_cidr<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Cidr(address, bits), other] = args else { return no_such_overload() };
    let (other, other_bits) = match other {
        Val::Cidr(other, bits) => (*other, *bits),
        Val::Str(text) => match parse_cidr(text) {
            Ok(parsed) => parsed,
            Err(error) => return fail(format!("{PREFIX}{error}")),
        },
        _ => return no_such_overload(),
    };
    Ok(Val::Bool(*bits <= other_bits && contains((*address, *bits), other)))
}

fn cidr_ip<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Cidr(address, _)] => Ok(Val::Ip(*address)),
        _ => no_such_overload(),
    }
}

fn prefix_length<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Cidr(_, bits)] => Ok(Val::Int(i64::from(*bits))),
        _ => no_such_overload(),
    }
}

fn masked<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Cidr(address, bits)] => Ok(Val::Cidr(mask(*address, *bits), *bits)),
        _ => no_such_overload(),
    }
}
