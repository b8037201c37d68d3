//! JSON's own lexical level: strings, numbers and skipping, with Go's error texts; and printing them as Go prints them.

use super::DecodeError;

/// Values nested deeper are refused (Go's limit is 10,000; this one keeps a task's stack safe).
pub(super) const DEPTH_MAX: usize = 500;

/// A place in a JSON text.
pub(super) struct Cursor<'a> {
    pub(super) input: &'a [u8],
    pub(super) at: usize,
}

/// What a value starts with, as Go names it in type errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Object,
    Array,
    Str,
    Number,
    Bool,
    Null,
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a [u8]) -> Cursor<'a> {
        Cursor { input, at: 0 }
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.input.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space, not consumed.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.input.get(self.at).copied()
    }

    pub(super) fn unexpected<T>(&self, context: &str) -> Result<T> {
        Err(DecodeError::Syntax(match self.input.get(self.at) {
            None => "unexpected end of JSON input".to_owned(),
            Some(_) => format!("invalid character {} {context}", self.quoted_char()),
        }))
    }

    fn quoted_char(&self) -> String {
        match self.input[self.at] {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            byte => match char::from(byte) {
                '\u{7}' => "'\\a'".to_owned(),
                '\u{8}' => "'\\b'".to_owned(),
                '\u{b}' => "'\\v'".to_owned(),
                '\u{c}' => "'\\f'".to_owned(),
                letter @ ('\n' | '\r' | '\t' | '\\' | ' '..='~') => format!("'{}'", letter.escape_default()),
                _ if byte < 0x80 => format!("'\\x{byte:02x}'"),
                letter => format!("'{letter}'"),
            },
        }
    }

    pub(super) fn token(&mut self) -> Result<Token> {
        Ok(match self.peek() {
            Some(b'{') => Token::Object,
            Some(b'[') => Token::Array,
            Some(b'"') => Token::Str,
            Some(b'-' | b'0'..=b'9') => Token::Number,
            Some(b't' | b'f') => Token::Bool,
            Some(b'n') => Token::Null,
            _ => return self.unexpected("looking for beginning of value"),
        })
    }

    /// Steps into an object or array. False when it is empty (and consumed).
    pub(super) fn open(&mut self, close: u8) -> bool {
        self.at += 1;
        if self.peek() == Some(close) {
            self.at += 1;
            return false;
        }
        true
    }

    /// After a member or item: true when another follows.
    pub(super) fn more(&mut self, close: u8) -> Result<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ if close == b'}' => self.unexpected("after object key:value pair"),
            _ => self.unexpected("after array element"),
        }
    }

    /// A member's key and its colon. `first` only words the error.
    pub(super) fn key(&mut self) -> Result<std::borrow::Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return self.unexpected("looking for beginning of object key string");
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return self.unexpected("after object key");
        }
        self.at += 1;
        Ok(key)
    }

    /// A string, unescaped. Invalid UTF-8 and lone surrogates become U+FFFD, as in Go.
    pub(super) fn string(&mut self) -> Result<std::borrow::Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.input.get(self.at) {
                Some(b'"') => {
                    let text = String::from_utf8_lossy(&self.input[start..self.at]);
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => return self.string_escaped(start).map(std::borrow::Cow::Owned),
                Some(0..=0x1f) | None => return self.unexpected("in string literal"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn string_escaped(&mut self, start: usize) -> Result<String> {
        let mut bytes = self.input[start..self.at].to_vec();
        loop {
            match self.input.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(String::from_utf8(bytes)
                        .unwrap_or_else(|invalid| String::from_utf8_lossy(invalid.as_bytes()).into_owned()));
                }
                Some(b'\\') => {
                    self.at += 1;
                    let letter = self.escape()?;
                    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(0..=0x1f) | None => return self.unexpected("in string literal"),
                Some(byte) => {
                    bytes.push(*byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let letter = match self.input.get(self.at) {
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(*letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return self.unexpected("in string escape code"),
        };
        self.at += 1;
        Ok(letter)
    }

    fn unicode_escape(&mut self) -> Result<char> {
        let high = self.hex4()?;
        if !(0xd800..0xe000).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if high < 0xdc00 && self.input[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.input.get(self.at).and_then(|byte| char::from(*byte).to_digit(16));
            let Some(digit) = digit else { return self.unexpected("in \\u hexadecimal character escape") };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// The text of a number.
    pub(super) fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        if self.input[self.at] == b'-' {
            self.at += 1;
        }
        match self.input.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.unexpected("in numeric literal"),
        }
        if self.input.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !matches!(self.input.get(self.at), Some(b'0'..=b'9')) {
                return self.unexpected("after decimal point in numeric literal");
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.input.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.input.get(self.at) {
                self.at += 1;
            }
            if !matches!(self.input.get(self.at), Some(b'0'..=b'9')) {
                return self.unexpected("in exponent of numeric literal");
            }
            self.digits();
        }
        // Only ASCII was consumed.
        Ok(std::str::from_utf8(&self.input[start..self.at]).unwrap_or(""))
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.input.get(self.at) {
            self.at += 1;
        }
    }

    /// true, false or null, consumed.
    pub(super) fn word(&mut self) -> Result<&'static str> {
        for word in ["true", "false", "null"] {
            if self.input[self.at] == word.as_bytes()[0] {
                for letter in word.bytes() {
                    if self.input.get(self.at) != Some(&letter) {
                        return self.unexpected(&format!("in literal {word} (expecting {:?})", char::from(letter)));
                    }
                    self.at += 1;
                }
                return Ok(word);
            }
        }
        self.unexpected("looking for beginning of value")
    }

    /// Steps over a value of any kind; gives its text.
    pub(super) fn skip(&mut self, depth: usize) -> Result<&'a [u8]> {
        let token = self.token()?;
        let start = self.at;
        if depth > DEPTH_MAX {
            return self.unexpected("exceeded max depth");
        }
        match token {
            Token::Object if self.open(b'}') => loop {
                self.key()?;
                self.skip(depth + 1)?;
                if !self.more(b'}')? {
                    break;
                }
            },
            Token::Array if self.open(b']') => loop {
                self.skip(depth + 1)?;
                if !self.more(b']')? {
                    break;
                }
            },
            Token::Object | Token::Array => {}
            Token::Str => drop(self.string()?),
            Token::Number => drop(self.number()?),
            Token::Bool | Token::Null => drop(self.word()?),
        }
        Ok(&self.input[start..self.at])
    }

    /// Nothing but white space may be left.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.unexpected("after top-level value"),
        }
    }
}

/// Why a text is not one JSON object or null, as Go says it when it reads a map.
pub fn object_fault(json: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(json);
    let read = cursor.skip(0).and_then(|_| cursor.end()).and_then(|()| Cursor::new(json).token());
    let found = match read {
        Err(DecodeError::Syntax(why)) => return Some(why),
        Err(other) => return Some(other.to_string()),
        Ok(Token::Object | Token::Null) => return None,
        Ok(Token::Array) => "array",
        Ok(Token::Str) => "string",
        Ok(Token::Number) => "number",
        Ok(Token::Bool) => "bool",
    };
    Some(format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"))
}

/// Where the string that begins at `at` ends (behind its quote).
pub(super) fn string_end(json: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < json.len() && json[end] != b'"' {
        end += if json[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(json.len())
}

pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text.as_bytes(), true);
    out.push(b'"');
}

/// Prints JSON without white space and with Go's HTML escapes.
pub(super) fn write_compact(out: &mut Vec<u8>, json: &[u8]) {
    // What is stored mostly is compact already. Without an early end the compiler looks at many bytes at once.
    let is_other = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t') | is_escaped_in_html(*byte);
    if !json.iter().fold(false, |found, byte| found | is_other(byte)) {
        return out.extend_from_slice(json);
    }
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => {
                let end = string_end(json, at);
                write_escaped(out, &json[at..end], false);
                at = end;
                continue;
            }
            b' ' | b'\n' | b'\r' | b'\t' => {}
            byte => out.push(byte),
        }
        at += 1;
    }
}

/// What Go escapes for the sake of HTML, or may: 0xe2 begins the two separators of lines.
fn is_escaped_in_html(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'&' | 0xe2)
}

