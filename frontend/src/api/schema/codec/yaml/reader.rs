//! The characters of a YAML text, one after the other, and where each stands.
//!
//! In: bytes in UTF-8 or, behind a byte order mark, UTF-16. Out: bytes of UTF-8, a place ahead or more. Not here: what
//! the characters mean.

use std::borrow::Cow;

use super::{YamlError, error::Mark};

/// The original decodes this many bytes at once: a bad one is found as soon as its block is needed.
const BLOCK_BYTES: usize = 512;

pub(super) struct Reader<'a> {
    bytes: Cow<'a, [u8]>,
    at: usize,
    pub(super) mark: Mark,
    /// Why the text cannot be read past the end of `bytes`.
    refusal: Option<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Result<Reader<'a>, YamlError> {
        let (bytes, refusal) = match text {
            [0xff, 0xfe, rest @ ..] => from_utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => from_utf16(rest, u16::from_be_bytes),
            [0xef, 0xbb, 0xbf, rest @ ..] => from_utf8(rest),
            _ => from_utf8(text),
        };
        let reader = Reader { bytes, at: 0, mark: Mark::default(), refusal };
        reader.check()?;
        Ok(reader)
    }

    fn check(&self) -> Result<(), YamlError> {
        match self.refusal {
            Some(why) if self.at >= self.bytes.len() => Err(YamlError::plain(why)),
            _ => Ok(()),
        }
    }

    /// The byte so many places ahead; 0 past the end, which no text contains.
    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn width(&self) -> usize {
        match self.peek(0) {
            0..=0x7f => 1,
            0x80..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        }
    }

    /// How many bytes a line break here has; 0: there is none.
    fn break_width(&self, ahead: usize) -> usize {
        match [self.peek(ahead), self.peek(ahead + 1), self.peek(ahead + 2)] {
            [b'\r', b'\n', _] | [0xc2, 0x85, _] => 2,
            [b'\r' | b'\n', ..] => 1,
            [0xe2, 0x80, 0xa8 | 0xa9] => 3,
            _ => 0,
        }
    }

    pub(super) fn is_break(&self, ahead: usize) -> bool {
        self.break_width(ahead) > 0
    }

    pub(super) fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.peek(ahead), b' ' | b'\t')
    }

    /// A line break or the end.
    pub(super) fn is_breakz(&self, ahead: usize) -> bool {
        self.peek(ahead) == 0 || self.is_break(ahead)
    }

    /// White space, a line break or the end.
    pub(super) fn is_blankz(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_breakz(ahead)
    }

    /// A letter or digit of names: anchors, tags, directives.
    pub(super) fn is_word(&self) -> bool {
        self.peek(0).is_ascii_alphanumeric() || matches!(self.peek(0), b'_' | b'-')
    }

    /// Whether a line begins here with `---` or `...` alone.
    pub(super) fn is_document_marker(&self) -> bool {
        let three = [self.peek(0), self.peek(1), self.peek(2)];
        self.mark.column == 0 && (three == *b"---" || three == *b"...") && self.is_blankz(3)
    }

    /// Steps over one character.
    pub(super) fn skip(&mut self) -> Result<(), YamlError> {
        self.at += self.width();
        self.mark.index += 1;
        self.mark.column += 1;
        self.check()
    }

    pub(super) fn skip_many(&mut self, count: usize) -> Result<(), YamlError> {
        (0..count).try_for_each(|_| self.skip())
    }

    /// Steps over one character and keeps it.
    pub(super) fn read(&mut self, into: &mut Vec<u8>) -> Result<(), YamlError> {
        let end = (self.at + self.width()).min(self.bytes.len());
        into.extend_from_slice(&self.bytes[self.at..end]);
        self.skip()
    }

    /// Steps over a line break, if one is here.
    pub(super) fn skip_line(&mut self) -> Result<(), YamlError> {
        self.read_line(&mut Vec::new())
    }

    /// The same; keeps it as a newline, but the two breaks that are Unicode's own as they are.
    pub(super) fn read_line(&mut self, into: &mut Vec<u8>) -> Result<(), YamlError> {
        let width = self.break_width(0);
        if width == 0 {
            return Ok(());
        }
        match width {
            3 => into.extend_from_slice(&self.bytes[self.at..self.at + 3]),
            _ => into.push(b'\n'),
        }
        self.mark.index += if self.peek(0) == b'\r' { width } else { 1 };
        self.at += width;
        self.mark.column = 0;
        self.mark.line += 1;
        self.check()
    }
}

fn is_allowed(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// The text as far as the blocks before a bad byte go, and what is wrong with that byte.
fn from_utf8(text: &[u8]) -> (Cow<'_, [u8]>, Option<&'static str>) {
    let (valid, error) = match std::str::from_utf8(text) {
        Ok(valid) => (valid, None),
        Err(error) => {
            let (valid, rest) = text.split_at(error.valid_up_to());
            (std::str::from_utf8(valid).unwrap_or_default(), Some(utf8_error(rest)))
        }
    };
    let control = valid.char_indices().find(|(_, letter)| !is_allowed(*letter));
    let (end, refusal) = match (control, error) {
        (Some((at, _)), _) => (at, "control characters are not allowed"),
        (None, Some(error)) => (valid.len(), error),
        (None, None) => return (Cow::Borrowed(text), None),
    };
    let mut end = end / BLOCK_BYTES * BLOCK_BYTES;
    while !valid.is_char_boundary(end) {
        end -= 1;
    }
    (Cow::Borrowed(&text[..end]), Some(refusal))
}

fn utf8_error(rest: &[u8]) -> &'static str {
    let first = rest.first().copied().unwrap_or(0);
    let width = match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return "invalid leading UTF-8 octet",
    };
    let Some(sequence) = rest.get(..width) else { return "incomplete UTF-8 octet sequence" };
    if sequence[1..].iter().any(|octet| octet & 0xc0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    let overlong = first < 0xc2 || matches!(sequence, [0xe0, 0x80..=0x9f, ..] | [0xf0, 0x80..=0x8f, ..]);
    if overlong { "invalid length of a UTF-8 sequence" } else { "invalid Unicode character" }
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (Cow<'static, [u8]>, Option<&'static str>) {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::new();
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(letter) if is_allowed(letter) => text.push(letter),
            Ok(_) => return (Cow::Owned(Vec::new()), Some("control characters are not allowed")),
            Err(lone) if lone.unpaired_surrogate() >= 0xdc00 => {
                return (Cow::Owned(Vec::new()), Some("unexpected low surrogate area"));
            }
            Err(_) => return (Cow::Owned(Vec::new()), Some("expected low surrogate area")),
        }
    }
    let odd = bytes.len() % 2 == 1;
    (Cow::Owned(text.into_bytes()), odd.then_some("incomplete UTF-16 character"))
}
