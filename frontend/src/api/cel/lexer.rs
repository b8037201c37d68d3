//! Splits the text of an expression into tokens; always the longest that fits. What fits nowhere is reported as ANTLR
//! reports it, and skipped.

use super::source::{Issues, Lines};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Token {
    Equals,
    NotEquals,
    In,
    Less,
    LessEquals,
    GreaterEquals,
    Greater,
    And,
    Or,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    OpenParen,
    CloseParen,
    Dot,
    Comma,
    Minus,
    Not,
    Question,
    Colon,
    Plus,
    Star,
    Slash,
    Percent,
    True,
    False,
    Null,
    Float,
    Int,
    Uint,
    String,
    Bytes,
    Ident,
    Escaped,
    End,
}

impl Token {
    /// As error texts name it.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Token::Equals => "'=='",
            Token::NotEquals => "'!='",
            Token::In => "'in'",
            Token::Less => "'<'",
            Token::LessEquals => "'<='",
            Token::GreaterEquals => "'>='",
            Token::Greater => "'>'",
            Token::And => "'&&'",
            Token::Or => "'||'",
            Token::OpenBracket => "'['",
            Token::CloseBracket => "']'",
            Token::OpenBrace => "'{'",
            Token::CloseBrace => "'}'",
            Token::OpenParen => "'('",
            Token::CloseParen => "')'",
            Token::Dot => "'.'",
            Token::Comma => "','",
            Token::Minus => "'-'",
            Token::Not => "'!'",
            Token::Question => "'?'",
            Token::Colon => "':'",
            Token::Plus => "'+'",
            Token::Star => "'*'",
            Token::Slash => "'/'",
            Token::Percent => "'%'",
            Token::True => "'true'",
            Token::False => "'false'",
            Token::Null => "'null'",
            Token::Float => "NUM_FLOAT",
            Token::Int => "NUM_INT",
            Token::Uint => "NUM_UINT",
            Token::String => "STRING",
            Token::Bytes => "BYTES",
            Token::Ident => "IDENTIFIER",
            Token::Escaped => "ESC_IDENTIFIER",
            Token::End => "<EOF>",
        }
    }
}

/// A token and where it is, in code points.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) text: String,
}

/// All tokens; the last one is the end.
pub(super) fn lex(source: &str, issues: &mut Issues) -> Vec<Lexeme> {
    let letters: Vec<char> = source.chars().collect();
    let lines = Lines::of(source);
    let mut lexemes = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        if let Some(end) = hidden(&letters, at) {
            at = end;
            continue;
        }
        match scan(&letters, at) {
            Ok((token, end)) => {
                let text: String = letters[at..end].iter().collect();
                lexemes.push(Lexeme { token, start: at, text });
                at = end;
            }
            Err(stop) => {
                let text: String = letters[at..letters.len().min(stop + 1)].iter().collect();
                issues.push(lines.location(at), format!("Syntax error: token recognition error at: '{text}'"));
                at = stop + 1;
            }
        }
    }
    lexemes.push(Lexeme { token: Token::End, start: letters.len(), text: "<EOF>".to_owned() });
    lexemes
}

/// The end of white space or a comment.
fn hidden(letters: &[char], at: usize) -> Option<usize> {
    let rest = &letters[at..];
    if rest.starts_with(&['/', '/']) {
        return Some(at + rest.iter().take_while(|letter| **letter != '\n').count());
    }
    let spaces = rest.iter().take_while(|letter| matches!(letter, '\t' | ' ' | '\r' | '\n' | '\u{c}')).count();
    (spaces > 0).then_some(at + spaces)
}

/// A token and its end, or the place of the letter that fits nowhere.
fn scan(letters: &[char], at: usize) -> Result<(Token, usize), usize> {
    let letter = letters[at];
    if let Some(found) = symbol(letters, at) {
        // ".5" is a number.
        if found.0 == Token::Dot && letters.get(at + 1).is_some_and(char::is_ascii_digit) {
            return Ok(number(letters, at));
        }
        return Ok(found);
    }
    match letter {
        '0'..='9' => Ok(number(letters, at)),
        '"' | '\'' => text(letters, at, Escapes::Meant).map(|end| (Token::String, end)),
        '&' | '|' | '=' => Err(at + 1),
        '`' => escaped(letters, at),
        'a'..='z' | 'A'..='Z' | '_' => Ok(word(letters, at)),
        _ => Err(at),
    }
}

