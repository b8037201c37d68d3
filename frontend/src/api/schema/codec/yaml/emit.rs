//! Printing YAML as Go's encoder does: block style, two spaces, lists not indented, keys in natural order, long lines
//! folded at white space.

use std::cmp::Ordering;

use serde_json::Value;

use super::resolve::{Scalar, float_text, untagged};

/// Lines are folded at the first space behind this column.
const WIDTH: usize = 80;
const INDENT: usize = 2;
/// A longer key is written behind a question mark.
const KEY_BYTES_MAX: usize = 128;

pub(super) fn document(value: &Value, out: &mut Vec<u8>) {
    let mut emitter = Emitter { out, column: 0, indent: None, is_space: true, is_indention: true };
    emitter.node(value, Place::Root);
    emitter.indent = None;
    emitter.write_indent();
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    /// A key on its line.
    Key,
    /// A long key, and every value.
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

struct Emitter<'a> {
    out: &'a mut Vec<u8>,
    /// In characters.
    column: usize,
    /// None outside of all.
    indent: Option<usize>,
    /// What was written last separates: no space is needed.
    is_space: bool,
    /// Nothing but indentation and dashes stands on the line.
    is_indention: bool,
}

impl Emitter<'_> {
    fn put(&mut self, letter: char) {
        self.out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.column += 1;
    }

    fn put_break(&mut self, letter: char) {
        self.put(letter);
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.is_indention || self.column > indent || (self.column == indent && !self.is_space) {
            self.put_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.is_space = true;
        self.is_indention = true;
    }

    fn need_space(&mut self) {
        if !self.is_space {
            self.put(' ');
        }
    }

    /// Punctuation that ends the indentation, but for dashes, question marks and their colons.
    fn indicator(&mut self, text: &str) {
        text.chars().for_each(|letter| self.put(letter));
        self.is_space = false;
        self.is_indention = false;
    }

    fn block_indicator(&mut self, letter: char) {
        self.need_space();
        self.put(letter);
        self.is_space = false;
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Object(map) if map.is_empty() => self.empty("{}"),
            Value::Array(items) if items.is_empty() => self.empty("[]"),
            Value::Object(map) => self.mapping(map),
            Value::Array(items) => self.sequence(items, place),
            Value::Null => self.scalar("null", Style::Plain, place),
            Value::Bool(truth) => self.scalar(if *truth { "true" } else { "false" }, Style::Plain, place),
            Value::Number(number) => {
                let text = match number.as_f64().filter(|_| number.is_f64()) {
                    Some(float) => float_text(float),
                    None => number.to_string(),
                };
                self.scalar(&text, Style::Plain, place);
            }
            Value::String(text) => self.scalar(text, wanted_style(text), place),
        }
    }

    fn empty(&mut self, brackets: &str) {
        self.need_space();
        self.indicator(brackets);
    }

    fn mapping(&mut self, map: &serde_json::Map<String, Value>) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(0, |indent| indent + INDENT));
        let mut keys: Vec<&String> = map.keys().collect();
        keys.sort_by(|a, b| natural(a, b));
        for key in keys {
            self.write_indent();
            let is_simple = key.len() <= KEY_BYTES_MAX && !key.chars().any(is_break);
            if is_simple {
                self.scalar(key, wanted_style(key), Place::Key);
                self.indicator(":");
            } else {
                self.block_indicator('?');
                self.scalar(key, wanted_style(key), Place::Value);
                self.write_indent();
                self.block_indicator(':');
            }
            self.node(&map[key], Place::Value);
        }
        self.indent = outer;
    }

    fn sequence(&mut self, items: &[Value], place: Place) {
        let outer = self.indent;
        let stays = place == Place::Value && !self.is_indention;
        self.indent = Some(match outer {
            None => 0,
            Some(indent) if stays => indent,
            Some(indent) => indent + INDENT,
        });
        for item in items {
            self.write_indent();
            self.block_indicator('-');
            self.node(item, Place::Item);
        }
        self.indent = outer;
    }

    fn scalar(&mut self, text: &str, wanted: Style, place: Place) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(INDENT, |indent| indent + INDENT));
        match chosen_style(text, wanted, place) {
            Style::Plain => self.plain(text, place),
            Style::Single => self.single(text, place),
            Style::Double => self.double(text, place),
            Style::Literal => self.literal(text),
        }
        self.indent = outer;
    }

    fn folds_here(&self, place: Place) -> bool {
        place != Place::Key && self.column > WIDTH
    }

    fn plain(&mut self, text: &str, place: Place) {
        self.need_space();
        self.words(text, place, Style::Plain);
        self.is_space = false;
        self.is_indention = false;
    }

    fn single(&mut self, text: &str, place: Place) {
        self.need_space();
        self.indicator("'");
        self.words(text, place, Style::Single);
        self.indicator("'");
    }

    /// The text of a plain or single-quoted scalar, folded.
    fn words(&mut self, text: &str, place: Place, style: Style) {
        let (mut spaces, mut breaks) = (false, false);
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let next = letters.peek().map(|(_, next)| *next);
            if letter == ' ' {
                let inside = style == Style::Plain || (at > 0 && next.is_some());
                if self.folds_here(place) && !spaces && inside && next != Some(' ') {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(letter) {
                if !breaks && letter == '\n' {
                    self.put_break('\n');
                }
                self.put_break(letter);
                self.is_indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                if letter == '\'' && style == Style::Single {
                    self.put('\'');
                }
                self.put(letter);
                self.is_indention = false;
                (spaces, breaks) = (false, false);
            }
        }
    }

    fn double(&mut self, text: &str, place: Place) {
        self.need_space();
        self.indicator("\"");
        let mut spaces = false;
        // The original looks for a byte order mark at the front of the text, whichever letter it has come to.
        let all = text.starts_with('\u{feff}');
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if all || !is_printable(letter) || is_break(letter) || matches!(letter, '"' | '\\') {
                escape(letter).chars().for_each(|letter| self.put(letter));
                spaces = false;
            } else if letter == ' ' {
                let next = letters.peek().map(|(_, next)| *next);
                if self.folds_here(place) && !spaces && at > 0 && next.is_some() {
                    self.write_indent();
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(letter);
                spaces = false;
            }
        }
        self.indicator("\"");
    }

    fn literal(&mut self, text: &str) {
        self.need_space();
        self.indicator("|");
        if text.starts_with(|letter| letter == ' ' || is_break(letter)) {
            self.indicator("2");
        }
        let mut ends = text.chars().rev().map(is_break);
        match (ends.next().unwrap_or(false), ends.next()) {
            (false, _) => self.indicator("-"),
            (true, None | Some(true)) => self.indicator("+"),
            (true, Some(false)) => {}
        }
        self.put_break('\n');
        self.is_indention = true;
        self.is_space = true;
        let mut breaks = true;
        for letter in text.chars() {
            if is_break(letter) {
                self.put_break(letter);
                self.is_indention = true;
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            self.put(letter);
            self.is_indention = false;
            breaks = false;
        }
    }
}

/// What a string is written as if nothing stands against it.
fn wanted_style(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if untagged(text) == Scalar::Text && !is_sexagesimal(text) {
        Style::Plain
    } else {
        Style::Double
    }
}

fn chosen_style(text: &str, wanted: Style, place: Place) -> Style {
    let found = Found::of(text);
    let mut style = wanted;
    if place == Place::Key && found.breaks {
        style = Style::Double;
    }
    if style == Style::Plain && (!found.plain_allowed || (text.is_empty() && place == Place::Key)) {
        style = Style::Single;
    }
    if style == Style::Single && !found.single_allowed {
        style = Style::Double;
    }
    if style == Style::Literal && (!found.block_allowed || place == Place::Key) {
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

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t')
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Letters beyond the first 65,536 are escaped too.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && letter != '\u{feff}'
}

fn escape(letter: char) -> String {
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
        && minutes.iter().all(|place| match place.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
            _ => false,
        })
}

/// Letters after everything else, runs of digits by their number.
fn natural(a: &str, b: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = left.iter().zip(&right).position(|(one, other)| one != other) else {
        return left.len().cmp(&right.len());
    };
    let (one, other) = (left[at], right[at]);
    match (one.is_alphabetic(), other.is_alphabetic()) {
        (true, true) => return one.cmp(&other),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero within a number that began before it is no leading one.
    let within = (one == '0' || other == '0')
        && left[..at].iter().rev().take_while(|letter| letter.is_numeric()).any(|digit| *digit != '0');
    let run = |letters: &[char]| -> (i64, usize) {
        let digits = letters[at..].iter().take_while(|letter| letter.is_numeric());
        digits.fold((i64::from(within), 0), |(number, count), digit| {
            let digit = i64::from(u32::from(*digit)) - i64::from(u32::from('0'));
            (number.wrapping_mul(10).wrapping_add(digit), count + 1)
        })
    };
    run(&left).cmp(&run(&right)).then(one.cmp(&other))
}
