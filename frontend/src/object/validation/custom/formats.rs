//! Formats of texts: a table of names and what has to be so. Names that stand nowhere here are not checked.

use std::{net::Ipv6Addr, sync::LazyLock};

use crate::api::schema::{
    scalar::{duration, pattern::Regex},
    structural::Node,
};

type Check = fn(&str) -> bool;

/// Names without their hyphens.
const FORMATS: &[(&str, Check)] = &[
    ("bsonobjectid", |text| text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit())),
    ("uri", is_uri),
    ("email", is_email),
    ("hostname", is_hostname),
    ("ipv4", |text| text.contains('.') && is_sloppy_address(text)),
    ("ipv6", |text| text.contains(':') && is_sloppy_address(text)),
    ("cidr", is_network),
    ("mac", is_mac),
    ("uuid", |text| UUID.is_match(text)),
    ("uuid3", |text| UUID3.is_match(text)),
    ("uuid4", |text| UUID4.is_match(text)),
    ("uuid5", |text| UUID5.is_match(text)),
    ("isbn", |text| is_isbn10(text) || is_isbn13(text)),
    ("isbn10", is_isbn10),
    ("isbn13", is_isbn13),
    ("creditcard", is_credit_card),
    ("ssn", |text| text.len() == 11 && SSN.is_match(text)),
    ("hexcolor", |text| HEX_COLOR.is_match(text)),
    ("rgbcolor", |text| RGB_COLOR.is_match(text)),
    ("byte", |text| !text.is_empty() && text.len() % 4 == 0 && BASE64.is_match(text)),
    ("password", |_| true),
    ("date", is_date),
    ("duration", is_duration),
    ("datetime", is_date_time),
    ("k8sshortname", |text| text.len() <= 63 && SHORT_NAME.is_match(text)),
    ("k8slongname", |text| text.len() <= 253 && LONG_NAME.is_match(text)),
];

macro_rules! patterns {
    ($($name:ident = $pattern:expr;)*) => {$(
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a pattern of this file compiles"));
    )*};
}

patterns! {
    UUID = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    UUID3 = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    UUID4 = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    UUID5 = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    SSN = "^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$";
    HEX_COLOR = "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$";
    RGB_COLOR = concat!(
        r"^rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])",
        r"\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$"
    );
    BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$";
    CREDIT_CARD = concat!(
        r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|(222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}|",
        r"6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11}|",
        r"6[27][0-9]{14})$"
    );
    SHORT_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
    LONG_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    WORD = r"^[a-zA-Z0-9\p{S}\p{L}]$";
    LETTER = r"^[a-zA-Z\p{L}]$";
    CLOCK = r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$";
    AMOUNT = r"(\d+)\s*([A-Za-zµ]+)";
}

fn is_one(class: &Regex, letter: char) -> bool {
    class.is_match(letter.encode_utf8(&mut [0; 4]))
}

/// One label, or labels that end in one of letters alone. As go-openapi's pattern, whose classes are too many to be
/// repeated in a compiled one.
fn has_form_of_hostname(text: &str) -> bool {
    let word = |letter: &char| is_one(&WORD, *letter);
    let mut labels: Vec<Vec<char>> = text.split('.').map(|label| label.chars().collect()).collect();
    let Some(last) = labels.pop() else { return false };
    if labels.is_empty() {
        let Some((first, rest)) = last.split_first() else { return false };
        let rest = rest.strip_prefix(&['-']).unwrap_or(rest);
        return word(first) && rest.len() <= 62 && rest.iter().all(word);
    }
    let is_label = |label: &Vec<char>| match label.as_slice() {
        [only] => word(only),
        [first, middle @ .., end] => {
            word(first) && word(end) && middle.len() <= 61 && middle.iter().all(|letter| *letter == '-' || word(letter))
        }
        [] => false,
    };
    labels.iter().all(is_label) && (2..=63).contains(&last.len()) && last.iter().all(|letter| is_one(&LETTER, *letter))
}

/// The format that is checked, as the schema spells it; empty for none and for unknown ones.
pub(super) fn known(node: &Node) -> &str {
    let format = node.limits.as_ref().map_or("", |limits| &limits.format);
    if find(format).is_some() { format } else { "" }
}

pub(super) fn is_known_of(node: &Node) -> bool {
    !known(node).is_empty()
}

/// Whether a schema of texts names a format that nobody knows.
pub(in super::super) fn is_unrecognized(kind: &str, format: &str) -> bool {
    kind == "string" && !format.is_empty() && find(format).is_none()
}

fn find(format: &str) -> Option<&'static (&'static str, Check)> {
    if format.is_empty() {
        return None;
    }
    let plain = format.replace('-', "");
    FORMATS.iter().find(|(name, _)| *name == plain)
}

/// Whether a text is of a known format.
pub(super) fn fits(format: &str, text: &str) -> bool {
    find(format).is_none_or(|(_, check)| check(text))
}

/// An absolute URI, or an absolute path.
fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return false;
    }
    let escapes_are_good = |part: &str| {
        let bytes = part.as_bytes();
        (0..bytes.len())
            .filter(|at| bytes[*at] == b'%')
            .all(|at| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
    };
    let path_of = |rest: &str| rest.split('?').next().is_some_and(escapes_are_good);
    if text.starts_with('/') {
        return path_of(text);
    }
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let good_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !good_scheme {
        return false;
    }
    match rest.strip_prefix("//") {
        Some(rest) => {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            let port = match host.strip_prefix('[') {
                Some(inner) => match inner.split_once(']') {
                    Some((_, port)) => port,
                    None => return false,
                },
                None => host.find(':').map_or("", |at| &host[at..]),
            };
            let good_port =
                port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
            let good_host = !host.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}']);
            good_port && good_host && path_of(rest)
        }
        None => path_of(rest),
    }
}