fn symbol(letters: &[char], at: usize) -> Option<(Token, usize)> {
    let next = letters.get(at + 1);
    let two = match (letters[at], next) {
        ('=', Some('=')) => Some(Token::Equals),
        ('!', Some('=')) => Some(Token::NotEquals),
        ('<', Some('=')) => Some(Token::LessEquals),
        ('>', Some('=')) => Some(Token::GreaterEquals),
        ('&', Some('&')) => Some(Token::And),
        ('|', Some('|')) => Some(Token::Or),
        _ => None,
    };
    if let Some(token) = two {
        return Some((token, at + 2));
    }
    let one = match letters[at] {
        '<' => Token::Less,
        '>' => Token::Greater,
        '[' => Token::OpenBracket,
        ']' => Token::CloseBracket,
        '{' => Token::OpenBrace,
        '}' => Token::CloseBrace,
        '(' => Token::OpenParen,
        ')' => Token::CloseParen,
        '.' => Token::Dot,
        ',' => Token::Comma,
        '-' => Token::Minus,
        '!' => Token::Not,
        '?' => Token::Question,
        ':' => Token::Colon,
        '+' => Token::Plus,
        '*' => Token::Star,
        '/' => Token::Slash,
        '%' => Token::Percent,
        _ => return None,
    };
    Some((one, at + 1))
}

fn count(letters: &[char], from: usize, fits: impl Fn(&char) -> bool) -> usize {
    letters.get(from..).map_or(0, |rest| rest.iter().take_while(|letter| fits(letter)).count())
}

