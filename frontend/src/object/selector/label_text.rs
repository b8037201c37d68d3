//! The grammar of label selectors, with the errors of the API machinery.

use std::collections::BTreeSet;

use super::requirement::{Operator, Requirement, SelectorError};
use crate::{object::validation::names, request::status::FieldError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Error,
    End,
    Closed,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Identifier,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
}

/// `in` and `notin` are words like others where a value is expected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Operator,
    Value,
}

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

fn keyword(text: &[u8]) -> Option<Token> {
    Some(match text {
        b")" => Token::Closed,
        b"," => Token::Comma,
        b"!" => Token::Not,
        b"==" => Token::DoubleEquals,
        b"=" => Token::Equals,
        b">" => Token::Greater,
        b"in" => Token::In,
        b"<" => Token::Less,
        b"!=" => Token::NotEquals,
        b"notin" => Token::NotIn,
        b"(" => Token::Open,
        _ => return None,
    })
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Cuts the text into tokens. The last one is always [`Token::End`].
fn scan(text: &str) -> Vec<(Token, String)> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        while at < bytes.len() && is_space(bytes[at]) {
            at += 1;
        }
        if at >= bytes.len() || bytes[at] == 0 {
            tokens.push((Token::End, String::new()));
            return tokens;
        }
        let (token, end) = if is_special(bytes[at]) { scan_symbol(bytes, at) } else { scan_word(bytes, at) };
        let literal = match token {
            Token::Error => {
                format!("error expected: keyword found '{}'", String::from_utf8_lossy(&bytes[at..end]))
            }
            _ => String::from_utf8_lossy(&bytes[at..end]).into_owned(),
        };
        tokens.push((token, literal));
        at = end;
    }
}

/// The longest run of symbols that is a keyword at each step.
fn scan_symbol(bytes: &[u8], from: usize) -> (Token, usize) {
    let mut last = None;
    let mut end = from;
    while end < bytes.len() && is_special(bytes[end]) {
        match keyword(&bytes[from..=end]) {
            Some(token) => last = Some((token, end + 1)),
            None if last.is_some() => break,
            None => {}
        }
        end += 1;
    }
    last.unwrap_or((Token::Error, end))
}

fn scan_word(bytes: &[u8], from: usize) -> (Token, usize) {
    let end =
        bytes[from..].iter().position(|b| is_special(*b) || is_space(*b) || *b == 0).map_or(bytes.len(), |n| from + n);
    (keyword(&bytes[from..end]).unwrap_or(Token::Identifier), end)
}

struct Parser {
    tokens: Vec<(Token, String)>,
    at: usize,
}

/// Reads requirements in the order in which they are written.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut parser = Parser { tokens: scan(text), at: 0 };
    let mut requirements = Vec::new();
    loop {
        let (token, literal) = parser.peek(Expect::Value);
        match token {
            Token::Identifier | Token::Not => {
                let requirement =
                    parser.requirement().map_err(|e| SelectorError(format!("unable to parse requirement: {}", e.0)))?;
                requirements.push(requirement);
                let (token, literal) = parser.next(Expect::Value);
                match token {
                    Token::End => return Ok(requirements),
                    Token::Comma => {
                        let (after, literal) = parser.peek(Expect::Value);
                        if !matches!(after, Token::Identifier | Token::Not) {
                            return refuse(format!("found '{literal}', expected: identifier after ','"));
                        }
                    }
                    _ => return refuse(format!("found '{literal}', expected: ',' or 'end of string'")),
                }
            }
            Token::End => return Ok(requirements),
            _ => return refuse(format!("found '{literal}', expected: !, identifier, or 'end of string'")),
        }
    }
}

fn refuse<T>(text: String) -> Result<T, SelectorError> {
    Err(SelectorError(text))
}

impl Parser {
    fn peek(&self, expect: Expect) -> (Token, &str) {
        // The end is never stepped over by a well-formed walk; past it there is only the end again.
        let (token, literal) = &self.tokens[self.at.min(self.tokens.len() - 1)];
        let word = expect == Expect::Value && matches!(token, Token::In | Token::NotIn);
        (if word { Token::Identifier } else { *token }, literal)
    }

    fn next(&mut self, expect: Expect) -> (Token, String) {
        let (token, literal) = self.peek(expect);
        let item = (token, literal.to_owned());
        self.at += 1;
        item
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let (mut token, mut key) = self.next(Expect::Value);
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.next(Expect::Value);
        }
        if token != Token::Identifier {
            return refuse(format!("found '{key}', expected: identifier"));
        }
        let messages = names::label_key(&key);
        if !messages.is_empty() {
            // The path of this error is empty there, and prints as Go prints a nil path.
            return refuse(FieldError::invalid("<nil>", &key, messages.join("; ")).to_string());
        }
        if negated {
            return Requirement::checked(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(Expect::Value).0, Token::End | Token::Comma) {
            return Requirement::checked(key, Operator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => BTreeSet::from([self.exact_value()?]),
        };
        Requirement::checked(key, operator, values.into_iter().collect())
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        let (token, literal) = self.next(Expect::Operator);
        Ok(match token {
            Token::In => Operator::In,
            Token::Equals => Operator::Equals,
            Token::DoubleEquals => Operator::DoubleEquals,
            Token::Greater => Operator::GreaterThan,
            Token::Less => Operator::LessThan,
            Token::NotIn => Operator::NotIn,
            Token::NotEquals => Operator::NotEquals,
            _ => return refuse(format!("found '{literal}', expected: {OPERATORS}")),
        })
    }

    fn values(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        let (token, literal) = self.next(Expect::Value);
        if token != Token::Open {
            return refuse(format!("found '{literal}' expected: '('"));
        }
        let (token, first) = self.peek(Expect::Value);
        let first = first.to_owned();
        match token {
            Token::Identifier | Token::Comma => {
                let values = self.identifiers()?;
                if self.next(Expect::Value).0 != Token::Closed {
                    return refuse(format!("found '{first}', expected: ')'"));
                }
                Ok(values)
            }
            Token::Closed => {
                self.at += 1;
                Ok(BTreeSet::from([String::new()]))
            }
            _ => refuse(format!("found '{first}', expected: ',', ')' or identifier")),
        }
    }

    fn identifiers(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        let mut values = BTreeSet::new();
        loop {
            let (token, literal) = self.next(Expect::Value);
            match token {
                Token::Identifier => {
                    values.insert(literal);
                    match self.peek(Expect::Value) {
                        (Token::Comma, _) => {}
                        (Token::Closed, _) => return Ok(values),
                        (_, found) => return refuse(format!("found '{found}', expected: ',' or ')'")),
                    }
                }
                Token::Comma => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.peek(Expect::Value).0 {
                        Token::Closed => {
                            values.insert(String::new());
                            return Ok(values);
                        }
                        Token::Comma => {
                            values.insert(String::new());
                        }
                        _ => {}
                    }
                }
                _ => return refuse(format!("found '{literal}', expected: ',', or identifier")),
            }
        }
    }

    fn exact_value(&mut self) -> Result<String, SelectorError> {
        if matches!(self.peek(Expect::Value).0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next(Expect::Value) {
            (Token::Identifier, value) => Ok(value),
            (_, literal) => refuse(format!("found '{literal}', expected: identifier")),
        }
    }
}
