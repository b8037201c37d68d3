//! Patterns with the syntax and the errors of Go's regexp (RE2), matched by the `regex` crate.
//!
//! In: a pattern. Out: something that finds, or Go's error. Both engines are linear in the text; what they do not
//! write alike is rewritten: `\d` and its kin mean ASCII, braces and brackets stand for themselves in more places.

mod translation;

use regex::RegexBuilder;

use self::translation::{Flaw, translate};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Regex(regex::Regex);

/// A compiled pattern may take this much; a larger one is refused.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Regex {
    /// The error is Go's.
    pub fn new(pattern: &str) -> Result<Regex, String> {
        let translated =
            translate(pattern).map_err(|Flaw { what, text }| format!("error parsing regexp: {what}: `{text}`"))?;
        match RegexBuilder::new(&translated).size_limit(COMPILED_BYTES_MAX).build() {
            Ok(regex) => Ok(Regex(regex)),
            Err(_) => Err(format!("error parsing regexp: expression too large: `{pattern}`")),
        }
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    pub fn captures<'t>(&self, text: &'t str) -> Option<regex::Captures<'t>> {
        self.0.captures(text)
    }

    pub fn captures_iter<'r, 't>(&'r self, text: &'t str) -> regex::CaptureMatches<'r, 't> {
        self.0.captures_iter(text)
    }

    /// The first so many matches.
    pub fn find_all(&self, text: &str, limit: usize) -> Vec<String> {
        self.0.find_iter(text).take(limit).map(|found| found.as_str().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, matches) in [
            (r"^\d+$", "123", true),
            (r"^\d+$", "١", false),
            (r"^[\w.-]+$", "a.b-c_d", true),
            (r"a{,2}", "a{,2}", true),
            (r"{x}", "{x}", true),
            (r"^[[a]+$", "[a", true),
            (r"^[a&&b]+$", "a&b", true),
            (r"\Qa.b\E", "a.b", true),
            (r"\Qa.b\E", "axb", false),
            (r"(?i)ABC", "xabcx", true),
            (r"^[[:alpha:]]+$", "abc", true),
            (r"^\x41\x{42}\103$", "ABC", true),
            (r"^(?P<x>a)$", "a", true),
            (r"a\bc", "ac", false),
            (r"^[^\d]$", "x", true),
            (r"^[]a]+$", "]a", true),
            (r"#", "#", true),
        ] {
            let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(regex.is_match(text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn errors_are_those_of_go() {
        for (pattern, error) in [
            ("(", "missing closing ): `(`"),
            ("a)", "unexpected ): `a)`"),
            ("[a", "missing closing ]: `[a`"),
            ("*a", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("\\y", "invalid escape sequence: `\\y`"),
            ("a\\", "trailing backslash at end of expression: ``"),
            ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ] {
            assert_eq!(Regex::new(pattern).err(), Some(format!("error parsing regexp: {error}")), "{pattern}");
        }
    }
}
