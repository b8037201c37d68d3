//! The forms of names, label keys and label values, each with the messages of the API machinery.
//!
//! In: a text. Out: what is wrong with it, in the order in which the real server says it; empty if nothing is.

const LABEL_1123: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const LABEL_KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

const LABEL_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

/// What is wrong with a name. `prefix` is set for a generateName, which may end in a dash.
pub type NameRule = fn(name: &str, prefix: bool) -> Vec<String>;

pub(crate) fn regex_error(message: &str, pattern: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{message} (regex used for validation is '{pattern}')");
    }
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{pattern}')", examples.join(" or "))
}

/// Length in the unit that this family of checks speaks of.
fn too_long_bytes(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

pub(crate) fn too_long_characters(max: usize) -> String {
    format!("must be no more than {max} characters")
}

fn is_lower_alnum(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// `first inner* last`, where a single byte must be both a first and a last one.
fn is_framed(text: &str, first: fn(u8) -> bool, inner: fn(u8) -> bool, last: fn(u8) -> bool) -> bool {
    match text.as_bytes() {
        [] => false,
        [only] => first(*only),
        [a, middle @ .., z] => first(*a) && last(*z) && middle.iter().all(|b| inner(*b)),
    }
}

fn is_1123_label(text: &str) -> bool {
    is_framed(text, is_lower_alnum, |b| is_lower_alnum(b) || b == b'-', is_lower_alnum)
}

fn is_1123_subdomain(text: &str) -> bool {
    text.split('.').all(is_1123_label)
}

fn subdomain_pattern() -> String {
    format!("{LABEL_1123}(\\.{LABEL_1123})*")
}

fn label_1123(text: &str, too_long: fn(usize) -> String) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > LABEL_MAX {
        messages.push(too_long(LABEL_MAX));
    }
    if !is_1123_label(text) {
        messages.push(if is_1123_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            let message = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
            regex_error(message, LABEL_1123, &["my-name", "123-abc"])
        });
    }
    messages
}

fn subdomain_1123(text: &str, too_long: fn(usize) -> String) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        messages.push(too_long(SUBDOMAIN_MAX));
    }
    if !is_1123_subdomain(text) {
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        messages.push(regex_error(message, &subdomain_pattern(), &["example.com"]));
    }
    messages
}

pub fn dns_1123_label(text: &str) -> Vec<String> {
    label_1123(text, too_long_characters)
}

pub fn dns_1123_subdomain(text: &str) -> Vec<String> {
    subdomain_1123(text, too_long_characters)
}

pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > LABEL_MAX {
        messages.push(too_long_characters(LABEL_MAX));
    }
    if !is_framed(text, |b| b.is_ascii_lowercase(), |b| is_lower_alnum(b) || b == b'-', is_lower_alnum) {
        let message = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
        messages.push(regex_error(message, LABEL_1035, &["my-name", "abc-123"]));
    }
    messages
}

pub fn wildcard_subdomain(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        messages.push(too_long_characters(SUBDOMAIN_MAX));
    }
    if !text.strip_prefix("*.").is_some_and(is_1123_subdomain) {
        let message = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
        messages.push(regex_error(message, &format!("\\*\\.{}", subdomain_pattern()), &["*.example.com"]));
    }
    messages
}

fn is_label_key_part(text: &str) -> bool {
    is_framed(text, |b| b.is_ascii_alphanumeric(), is_label_inner, |b| b.is_ascii_alphanumeric())
}

fn is_label_inner(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// A label key, annotation key (in lower case) or finalizer: `name` or `prefix/name`.
pub fn label_key(text: &str) -> Vec<String> {
    let message = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let regex = || regex_error(message, LABEL_KEY, &["MyName", "my.name", "123-abc"]);
    let mut messages = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                messages.push("prefix part must be non-empty".to_owned());
            } else {
                let about = subdomain_1123(prefix, too_long_bytes);
                messages.extend(about.into_iter().map(|c| format!("prefix part {c}")));
            }
            *name
        }
        _ => {
            messages.push(format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                regex()
            ));
            return messages;
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        messages.push(format!("name part {}", too_long_bytes(LABEL_MAX)));
    }
    if !is_label_key_part(name) {
        messages.push(format!("name part {}", regex()));
    }
    messages
}

pub fn label_value(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > LABEL_MAX {
        messages.push(too_long_bytes(LABEL_MAX));
    }
    if !text.is_empty() && !is_label_key_part(text) {
        let message = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
        messages.push(regex_error(message, &format!("({LABEL_KEY})?"), &["MyValue", "my_value", "12345"]));
    }
    messages
}

/// The key of a ConfigMap or a Secret.
pub fn config_key(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        messages.push(too_long_characters(SUBDOMAIN_MAX));
    }
    if text.is_empty() || !text.bytes().all(is_label_inner) {
        let message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        messages.push(regex_error(message, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    match text {
        "." => messages.push("must not be '.'".to_owned()),
        ".." => messages.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => messages.push("must not start with '..'".to_owned()),
        _ => {}
    }
    messages
}

/// An environment variable: anything printable but `=`.
pub fn env_name(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.is_empty() {
        messages.push("environment variable name must be non-empty".to_owned());
    }
    if text.bytes().any(|b| !(b' '..=b'~').contains(&b) || b == b'=') {
        let message =
            "a valid environment variable name must consist only of printable ASCII characters other than '='";
        messages.push(message.to_owned());
    }
    messages
}

/// The name of a port in a Pod, or an IANA service name.
pub fn port_name(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 15 {
        messages.push(too_long_characters(15));
    }
    if text.is_empty() || !text.bytes().all(|b| is_lower_alnum(b) || b == b'-') {
        messages.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        messages.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        messages.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        messages.push("must not begin or end with a hyphen".to_owned());
    }
    messages
}

pub fn port_number(port: i64) -> Option<String> {
    (!(1..=65535).contains(&port)).then(|| "must be between 1 and 65535, inclusive".to_owned())
}

/// What a generateName is validated as: a trailing dash will be followed by something.
fn masked(name: &str, prefix: bool) -> String {
    match name.strip_suffix('-') {
        Some(rest) if prefix && !rest.is_empty() => {
            // The last character before the dash goes too, as the real server does it.
            let mut kept = rest.to_owned();
            kept.pop();
            kept + "a"
        }
        _ => name.to_owned(),
    }
}

/// Names of most resources.
pub fn subdomain_name(name: &str, prefix: bool) -> Vec<String> {
    dns_1123_subdomain(&masked(name, prefix))
}

/// Names of namespaces and a few more.
pub fn label_name(name: &str, prefix: bool) -> Vec<String> {
    dns_1123_label(&masked(name, prefix))
}

/// Names of Services.
pub fn label_1035_name(name: &str, prefix: bool) -> Vec<String> {
    dns_1035_label(&masked(name, prefix))
}

/// Names that need only be a segment of a path (RBAC, CRDs).
pub fn path_segment_name(name: &str, prefix: bool) -> Vec<String> {
    if !prefix {
        match name {
            "." => return vec!["may not be '.'".to_owned()],
            ".." => return vec!["may not be '..'".to_owned()],
            _ => {}
        }
    }
    ['/', '%'].iter().filter(|c| name.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// Names that are not validated at all.
pub fn any_name(_: &str, _: bool) -> Vec<String> {
    Vec::new()
}
