//! Printing YAML as Go's encoder does: block style, two spaces, lists not indented, keys in natural order, long lines
//! folded at white space.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    resolve::float_text,
    style::{Context, Style, chosen_style, escape, is_break, is_printable, wanted_style},
};

/// Lines are folded at the first space behind this column.
const WIDTH: usize = 80;
const INDENT: usize = 2;
/// A longer key is written behind a question mark.
const KEY_BYTES_MAX: usize = 128;

pub(super) fn document(value: &Value, out: &mut Vec<u8>) {
    let mut emitter = Emitter { out, column: 0, indent: None, is_space: true, is_indention: true };
    emitter.node(value, Context::Root);
    emitter.indent = None;
    emitter.write_indent();
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

    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::Object(map) if map.is_empty() => self.empty("{}"),
            Value::Array(items) if items.is_empty() => self.empty("[]"),
            Value::Object(map) => self.mapping(map),
            Value::Array(items) => self.sequence(items, context),
            Value::Null => self.scalar("null", Style::Plain, context),
            Value::Bool(truth) => self.scalar(if *truth { "true" } else { "false" }, Style::Plain, context),
            Value::Number(number) => {
                let text = match number.as_f64().filter(|_| number.is_f64()) {
                    Some(float) => float_text(float),
                    None => number.to_string(),
                };
                self.scalar(&text, Style::Plain, context);
            }
            Value::String(text) => self.scalar(text, wanted_style(text), context),
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
                self.scalar(key, wanted_style(key), Context::Key);
                self.indicator(":");
            } else {
                self.block_indicator('?');
                self.scalar(key, wanted_style(key), Context::Value);
                self.write_indent();
                self.block_indicator(':');
            }
            self.node(&map[key], Context::Value);
        }
        self.indent = outer;
    }

    fn sequence(&mut self, items: &[Value], context: Context) {
        let outer = self.indent;
        let stays = context == Context::Value && !self.is_indention;
        self.indent = Some(match outer {
            None => 0,
            Some(indent) if stays => indent,
            Some(indent) => indent + INDENT,
        });
        for item in items {
            self.write_indent();
            self.block_indicator('-');
            self.node(item, Context::Item);
        }
        self.indent = outer;
    }

    fn scalar(&mut self, text: &str, wanted: Style, context: Context) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(INDENT, |indent| indent + INDENT));
        match chosen_style(text, wanted, context) {
            Style::Plain => self.plain(text, context),
            Style::Single => self.single(text, context),
            Style::Double => self.double(text, context),
            Style::Literal => self.literal(text),
        }
        self.indent = outer;
    }

    fn folds_here(&self, context: Context) -> bool {
        context != Context::Key && self.column > WIDTH
    }

    fn plain(&mut self, text: &str, context: Context) {
        self.need_space();
        self.words(text, context, Style::Plain);
        self.is_space = false;
        self.is_indention = false;
    }

    fn single(&mut self, text: &str, context: Context) {
        self.need_space();
        self.indicator("'");
        self.words(text, context, Style::Single);
        self.indicator("'");
    }

    /// The text of a plain or single-quoted scalar, folded.
    fn words(&mut self, text: &str, context: Context, style: Style) {
        let (mut spaces, mut breaks) = (false, false);
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let next = letters.peek().map(|(_, next)| *next);
            if letter == ' ' {
                let inside = style == Style::Plain || (at > 0 && next.is_some());
                if self.folds_here(context) && !spaces && inside && next != Some(' ') {
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

    fn double(&mut self, text: &str, context: Context) {
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
                if self.folds_here(context) && !spaces && at > 0 && next.is_some() {
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