fn number(letters: &[char], at: usize) -> (Token, usize) {
    if letters[at] == '0' && letters.get(at + 1) == Some(&'x') {
        let digits = count(letters, at + 2, char::is_ascii_hexdigit);
        if digits > 0 {
            return maybe_unsigned(letters, at + 2 + digits);
        }
    }
    let whole = at + count(letters, at, char::is_ascii_digit);
    let mut end = whole;
    if letters.get(whole) == Some(&'.') {
        let digits = count(letters, whole + 1, char::is_ascii_digit);
        if digits > 0 {
            end = whole + 1 + digits;
        }
    }
    if matches!(letters.get(end), Some('e' | 'E')) {
        let sign = usize::from(matches!(letters.get(end + 1), Some('+' | '-')));
        let digits = count(letters, end + 1 + sign, char::is_ascii_digit);
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    if end > whole { (Token::Float, end) } else { maybe_unsigned(letters, whole) }
}

fn maybe_unsigned(letters: &[char], end: usize) -> (Token, usize) {
    match letters.get(end) {
        Some('u' | 'U') => (Token::Uint, end + 1),
        _ => (Token::Int, end),
    }
}

fn escaped(letters: &[char], at: usize) -> Result<(Token, usize), usize> {
    let inner = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-' | '/' | ' ');
    let end = at + 1 + count(letters, at + 1, inner);
    if end > at + 1 && letters.get(end) == Some(&'`') { Ok((Token::Escaped, end + 1)) } else { Err(end) }
}

fn word(letters: &[char], at: usize) -> (Token, usize) {
    if let Some(found) = prefixed_text(letters, at) {
        return found;
    }
    let end = at + count(letters, at, |letter| letter.is_ascii_alphanumeric() || *letter == '_');
    let text: String = letters[at..end].iter().collect();
    let token = match text.as_str() {
        "in" => Token::In,
        "true" => Token::True,
        "false" => Token::False,
        "null" => Token::Null,
        _ => Token::Ident,
    };
    (token, end)
}

/// `r'…'`, `b'…'`, `br'…'`
fn prefixed_text(letters: &[char], at: usize) -> Option<(Token, usize)> {
    let bytes = usize::from(matches!(letters[at], 'b' | 'B'));
    let raw = usize::from(matches!(letters.get(at + bytes), Some('r' | 'R')));
    let quote = at + bytes + raw;
    if !matches!(letters.get(quote), Some('"' | '\'')) {
        return None;
    }
    let escapes = if raw == 1 { Escapes::Raw } else { Escapes::Meant };
    let end = text(letters, quote, escapes).ok()?;
    Some((if bytes == 1 { Token::Bytes } else { Token::String }, end))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Meant,
    Raw,
}

/// The end of a quoted text, or the place of the letter where it cannot go on.
fn text(letters: &[char], at: usize, escapes: Escapes) -> Result<usize, usize> {
    let quote = letters[at];
    let short = short_text(letters, at, escapes);
    if letters[at..].starts_with(&[quote; 3])
        && let Some(end) = long_text(letters, at, escapes)
    {
        return Ok(end);
    }
    short
}

fn short_text(letters: &[char], start: usize, escapes: Escapes) -> Result<usize, usize> {
    let mut at = start + 1;
    loop {
        match letters.get(at) {
            Some(letter) if *letter == letters[start] => return Ok(at + 1),
            None | Some('\n' | '\r') => return Err(at),
            Some('\\') if escapes == Escapes::Meant => at = escape(letters, at)?,
            Some(_) => at += 1,
        }
    }
}

fn long_text(letters: &[char], start: usize, escapes: Escapes) -> Option<usize> {
    let mut at = start + 3;
    loop {
        if letters.get(at..)?.starts_with(&[letters[start]; 3]) {
            return Some(at + 3);
        }
        match letters.get(at)? {
            '\\' if escapes == Escapes::Meant => at = escape(letters, at).ok()?,
            _ => at += 1,
        }
    }
}

fn escape(letters: &[char], at: usize) -> Result<usize, usize> {
    let digits = |count: usize, fits: fn(&char) -> bool| {
        (at + 2..at + 2 + count).find(|place| !letters.get(*place).is_some_and(fits)).map_or(Ok(at + 2 + count), Err)
    };
    match letters.get(at + 1) {
        Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`') => Ok(at + 2),
        Some('0'..='3') => digits(2, |letter| matches!(letter, '0'..='7')),
        Some('x' | 'X') => digits(2, char::is_ascii_hexdigit),
        Some('u') => digits(4, char::is_ascii_hexdigit),
        Some('U') => digits(8, char::is_ascii_hexdigit),
        _ => Err(at + 1),
    }
}

/// The value of a string token, or of a bytes token without its prefix; in bytes an escape is a byte, not a code point.
pub(super) fn unquote(token: &str, bytes: bool) -> Result<Vec<u8>, &'static str> {
    let token = token.replace("\r\n", "\n").replace('\r', "\n");
    let raw = token.starts_with(['r', 'R']);
    let quoted = if raw { &token[1..] } else { &token[..] };
    let long = quoted.len() >= 6 && (quoted.starts_with("'''") || quoted.starts_with("\"\"\""));
    let inner = if long { &quoted[3..quoted.len() - 3] } else { &quoted[1..quoted.len() - 1] };
    if raw || !inner.contains('\\') {
        return Ok(inner.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(letter) = rest.chars().next() {
        if letter != '\\' {
            out.extend_from_slice(&rest.as_bytes()[..letter.len_utf8()]);
            rest = &rest[letter.len_utf8()..];
            continue;
        }
        rest = unescape(rest, bytes, &mut out)?;
    }
    Ok(out)
}

const CANNOT: &str = "unable to unescape string";

fn unescape<'t>(text: &'t str, bytes: bool, out: &mut Vec<u8>) -> Result<&'t str, &'static str> {
    let kind = text.as_bytes().get(1).copied().ok_or("unable to unescape string, found '\\' as last character")?;
    let simple = match kind {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' | b'\'' | b'"' | b'`' | b'?' => kind,
        _ => 0,
    };
    if simple != 0 {
        out.push(simple);
        return Ok(&text[2..]);
    }
    let (from, digits, radix) = match kind {
        b'x' | b'X' => (2, 2, 16),
        b'u' if !bytes => (2, 4, 16),
        b'U' if !bytes => (2, 8, 16),
        b'0'..=b'3' => (1, 3, 8),
        _ => return Err(CANNOT),
    };
    let number = text.get(from..from + digits).ok_or(CANNOT)?;
    let value = u32::from_str_radix(number, radix).map_err(|_| CANNOT)?;
    if bytes {
        out.push(value as u8);
    } else {
        let letter = char::from_u32(value).ok_or("invalid unicode code point")?;
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(&text[from + digits..])
}
