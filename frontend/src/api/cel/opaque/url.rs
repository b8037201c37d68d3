//! URLs, taken apart as Go's net/url does it.

use std::collections::BTreeMap;

use super::{super::gofmt::quote, address};

/// A URL and its parts, unescaped.
#[derive(Debug, Default)]
pub struct Url {
    pub(in super::super) scheme: String,
    opaque: String,
    user: Option<String>,
    pub(in super::super) host: String,
    path: Vec<u8>,
    /// The path as it was written.
    raw_path: String,
    query: String,
    has_query: bool,
    omit_host: bool,
    fragment: String,
    text: String,
}

/// Which part of a URL a letter stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Zone,
    Path,
    User,
    Query,
    Fragment,
}

fn is_escaped_in(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        return false;
    }
    if matches!(part, Part::Host | Part::Zone) && b"!$&'()*+,;=:[]<>\"".contains(&byte) {
        return false;
    }
    if b"$&+,/:;=?@".contains(&byte) {
        return match part {
            Part::Path => byte == b'?',
            Part::User => b"@/?:".contains(&byte),
            Part::Query => true,
            Part::Fragment => false,
            Part::Host | Part::Zone => true,
        };
    }
    !(part == Part::Fragment && b"!()*".contains(&byte))
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn unescape(text: &str, part: Part) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let invalid = |at: usize| {
        let end = bytes.len().min(at + 3);
        format!("invalid URL escape {}", quote(&String::from_utf8_lossy(&bytes[at..end])))
    };
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digit = |offset: usize| bytes.get(at + offset).copied().and_then(hex);
                let (Some(high), Some(low)) = (digit(1), digit(2)) else { return Err(invalid(at)) };
                let value = high << 4 | low;
                let percent = value == b'%';
                if part == Part::Host && high < 8 && !percent {
                    return Err(invalid(at));
                }
                if part == Part::Zone && !percent && value != b' ' && is_escaped_in(value, Part::Host) {
                    return Err(invalid(at));
                }
                out.push(value);
                at += 3;
                continue;
            }
            b'+' if part == Part::Query => out.push(b' '),
            byte => {
                let in_host = matches!(part, Part::Host | Part::Zone);
                if in_host && byte < 0x80 && is_escaped_in(byte, part) {
                    return Err(format!("invalid character {} in host name", quote(&char::from(byte).to_string())));
                }
                out.push(byte);
            }
        }
        at += 1;
    }
    Ok(out)
}

fn escape(bytes: &[u8], part: Part) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if is_escaped_in(*byte, part) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(*byte));
        }
    }
    out
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn split_scheme(raw: &str) -> Result<(&str, &str), String> {
    for (at, byte) in raw.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&raw[..at], &raw[at + 1..])),
            _ => break,
        }
    }
    Ok(("", raw))
}

impl Url {
    /// As a URL with a scheme or as an absolute path, and nothing else.
    pub(in super::super) fn parse_request(raw: &str) -> Result<Url, String> {
        Url::parse_part(raw, Reference::Request).map_err(|error| format!("parse {}: {error}", quote(raw)))
    }

    pub(in super::super) fn parse(raw: &str) -> Result<Url, String> {
        let (bare, fragment) = raw.split_once('#').unwrap_or((raw, ""));
        let mut url =
            Url::parse_part(bare, Reference::Any).map_err(|error| format!("parse {}: {error}", quote(bare)))?;
        url.fragment = fragment.to_owned();
        unescape(fragment, Part::Fragment).map_err(|error| format!("parse {}: {error}", quote(raw)))?;
        url.text = url.assemble();
        Ok(url)
    }

