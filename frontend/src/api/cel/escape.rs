//! Names of fields that are no identifiers of expressions, and how expressions write them: `a-b` is `a__dash__b`.

use std::borrow::Cow;

const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const ESCAPES: [(&str, &str); 4] = [("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")];

/// Whether expressions cannot have the name as a variable.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The identifier for a name; None where no escape can express it.
pub fn escape(name: &str) -> Option<Cow<'_, str>> {
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    if is_reserved(name) {
        return Some(Cow::Owned(format!("__{name}__")));
    }
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.chars().all(is_plain) && !name.contains("__") {
        return Some(Cow::Borrowed(name));
    }
    let mut out = String::with_capacity(name.len() + 8);
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        if let Some((plain, escaped)) = ESCAPES.iter().find(|(plain, _)| rest.starts_with(plain)) {
            out.push_str(escaped);
            rest = &rest[plain.len()..];
        } else if is_plain(letter) {
            out.push(letter);
            rest = &rest[1..];
        } else {
            return None;
        }
    }
    Some(Cow::Owned(out))
}

/// The name behind an identifier; None where it has an escape that does not exist.
pub fn unescape(identifier: &str) -> Option<Cow<'_, str>> {
    if !identifier.contains("__") {
        return Some(Cow::Borrowed(identifier));
    }
    let mut out = String::with_capacity(identifier.len());
    let mut rest = identifier;
    while let Some(open) = rest.find("__") {
        let inner = &rest[open + 2..];
        let length = inner.find('_').unwrap_or(inner.len());
        if length == 0 || !inner[length..].starts_with("__") {
            // No escape begins here: a run of underscores, or a name that just has two.
            let next = open + 1;
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        let word = &inner[..length];
        out.push_str(&rest[..open]);
        let whole = length + 4;
        match ESCAPES.iter().find(|(_, escaped)| &escaped[2..escaped.len() - 2] == word) {
            Some((plain, _)) => out.push_str(plain),
            None if RESERVED.contains(&word) && whole == identifier.len() => out.push_str(word),
            None => return None,
        }
        rest = &rest[open + whole..];
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identifiers_and_come_back() {
        for (name, identifier) in [
            ("plain", "plain"),
            ("a-b", "a__dash__b"),
            ("a.b/c", "a__dot__b__slash__c"),
            ("namespace", "__namespace__"),
            ("a__b", "a__underscores__b"),
            ("_x_", "_x_"),
        ] {
            assert_eq!(escape(name).as_deref(), Some(identifier), "{name}");
            assert_eq!(unescape(identifier).as_deref(), Some(name), "{identifier}");
        }
        for name in ["", "1a", "a b", "ä", "$ref"] {
            assert_eq!(escape(name), None, "{name}");
        }
        assert_eq!(unescape("a__nonsense__b"), None);
        assert_eq!(unescape("x__namespace__"), None);
    }
}