/// What Go's parser of mail addresses takes, but for comments and groups.
fn is_email(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let address = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((_, inner)) => inner,
        None if text.contains(['<', '>']) => return false,
        None => text,
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
    let is_dotted =
        |text: &str| !text.is_empty() && text.split('.').all(|part| !part.is_empty() && part.chars().all(is_atom));
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let literal = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
    let good_domain = match literal {
        Some(inner) => inner.parse::<std::net::IpAddr>().is_ok(),
        None => is_dotted(domain),
    };
    (quoted || is_dotted(local)) && good_domain
}

fn is_hostname(text: &str) -> bool {
    has_form_of_hostname(text) && text.len() <= 255 && text.split('.').all(|part| part.len() <= 63)
}

/// As Go once read addresses: leading zeros are nothing special.
fn is_sloppy_address(text: &str) -> bool {
    if text.contains(':') {
        let Some((head, last)) = text.rsplit_once(':') else { return false };
        if last.contains('.') {
            let as_groups = format!("{head}:0:0");
            return is_sloppy_ipv4(last) && as_groups.parse::<Ipv6Addr>().is_ok();
        }
        return text.parse::<Ipv6Addr>().is_ok();
    }
    is_sloppy_ipv4(text)
}

fn is_sloppy_ipv4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 4
        && parts.iter().all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u32>().is_ok_and(|n| n <= 255)
        })
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = if address.contains(':') { 128 } else { 32 };
    let digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
    is_sloppy_address(address) && digits && bits.parse::<u32>().is_ok_and(|bits| bits <= most)
}

fn is_mac(text: &str) -> bool {
    let groups = |separator: char, size: usize, counts: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        counts.contains(&parts.len())
            && parts.iter().all(|part| part.len() == size && part.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    groups(':', 2, &[6, 8, 20]) || groups('-', 2, &[6, 8, 20]) || groups('.', 4, &[3, 4, 10])
}

fn without(text: &str, separators: &[char]) -> String {
    text.chars().filter(|c| !separators.contains(c)).collect()
}

fn is_isbn10(text: &str) -> bool {
    let text = without(text, &[' ', '-', '\t', '\n']);
    let (digits, last) = match text.char_indices().last() {
        Some((9, last)) => (&text[..9], last),
        _ => return false,
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) || !(last.is_ascii_digit() || last == 'X') {
        return false;
    }
    let sum: u32 = digits.bytes().zip(1..).map(|(digit, at)| u32::from(digit - b'0') * at).sum();
    (sum + 10 * last.to_digit(10).unwrap_or(10)).is_multiple_of(11)
}

fn is_isbn13(text: &str) -> bool {
    let text = without(text, &[' ', '-', '\t', '\n']);
    if text.len() != 13 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = text.bytes().enumerate().map(|(at, b)| u32::from(b - b'0') * if at % 2 == 0 { 1 } else { 3 }).sum();
    sum.is_multiple_of(10)
}

fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !CREDIT_CARD.is_match(&digits) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, b)| match (at % 2, u32::from(b - b'0')) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let Some((date, rest)) = lower.split_once('t') else { return false };
    let clock = rest.split('t').next().unwrap_or_default();
    let Some(found) = CLOCK.captures(clock) else { return false };
    is_date(date) && &found[1] <= "23" && &found[2] <= "59" && &found[3] <= "59"
}

/// Go's durations, and Scala's: amounts with units in words.
fn is_duration(text: &str) -> bool {
    const UNITS: [(&[&str], &str); 8] = [
        (&["ns"], "nano"),
        (&["us", "µs"], "micro"),
        (&["ms"], "milli"),
        (&["s"], "sec"),
        (&["m"], "min"),
        (&["h", "hr"], "hour"),
        (&["d"], "day"),
        (&["w", "wk"], "week"),
    ];
    let is_unit = |unit: &str| UNITS.iter().any(|(short, long)| short.contains(&unit) || unit.starts_with(long));
    duration::parse(text).is_ok() || AMOUNT.captures_iter(text).any(|found| is_unit(&found[2].to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_of_formats_or_not() {
        for (format, good, bad) in [
            ("uri", "http://a/b?c", "a b"),
            ("email", "a@b.c", "a@"),
            ("hostname", "a.example.com", "-a."),
            ("ipv4", "01.2.3.4", "1.2.3"),
            ("ipv6", "::1", "1.2.3.4"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "01:23:45:67:89:ab", "01:23"),
            ("uuid4", "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
            ("isbn10", "0321751043", "0321751044"),
            ("isbn13", "978-0321751041", "978-0321751042"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("hexcolor", "#FFF", "#FFFF"),
            ("rgbcolor", "rgb(1, 2, 255)", "rgb(1,2,256)"),
            ("byte", "YQ==", "YQ"),
            ("date", "2006-01-02", "2006-13-02"),
            ("date-time", "2006-01-02T15:04:05Z", "2006-01-02 15:04:05Z"),
            ("duration", "22 ns", "22"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a.b", "A"),
        ] {
            assert!(fits(format, good), "{format} {good}");
            assert!(!fits(format, bad), "{format} {bad}");
        }
        assert!(fits("unheard-of", "anything"));
    }
}