    fn parse_part(raw: &str, reference: Reference) -> Result<Url, String> {
        if raw.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let request = reference == Reference::Request;
        if raw.is_empty() && request {
            return Err("empty url".to_owned());
        }
        let mut url = Url::default();
        if raw == "*" {
            url.path = b"*".to_vec();
            return Ok(url);
        }
        let (scheme, mut rest) = split_scheme(raw)?;
        url.scheme = scheme.to_ascii_lowercase();
        if let Some((before, query)) = rest.split_once('?') {
            url.has_query = true;
            url.query = query.to_owned();
            rest = before;
        }
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            if request {
                return Err("invalid URI for request".to_owned());
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let may_have_host = !url.scheme.is_empty() || !request && !rest.starts_with("///");
        if may_have_host && rest.starts_with("//") {
            let authority = &rest[2..];
            let end = authority.find('/').unwrap_or(authority.len());
            url.set_authority(&authority[..end])?;
            rest = &authority[end..];
        } else if !url.scheme.is_empty() && rest.starts_with('/') {
            url.omit_host = true;
        }
        url.path = unescape(rest, Part::Path)?;
        url.raw_path = rest.to_owned();
        Ok(url)
    }

    fn set_authority(&mut self, authority: &str) -> Result<(), String> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        self.host = parse_host(host)?;
        if let Some(user) = user {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(letter);
            if !user.chars().all(fits) {
                return Err("net/url: invalid userinfo".to_owned());
            }
            let parts: Result<Vec<String>, String> =
                user.splitn(2, ':').map(|part| Ok(escape(&unescape(part, Part::User)?, Part::User))).collect();
            self.user = Some(parts?.join(":"));
        }
        Ok(())
    }

    pub(in super::super) fn host_and_port(&self) -> (String, String) {
        let (mut host, mut port) = (self.host.as_str(), "");
        if let Some(colon) = host.rfind(':')
            && is_optional_port(&host[colon..])
        {
            (host, port) = (&host[..colon], &host[colon + 1..]);
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (bare.to_owned(), port.to_owned())
    }

    pub(in super::super) fn escaped_path(&self) -> String {
        let fits = |byte: u8| b"!$&'()*+,;=:@[]%".contains(&byte) || !is_escaped_in(byte, Part::Path);
        if self.raw_path.bytes().all(fits) {
            return if self.path == b"*" { "*".to_owned() } else { self.raw_path.clone() };
        }
        escape(&self.path, Part::Path)
    }

    /// The values of the query by their names; what is badly escaped is left out.
    pub(in super::super) fn query(&self) -> BTreeMap<String, Vec<String>> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Ok(name), Ok(value)) = (unescape(name, Part::Query), unescape(value, Part::Query)) else { continue };
            values.entry(text(name)).or_default().push(text(value));
        }
        values
    }

    pub(in super::super) fn text(&self) -> &str {
        &self.text
    }

    fn assemble(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            self.assemble_hierarchy(&mut out);
        } else {
            out.push_str(&self.opaque);
        }
        if self.has_query {
            out.push('?');
            out.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&self.fragment);
        }
        out
    }

    fn assemble_hierarchy(&self, out: &mut String) {
        let has_host = !self.host.is_empty() || self.user.is_some();
        if has_host || !self.scheme.is_empty() && !self.omit_host && !self.path.is_empty() {
            out.push_str("//");
            if let Some(user) = &self.user {
                out.push_str(user);
                out.push('@');
            }
            out.push_str(&escape(self.host.as_bytes(), Part::Host));
        }
        out.push_str(&self.escaped_path());
    }
}

/// Where a URL came from, which says what it may look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reference {
    Request,
    Any,
}

fn is_optional_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()))
}

fn parse_host(host: &str) -> Result<String, String> {
    let bad_port = |port: &str| format!("invalid port {} after host", quote(port));
    match host.rfind('[') {
        Some(0) => {
            let close = host.rfind(']').ok_or("missing ']' in host")?;
            let port = &host[close + 1..];
            if !is_optional_port(port) {
                return Err(bad_port(port));
            }
            let name = &host[1..close];
            let zone = name.find("%25").unwrap_or(name.len());
            let mut plain = unescape(&name[..zone], Part::Host)?;
            plain.extend(unescape(&name[zone..], Part::Zone)?);
            let plain = text(plain);
            let address = address::parse_with_zone(&plain).map_err(|error| format!("invalid host: {error}"))?;
            if address.is_ipv4() {
                return Err("invalid IP-literal".to_owned());
            }
            return Ok(format!("[{plain}]{port}"));
        }
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {}
    }
    if let Some(at) = host.rfind(':')
        && !is_optional_port(&host[at..])
    {
        return Err(bad_port(&host[at..]));
    }
    Ok(text(unescape(host, Part::Host)?))
}
