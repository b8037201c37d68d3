//! The insides of scalars: plain, quoted, and in blocks; and how their lines are folded.

use super::{
    YamlError,
    error::Mark,
    scanner::{Scanner, Token},
};

type Scanned = Result<(Token, Mark), YamlError>;

/// What stands between two words of a scalar: blanks, or line breaks of which the first may become a space.
#[derive(Default)]
struct Gap {
    blanks: Vec<u8>,
    first_break: Vec<u8>,
    more_breaks: Vec<u8>,
    has_break: bool,
}

impl Gap {
    /// Writes the gap as it counts in the scalar, and empties it.
    fn fold(&mut self, out: &mut Vec<u8>) {
        if !self.has_break {
            out.append(&mut self.blanks);
            return;
        }
        if self.first_break.first() != Some(&b'\n') {
            out.append(&mut self.first_break);
            out.append(&mut self.more_breaks);
        } else if self.more_breaks.is_empty() {
            out.push(b' ');
        } else {
            out.append(&mut self.more_breaks);
        }
        *self = Gap::default();
    }
}

/// What becomes of the breaks at the end of a block scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

impl Scanner<'_> {
    /// One step over the white space between words.
    fn step_gap(&mut self, gap: &mut Gap) -> Result<(), YamlError> {
        match (self.reader.is_blank(0), gap.has_break) {
            (true, true) => self.reader.skip(),
            (true, false) => self.reader.read(&mut gap.blanks),
            (false, true) => self.reader.read_line(&mut gap.more_breaks),
            (false, false) => {
                gap.blanks.clear();
                gap.has_break = true;
                self.reader.read_line(&mut gap.first_break)
            }
        }
    }

    pub(super) fn plain_scalar(&mut self) -> Scanned {
        let start = self.reader.mark;
        let mut end = start;
        let indent = usize::try_from(self.indent + 1).unwrap_or(0);
        let (mut text, mut gap) = (Vec::new(), Gap::default());
        while !self.reader.is_document_marker() && self.reader.peek(0) != b'#' {
            while !self.reader.is_blankz(0) {
                let first = self.reader.peek(0);
                let ends_in_flow = self.flow_level > 0 && matches!(first, b',' | b'?' | b'[' | b']' | b'{' | b'}');
                if (first == b':' && self.reader.is_blankz(1)) || ends_in_flow {
                    break;
                }
                gap.fold(&mut text);
                self.reader.read(&mut text)?;
                end = self.reader.mark;
            }
            if !(self.reader.is_blank(0) || self.reader.is_break(0)) {
                break;
            }
            while self.reader.is_blank(0) || self.reader.is_break(0) {
                if gap.has_break && self.reader.mark.column < indent && self.reader.peek(0) == b'\t' {
                    return self.refuse(start, "found a tab character that violates indentation");
                }
                self.step_gap(&mut gap)?;
            }
            if self.flow_level == 0 && self.reader.mark.column < indent {
                break;
            }
        }
        if gap.has_break {
            self.simple_key_allowed = true;
        }
        Ok((Token::Scalar { text: into_text(text), plain: true }, end))
    }

    pub(super) fn flow_scalar(&mut self) -> Scanned {
        let start = self.reader.mark;
        let quote = self.reader.peek(0);
        self.reader.skip()?;
        let (mut text, mut gap) = (Vec::new(), Gap::default());
        loop {
            if self.reader.is_document_marker() {
                return self.refuse(start, "found unexpected document indicator");
            }
            if self.reader.is_end() {
                return self.refuse(start, "found unexpected end of stream");
            }
            self.quoted_word(quote, start, &mut text, &mut gap)?;
            if self.reader.peek(0) == quote {
                break;
            }
            while self.reader.is_blank(0) || self.reader.is_break(0) {
                self.step_gap(&mut gap)?;
            }
            gap.fold(&mut text);
        }
        self.reader.skip()?;
        Ok((Token::Scalar { text: into_text(text), plain: false }, self.reader.mark))
    }

    /// Up to white space or the closing quote.
    fn quoted_word(&mut self, quote: u8, start: Mark, text: &mut Vec<u8>, gap: &mut Gap) -> Result<(), YamlError> {
        while !self.reader.is_blankz(0) {
            match self.reader.peek(0) {
                b'\'' if quote == b'\'' && self.reader.peek(1) == b'\'' => {
                    text.push(b'\'');
                    self.reader.skip_many(2)?;
                }
                first if first == quote => return Ok(()),
                b'\\' if quote == b'"' && self.reader.is_break(1) => {
                    // An escaped line end: neither it nor what indents the next line counts.
                    self.reader.skip()?;
                    self.reader.skip_line()?;
                    gap.has_break = true;
                    while self.reader.is_blank(0) || self.reader.is_break(0) {
                        self.step_gap(gap)?;
                    }
                    text.append(&mut gap.more_breaks);
                    *gap = Gap::default();
                    return Ok(());
                }
                b'\\' if quote == b'"' => self.escape(start, text)?,
                _ => self.reader.read(text)?,
            }
        }
        Ok(())
    }

    fn escape(&mut self, start: Mark, text: &mut Vec<u8>) -> Result<(), YamlError> {
        let (letter, digits) = match self.reader.peek(1) {
            b'0' => ('\0', 0),
            b'a' => ('\x07', 0),
            b'b' => ('\x08', 0),
            b't' | b'\t' => ('\t', 0),
            b'n' => ('\n', 0),
            b'v' => ('\x0b', 0),
            b'f' => ('\x0c', 0),
            b'r' => ('\r', 0),
            b'e' => ('\x1b', 0),
            plain @ (b' ' | b'"' | b'\'' | b'\\') => (char::from(plain), 0),
            b'N' => ('\u{85}', 0),
            b'_' => ('\u{a0}', 0),
            b'L' => ('\u{2028}', 0),
            b'P' => ('\u{2029}', 0),
            b'x' => ('\0', 2),
            b'u' => ('\0', 4),
            b'U' => ('\0', 8),
            _ => return self.refuse(start, "found unknown escape character"),
        };
        self.reader.skip_many(2)?;
        let mut code = 0u32;
        for at in 0..digits {
            match char::from(self.reader.peek(at)).to_digit(16) {
                Some(digit) => code = code.wrapping_shl(4) | digit,
                None => return self.refuse(start, "did not find expected hexdecimal number"),
            }
        }
        let letter = if digits == 0 { Some(letter) } else { char::from_u32(code) };
        let Some(letter) = letter else {
            return self.refuse(start, "found invalid Unicode character escape code");
        };
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.reader.skip_many(digits)
    }

    pub(super) fn block_scalar(&mut self) -> Scanned {
        let start = self.reader.mark;
        let literal = self.reader.peek(0) == b'|';
        self.reader.skip()?;
        let (chomping, increment) = self.block_header(start)?;
        let outer = usize::try_from(self.indent).unwrap_or(0);
        let mut indent = if increment > 0 { outer + increment } else { 0 };
        let mut end = self.reader.mark;
        let (mut text, mut first_break, mut breaks) = (Vec::new(), Vec::new(), Vec::new());
        self.block_breaks(&mut indent, &mut breaks, start, &mut end)?;
        let mut leading_blank = false;
        while self.reader.mark.column == indent && !self.reader.is_end() {
            let blank = self.reader.is_blank(0);
            if !literal && !leading_blank && !blank && first_break.first() == Some(&b'\n') {
                if breaks.is_empty() {
                    text.push(b' ');
                }
                first_break.clear();
            }
            text.append(&mut first_break);
            text.append(&mut breaks);
            leading_blank = blank;
            while !self.reader.is_breakz(0) {
                self.reader.read(&mut text)?;
            }
            self.reader.read_line(&mut first_break)?;
            self.block_breaks(&mut indent, &mut breaks, start, &mut end)?;
        }
        if chomping != Chomping::Strip {
            text.append(&mut first_break);
        }
        if chomping == Chomping::Keep {
            text.append(&mut breaks);
        }
        Ok((Token::Scalar { text: into_text(text), plain: false }, end))
    }

    /// `|+2 # comment`, up to the end of the line.
    fn block_header(&mut self, start: Mark) -> Result<(Chomping, usize), YamlError> {
        let (mut chomping, mut increment) = (Chomping::Clip, 0);
        let signed_first = matches!(self.reader.peek(0), b'+' | b'-');
        for sign_turn in [signed_first, !signed_first] {
            match self.reader.peek(0) {
                b'+' if sign_turn => chomping = Chomping::Keep,
                b'-' if sign_turn => chomping = Chomping::Strip,
                b'0' if !sign_turn => return self.refuse(start, "found an indentation indicator equal to 0"),
                digit @ b'1'..=b'9' if !sign_turn => increment = usize::from(digit - b'0'),
                _ => break,
            }
            self.reader.skip()?;
        }
        while self.reader.is_blank(0) {
            self.reader.skip()?;
        }
        self.skip_comment()?;
        if !self.reader.is_breakz(0) {
            return self.refuse(start, "did not find expected comment or line break");
        }
        self.reader.skip_line()?;
        Ok((chomping, increment))
    }

    /// Empty lines, and the indentation of the line behind them; the first line settles it where nothing said it.
    fn block_breaks(
        &mut self,
        indent: &mut usize,
        breaks: &mut Vec<u8>,
        start: Mark,
        end: &mut Mark,
    ) -> Result<(), YamlError> {
        *end = self.reader.mark;
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.reader.mark.column < *indent) && self.reader.peek(0) == b' ' {
                self.reader.skip()?;
            }
            deepest = deepest.max(self.reader.mark.column);
            if (*indent == 0 || self.reader.mark.column < *indent) && self.reader.peek(0) == b'\t' {
                return self.refuse(start, "found a tab character where an indentation space is expected");
            }
            if !self.reader.is_break(0) {
                break;
            }
            self.reader.read_line(breaks)?;
            *end = self.reader.mark;
        }
        if *indent == 0 {
            *indent = deepest.max(usize::try_from(self.indent + 1).unwrap_or(0)).max(1);
        }
        Ok(())
    }
}

/// What was read is valid UTF-8, since the text is.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|invalid| String::from_utf8_lossy(invalid.as_bytes()).into_owned())
}
