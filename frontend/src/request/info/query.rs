//! The query of a request, decoded once, in order.

use std::borrow::Cow;

/// Names and values of a query string. A name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Parses `a=1&b=2`. Pairs that are not well formed (a bad escape, a semicolon) are dropped, as Go drops them.
    pub fn parse(raw: &str) -> Query {
        let pairs = raw
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.contains(';'))
            .filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                if !has_valid_escapes(name) || !has_valid_escapes(value) {
                    return None;
                }
                // A plus is a space in a query, and nowhere else.
                let decode = |text: &str| percent_decode(&text.replace('+', " ")).into_owned();
                Some((decode(name), decode(value)))
            })
            .collect();
        Query { pairs }
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value of a name, unless it is empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|v| !v.is_empty())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Booleans as the API machinery reads them: everything but `false` and `0` is true, an empty value too.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| !v.eq_ignore_ascii_case("false") && v != "0")
    }
}

/// Whether each `%` begins two hexadecimal digits.
pub fn has_valid_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            match bytes.get(at + 1..at + 3) {
                Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => at += 2,
                _ => return false,
            }
        }
        at += 1;
    }
    true
}

/// Decodes `%41`. Bytes that are no UTF-8 become replacement characters.
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy()
}
