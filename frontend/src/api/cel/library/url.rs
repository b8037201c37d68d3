//! URLs, taken apart as Go's net/url does it.

use std::collections::BTreeMap;

use super::{
    super::{
        gofmt::quote,
        value::{Entries, Evaluated, Map, Val, fail, no_such_overload},
    },
    Row, ip,
    operators::list_of,
    row,
};

pub(super) const ROWS: &[Row] = &[
    row("string_to_url", "url(string) kubernetes.URL", url),
    row("url_get_scheme", "kubernetes.URL::getScheme() string", |args| part(args, |url| url.scheme.clone())),
    row("url_get_host", "kubernetes.URL::getHost() string", |args| part(args, |url| url.host.clone())),
    row("url_get_hostname", "kubernetes.URL::getHostname() string", |args| part(args, |url| url.host_and_port().0)),
    row("url_get_port", "kubernetes.URL::getPort() string", |args| part(args, |url| url.host_and_port().1)),
    row("url_get_escaped_path", "kubernetes.URL::getEscapedPath() string", |args| part(args, Url::escaped_path)),
    row("url_get_query", "kubernetes.URL::getQuery() map(string, list(string))", query),
    row("is_url_string", "isURL(string) bool", is_url),
];

/// A URL and its parts, unescaped.
#[derive(Debug, Default)]
pub struct Url {
    scheme: String,
    opaque: String,
    user: Option<String>,
    host: String,
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

    fn parse(raw: &str) -> Result<Url, String> {
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

    fn host_and_port(&self) -> (String, String) {
        let (mut host, mut port) = (self.host.as_str(), "");
        if let Some(colon) = host.rfind(':')
            && is_optional_port(&host[colon..])
        {
            (host, port) = (&host[..colon], &host[colon + 1..]);
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (bare.to_owned(), port.to_owned())
    }

    fn escaped_path(&self) -> String {
        let fits = |byte: u8| b"!$&'()*+,;=:@[]%".contains(&byte) || !is_escaped_in(byte, Part::Path);
        if self.raw_path.bytes().all(fits) {
            return if self.path == b"*" { "*".to_owned() } else { self.raw_path.clone() };
        }
        escape(&self.path, Part::Path)
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
            let address = ip::parse_with_zone(&plain).map_err(|error| format!("invalid host: {error}"))?;
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

fn url<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(raw)] = args else { return no_such_overload() };
    match Url::parse_request(raw).and_then(|_| Url::parse(raw)) {
        Ok(url) => Ok(Val::Url(url.into())),
        Err(error) => fail(format!("URL parse error during conversion from string: {error}")),
    }
}

fn is_url<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(raw)] = args else { return no_such_overload() };
    Ok(Val::Bool(Url::parse_request(raw).is_ok()))
}

fn part<'a>(args: &[Val<'a>], part: fn(&Url) -> String) -> Evaluated<'a> {
    match args {
        [Val::Url(url)] => Ok(Val::from(part(url))),
        _ => no_such_overload(),
    }
}

/// Values by their names; what is badly escaped is left out.
fn query<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Url(url)] = args else { return no_such_overload() };
    let mut values: BTreeMap<String, Vec<Val<'a>>> = BTreeMap::new();
    for pair in url.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Ok(name), Ok(value)) = (unescape(name, Part::Query), unescape(value, Part::Query)) else { continue };
        values.entry(text(name)).or_default().push(Val::from(text(value)));
    }
    let mut entries = Entries::default();
    for (name, values) in values {
        entries.set(Val::from(name), list_of(values))?;
    }
    Ok(Val::Map(Map::Owned(entries.into())))
}
