//! In which style a text is written: what it stands for and its letters decide, as in libyaml's emitter.

use super::resolve::{Scalar, untagged};

/// Where a node stands: what libyaml calls the context of its emission.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Root,
    Item,
    /// A key on its line.
    Key,
    /// A long key, and every value.
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// What a string is written as if nothing stands against it.
pub(super) fn wanted_style(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if untagged(text) == Scalar::Text && !is_sexagesimal(text) {
        Style::Plain
    } else {
        Style::Double
    }
}

pub(super) fn chosen_style(text: &str, wanted: Style, context: Context) -> Style {
    let found = Found::of(text);
    let mut style = wanted;
    if context == Context::Key && found.breaks {
        style = Style::Double;
    }
    if style == Style::Plain && (!found.plain_allowed || (text.is_empty() && context == Context::Key)) {
        style = Style::Single;
    }
    if style == Style::Single && !found.single_allowed {
        style = Style::Double;
    }
    if style == Style::Literal && (!found.block_allowed || context == Context::Key) {
        style = Style::Double;
    }
    style
}

/// What a text's letters allow.
struct Found {
    breaks: bool,
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Found {
    fn of(text: &str) -> Found {
        let letters: Vec<char> = text.chars().collect();
        let (Some(first), Some(last)) = (letters.first().copied(), letters.last().copied()) else {
            return Found { breaks: false, plain_allowed: true, single_allowed: true, block_allowed: false };
        };
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut break_then_space, mut space_then_break) = (false, false, false);
        for (at, letter) in letters.iter().copied().enumerate() {
            let before = at.checked_sub(1).map(|at| letters[at]);
            let after = letters.get(at + 1).copied();
            let ends_word = after.is_none_or(is_blank);
            indicators |= match letter {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
                    if at == 0 =>
                {
                    true
                }
                '?' | '-' if at == 0 => ends_word,
                ':' => ends_word,
                '#' => before.is_some_and(|before| is_blank(before) || is_break(before)),
                _ => false,
            };
            special |= !is_printable(letter);
            break_then_space |= letter == ' ' && before.is_some_and(is_break);
            space_then_break |= is_break(letter) && before == Some(' ');
        }
        let breaks = letters.iter().copied().any(is_break);
        let edge = |letter: char| letter == ' ' || is_break(letter);
        Found {
            breaks,
            plain_allowed: !(edge(first)
                || edge(last)
                || break_then_space
                || space_then_break
                || special
                || breaks
                || indicators),
            single_allowed: !(break_then_space || space_then_break || special),
            block_allowed: !(last == ' ' || space_then_break || special),
        }
    }
}

pub(super) fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t')
}

pub(super) fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Letters beyond the first 65,536 are escaped too.
pub(super) fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && letter != '\u{feff}'
}

pub(super) fn escape(letter: char) -> String {
    let short = match letter {
        '\0' => "\\0",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\x0b' => "\\v",
        '\x0c' => "\\f",
        '\r' => "\\r",
        '\x1b' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{a0}' => "\\_",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        letter => {
            return match u32::from(letter) {
                code @ ..=0xff => format!("\\x{code:02X}"),
                code @ ..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    short.to_owned()
}

/// `12:30:45`, which older readers take for a number in base 60.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut places = whole.split(':');
    let first = places.next().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let minutes: Vec<&str> = places.collect();
    first.starts_with(|letter: char| letter.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && !minutes.is_empty()
        && minutes.iter().all(|part| match part.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
            _ => false,
        })
}