/// `plain`: the text is no JSON yet, so that quotes, backslashes and controls are escaped too.
fn write_escaped(out: &mut Vec<u8>, text: &[u8], plain: bool) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let is_escaped = |byte: &u8| is_escaped_in_html(*byte) | (plain & matches!(byte, b'"' | b'\\' | 0..=0x1f));
    if !text.iter().fold(false, |found, byte| found | is_escaped(byte)) {
        return out.extend_from_slice(text);
    }
    let mut done = 0;
    for (at, byte) in text.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'<' => b"\\u003c",
            b'>' => b"\\u003e",
            b'&' => b"\\u0026",
            0xe2 if text[at..].starts_with(&[0xe2, 0x80, 0xa8]) => b"\\u2028",
            0xe2 if text[at..].starts_with(&[0xe2, 0x80, 0xa9]) => b"\\u2029",
            b'"' if plain => b"\\\"",
            b'\\' if plain => b"\\\\",
            b'\n' if plain => b"\\n",
            b'\r' if plain => b"\\r",
            b'\t' if plain => b"\\t",
            0x08 if plain => b"\\b",
            0x0c if plain => b"\\f",
            0..=0x1f if plain => {
                out.extend_from_slice(&text[done..at]);
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                done = at + 1;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&text[done..at]);
        out.extend_from_slice(escape);
        done = at + if *byte == 0xe2 { 3 } else { 1 };
    }
    out.extend_from_slice(&text[done..]);
}

/// As Go prints a float64: shortest digits, an exponent below 1e-6 and from 1e21.
pub fn write_float(out: &mut Vec<u8>, number: f64) {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        let text = match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        };
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend_from_slice(format!("{number}").as_bytes());
    }
}
