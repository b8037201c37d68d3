//! URLs as operators and objects give them: cut into their parts, or refused in Go's words.

/// A URL, cut as Go cuts it.
pub struct Url<'u> {
    pub scheme: String,
    pub user: Option<&'u str>,
    pub host: &'u str,
    pub query: Option<&'u str>,
    pub fragment: Option<&'u str>,
}

impl<'u> Url<'u> {
    /// The error is Go's, without the words about what was parsed.
    pub fn parse(url: &'u str) -> Result<Url<'u>, String> {
        if url.chars().any(|c| c.is_ascii_control()) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
        let word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let head = rest.find(|c: char| !word(c)).unwrap_or(rest.len());
        let has_scheme = rest[head..].starts_with(':') && rest.starts_with(|c: char| c.is_ascii_alphabetic());
        if rest.starts_with(':') {
            return Err("missing protocol scheme".to_owned());
        }
        let (scheme, rest) = if has_scheme { (&rest[..head], &rest[head + 1..]) } else { ("", rest) };
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let Some(after) = rest.strip_prefix("//") else {
            let first = rest.split('/').next().unwrap_or_default();
            if scheme.is_empty() && !rest.starts_with('/') && first.contains(':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
            return Ok(Url { scheme: scheme.to_ascii_lowercase(), user: None, host: "", query, fragment });
        };
        let authority = after.split('/').next().unwrap_or_default();
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'));
        if let Some(port) = port.filter(|port| !port.bytes().all(|digit| digit.is_ascii_digit())) {
            return Err(format!("invalid port {:?} after host", format!(":{port}")));
        }
        if let Some(odd) = host.chars().find(|c| " <>\"\\^`{|}".contains(*c)) {
            return Err(format!("invalid character {:?} in host name", odd.to_string()));
        }
        Ok(Url { scheme: scheme.to_ascii_lowercase(), user, host, query, fragment })
    }
}
