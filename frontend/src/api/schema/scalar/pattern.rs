//! Regular expressions in the syntax of Go's RE2.
//!
//! In: a pattern. Out: a compiled one that means the same, or why it is none. Not here: where patterns come from.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

/// A compiled pattern may take this much; a larger one is refused.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Compiles a pattern that matches wherever Go's would.
pub fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&ascii_classes(pattern)).size_limit(COMPILED_BYTES_MAX).build()
}

/// Why a pattern does not compile, as Go says it.
pub fn go_complaint(pattern: &str, error: &regex::Error) -> String {
    let regex::Error::Syntax(text) = error else { return "error parsing regexp: expression too large".to_owned() };
    let from = |what: &str| pattern.find(what).map_or(pattern, |at| &pattern[at..]);
    let why = if text.contains("unclosed group") {
        format!("missing closing ): `{pattern}`")
    } else if text.contains("unclosed character class") {
        format!("missing closing ]: `{}`", from("["))
    } else if text.contains("unopened group") {
        format!("unexpected ): `{pattern}`")
    } else if text.contains("repetition operator missing expression") {
        let operator = pattern.chars().find(|c| matches!(c, '*' | '+' | '?')).unwrap_or('*');
        format!("missing argument to repetition operator: `{operator}`")
    } else if text.contains("look-around") {
        format!("invalid or unsupported Perl syntax: `{}`", from("(?").chars().take(3).collect::<String>())
    } else if text.contains("escape") || text.contains("backreference") {
        format!("invalid escape sequence: `{}`", from("\\").chars().take(2).collect::<String>())
    } else if text.contains("character class range") {
        format!("invalid character class range: `{pattern}`")
    } else {
        format!("invalid repeat count: `{pattern}`")
    };
    format!("error parsing regexp: {why}")
}

/// Go's `\d`, `\w`, `\s` and `\b` know ASCII alone.
fn ascii_classes(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains('\\') && !pattern.contains('[') {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = chars.next() {
        match letter {
            '\\' => match chars.next() {
                Some('d') => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str(if in_class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str(if in_class { "\\t\\n\\f\\r " } else { "[\\t\\n\\f\\r ]" }),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') if !in_class => out.push_str("(?-u:\\b)"),
                Some('B') if !in_class => out.push_str("(?-u:\\B)"),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            // Inside a class Go takes these as they are, where this engine would see an operator or a class in a class.
            '[' if in_class && chars.peek() != Some(&':') => out.push_str("\\["),
            '[' if in_class => {
                out.push('[');
                for named in chars.by_ref() {
                    out.push(named);
                    if named == ']' {
                        break;
                    }
                }
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(letter);
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str("\\]");
                }
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, matches) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^[\w.-]+$", "a_b.c-d", true),
            (r"^[[a]+$", "[a", true),
            (r"^[]a]+$", "]a", true),
            (r"^[[:alpha:]_]+$", "ab_", true),
            (r"^[a&&b]+$", "a&b", true),
            (r"^\S+@\S+$", "a@b", true),
            (r"\bx\b", "a x b", true),
            ("^a{2,3}$", "aaaa", false),
        ] {
            assert_eq!(compile(pattern).unwrap().is_match(text), matches, "{pattern} {text}");
        }
        assert!(compile("a(").is_err());
        assert!(compile("(?=a)").is_err());
    }
}
