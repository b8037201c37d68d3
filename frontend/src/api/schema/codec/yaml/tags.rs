//! The insides of tags, anchors and directives.

use super::{
    YamlError,
    error::Mark,
    scanner::{Scanner, Token},
};

impl Scanner<'_> {
    fn skip_blanks(&mut self) -> Result<(), YamlError> {
        while self.reader.is_blank(0) {
            self.reader.skip()?;
        }
        Ok(())
    }

    fn word(&mut self) -> Result<String, YamlError> {
        let mut word = Vec::new();
        while self.reader.is_word() {
            self.reader.read(&mut word)?;
        }
        Ok(text(word))
    }

    /// `%YAML 1.1` or `%TAG ! prefix`, with the rest of the line.
    pub(super) fn directive(&mut self) -> Result<Token, YamlError> {
        let start = self.reader.mark;
        self.reader.skip()?;
        let name = self.word()?;
        if name.is_empty() {
            return self.refuse(start, "could not find expected directive name");
        }
        if !self.reader.is_blankz(0) {
            return self.refuse(start, "found unexpected non-alphabetical character");
        }
        let token = match name.as_str() {
            "YAML" => self.version(start)?,
            "TAG" => self.tag_directive(start)?,
            _ => return self.refuse(start, "found unknown directive name"),
        };
        self.skip_blanks()?;
        self.skip_comment()?;
        if !self.reader.is_breakz(0) {
            return self.refuse(start, "did not find expected comment or line break");
        }
        self.reader.skip_line()?;
        Ok(token)
    }

    fn version(&mut self, start: Mark) -> Result<Token, YamlError> {
        self.skip_blanks()?;
        let major = self.version_number(start)?;
        if self.reader.peek(0) != b'.' {
            return self.refuse(start, "did not find expected digit or '.' character");
        }
        self.reader.skip()?;
        let minor = self.version_number(start)?;
        Ok(Token::Version { major, minor })
    }

    fn version_number(&mut self, start: Mark) -> Result<u32, YamlError> {
        let (mut number, mut digits) = (0, 0);
        while let digit @ b'0'..=b'9' = self.reader.peek(0) {
            digits += 1;
            if digits > 2 {
                return self.refuse(start, "found extremely long version number");
            }
            number = number * 10 + u32::from(digit - b'0');
            self.reader.skip()?;
        }
        match digits {
            0 => self.refuse(start, "did not find expected version number"),
            _ => Ok(number),
        }
    }

    fn tag_directive(&mut self, start: Mark) -> Result<Token, YamlError> {
        self.skip_blanks()?;
        let handle = self.tag_handle(start)?;
        if handle != "!" && !(handle.len() > 1 && handle.ends_with('!')) {
            return self.refuse(start, "did not find expected '!'");
        }
        if !self.reader.is_blank(0) {
            return self.refuse(start, "did not find expected whitespace");
        }
        self.skip_blanks()?;
        let prefix = self.tag_uri(start, "")?;
        if !self.reader.is_blankz(0) {
            return self.refuse(start, "did not find expected whitespace or line break");
        }
        Ok(Token::TagDirective { handle, prefix })
    }

    /// `&name` or `*name`.
    pub(super) fn anchor(&mut self) -> Result<(Token, Mark), YamlError> {
        let start = self.reader.mark;
        let is_alias = self.reader.peek(0) == b'*';
        self.reader.skip()?;
        let name = self.word()?;
        let ended = self.reader.is_blankz(0)
            || matches!(self.reader.peek(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ended {
            return self.refuse(start, "did not find expected alphabetic or numeric character");
        }
        Ok((if is_alias { Token::Alias(name) } else { Token::Anchor(name) }, self.reader.mark))
    }

    /// `!name`, `!handle!name` or `!<uri>`.
    pub(super) fn tag(&mut self) -> Result<(Token, Mark), YamlError> {
        let start = self.reader.mark;
        let (mut handle, mut suffix);
        if self.reader.peek(1) == b'<' {
            self.reader.skip_many(2)?;
            (handle, suffix) = (String::new(), self.tag_uri(start, "")?);
            if self.reader.peek(0) != b'>' {
                return self.refuse(start, "did not find the expected '>'");
            }
            self.reader.skip()?;
        } else {
            handle = self.tag_handle(start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                suffix = self.tag_uri(start, "")?;
            } else {
                suffix = self.tag_uri(start, &handle)?;
                handle = "!".to_owned();
                if suffix.is_empty() {
                    std::mem::swap(&mut handle, &mut suffix);
                }
            }
        }
        if !self.reader.is_blankz(0) {
            return self.refuse(start, "did not find expected whitespace or line break");
        }
        Ok((Token::Tag { handle, suffix }, self.reader.mark))
    }

    /// `!`, `!word` or `!word!`.
    fn tag_handle(&mut self, start: Mark) -> Result<String, YamlError> {
        if self.reader.peek(0) != b'!' {
            return self.refuse(start, "did not find expected '!'");
        }
        self.reader.skip()?;
        let mut handle = format!("!{}", self.word()?);
        if self.reader.peek(0) == b'!' {
            self.reader.skip()?;
            handle.push('!');
        }
        Ok(handle)
    }

    /// A URI that begins with what was taken for a handle, but for its exclamation mark.
    fn tag_uri(&mut self, start: Mark, head: &str) -> Result<String, YamlError> {
        let mut uri = head.as_bytes().get(1..).unwrap_or_default().to_vec();
        let mut is_there = !head.is_empty();
        while self.reader.is_word() || b";/?:@&=+$,.!~*'()[]%".contains(&self.reader.peek(0)) {
            match self.reader.peek(0) {
                b'%' => self.uri_escape(start, &mut uri)?,
                _ => self.reader.read(&mut uri)?,
            }
            is_there = true;
        }
        if !is_there {
            return self.refuse(start, "did not find expected tag URI");
        }
        Ok(text(uri))
    }

    fn uri_escape(&mut self, start: Mark, uri: &mut Vec<u8>) -> Result<(), YamlError> {
        let digit = |ahead| char::from(self.reader.peek(ahead)).to_digit(16);
        let octet = match (self.reader.peek(0), digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(b'?'),
            _ => return self.refuse(start, "did not find URI escaped octet"),
        };
        uri.push(octet);
        self.reader.skip_many(3)
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|invalid| String::from_utf8_lossy(invalid.as_bytes()).into_owned())
}
