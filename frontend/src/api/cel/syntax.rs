//! What happens where the tokens fit no rule: the words that ANTLR has for it, and the way it finds back to the rules,
//! so that one mistake is said once and the next one still is.
//!
//! After an error nothing is said until a token fits again. A token too many is skipped if the one after it fits; one
//! too few is supplied if the next one fits after it; else the rule ends, and tokens are skipped up to one that may
//! follow it.

use super::{
    ast::{Expr, Kind},
    lexer::{Lexeme, Token},
    source::Location,
    tokens::{Stop, Tokens},
};

/// What an operand may begin with.
const OPERAND: &[Token] = &[
    Token::OpenBracket,
    Token::OpenBrace,
    Token::OpenParen,
    Token::Dot,
    Token::Minus,
    Token::Not,
    Token::True,
    Token::False,
    Token::Null,
    Token::Float,
    Token::Int,
    Token::Uint,
    Token::String,
    Token::Bytes,
    Token::Ident,
];

/// What may follow an operand in any place.
const OPERATORS: &[Token] = &[
    Token::Equals,
    Token::NotEquals,
    Token::In,
    Token::Less,
    Token::LessEquals,
    Token::GreaterEquals,
    Token::Greater,
    Token::And,
    Token::Or,
    Token::Minus,
    Token::Question,
    Token::Plus,
    Token::Star,
    Token::Slash,
    Token::Percent,
];

/// The rule that ended with an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Expression,
    Unary,
    Member,
    Primary,
    Entries,
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
}

fn named(expected: &[Token]) -> String {
    match expected {
        [one] => one.shown().to_owned(),
        many => {
            let mut sorted = many.to_vec();
            sorted.sort();
            let names: Vec<_> = sorted.into_iter().map(Token::shown).collect();
            format!("{{{}}}", names.join(", "))
        }
    }
}

impl<'l> Tokens<'l> {
    pub(super) fn starts_operand(&self, ahead: usize) -> bool {
        OPERAND.contains(&self.peek_at(ahead))
    }

    /// Says something of the token at hand, unless the last error is not yet got over.
    fn report(&mut self, ahead: usize, message: &str) {
        if !self.recovering {
            let start = self.lexeme_at(ahead).start;
            let at =
                if self.source.is_empty() { Location { line: 1, column: -1 } } else { self.source_info.locate(start) };
            self.issues.push(at, format!("Syntax error: {message}"));
        }
        self.recovering = true;
    }

    fn report_input(&mut self, kind: &str, expected: &[Token]) {
        let message = format!("{kind} input {} expecting {}", quoted(&self.lexeme_at(0).text), named(expected));
        self.report(0, &message);
    }

    /// No rule fits the tokens from here up to the one `ahead`.
    pub(super) fn no_alternative(&mut self, ahead: usize) -> Stop {
        let (first, last) = (self.lexeme_at(0), self.lexeme_at(ahead));
        let end = first.start + first.text.chars().count();
        let between = self.source.chars().skip(end).take(last.start.saturating_sub(end));
        let mut text = first.text.clone();
        text.extend(between.filter(|letter| letter.is_whitespace()));
        if last.token != Token::End {
            text.push_str(&last.text);
        }
        self.report(ahead, &format!("no viable alternative at input {}", quoted(&text)));
        Stop::Syntax
    }

    pub(super) fn mismatch(&mut self, expected: &[Token]) -> Stop {
        self.report_input("mismatched", expected);
        Stop::Syntax
    }

    /// Skips the token at hand if the next one fits.
    fn skip_one(&mut self, expected: &[Token]) -> bool {
        let fits = expected.contains(&self.peek_at(1)) && self.peek() != Token::End;
        if fits {
            self.report_input("extraneous", expected);
            self.skip();
            self.recovering = false;
        }
        fits
    }

    /// Makes sure that the token at hand is one of those that may come here.
    pub(super) fn sync(&mut self, expected: &[Token]) -> Result<(), Stop> {
        if expected.contains(&self.peek()) || (!self.recovering && self.skip_one(expected)) {
            return Ok(());
        }
        Err(self.mismatch(expected))
    }

    /// Makes sure that an operand, or one of `others`, comes.
    pub(super) fn sync_operand(&mut self, others: &[Token]) -> Result<(), Stop> {
        if self.starts_operand(0) || others.contains(&self.peek()) {
            return Ok(());
        }
        self.sync(&[OPERAND, others].concat())
    }

    /// Takes the token, or makes do without it where that is clear enough.
    pub(super) fn expect(&mut self, token: Token) -> Result<Option<&'l Lexeme>, Stop> {
        if self.peek() == token || self.skip_one(&[token]) {
            return Ok(Some(self.next()));
        }
        if self.follows(token) {
            let message = format!("missing {} at {}", token.shown(), quoted(&self.lexeme_at(0).text));
            self.report(0, &message);
            return Ok(None);
        }
        Err(self.mismatch(&[token]))
    }

    /// Whether the token at hand may come after `token`.
    fn follows(&self, token: Token) -> bool {
        match token {
            Token::Colon => self.starts_operand(0),
            Token::CloseParen | Token::CloseBracket | Token::CloseBrace => {
                let next = self.peek();
                matches!(next, Token::Dot | Token::OpenBracket)
                    || OPERATORS.contains(&next)
                    || self.closers.last().is_none_or(|closers| closers.contains(&next))
            }
            _ => false,
        }
    }

    /// The operators `!` were read, and no operand follows.
    pub(super) fn sync_after_not(&mut self) {
        if !self.starts_operand(0) && !self.recovering {
            self.report_input("extraneous", OPERAND);
            while !self.starts_operand(0) && !self.may_follow(Rule::Unary) {
                self.skip();
            }
        }
    }

    fn may_follow(&self, rule: Rule) -> bool {
        let token = self.peek();
        let nested = self.closers.len() > 1;
        token == Token::End
            || self.closers.iter().any(|closers| closers.contains(&token))
            || ((nested || rule != Rule::Expression) && OPERATORS.contains(&token))
            || ((nested || rule == Rule::Primary) && matches!(token, Token::Dot | Token::OpenBracket))
    }

    /// Ends a rule: after an error in it, tokens are skipped up to one that may follow it, and `instead` is its
    /// outcome.
    pub(super) fn recover<T>(&mut self, rule: Rule, done: Result<T, Stop>, instead: T) -> Result<T, Stop> {
        let Err(Stop::Syntax) = done else { return done };
        if self.failed_at == Some(self.at) && rule == Rule::Member {
            self.skip();
        }
        self.failed_at = Some(self.at);
        while !self.may_follow(rule) {
            self.skip();
        }
        Ok(instead)
    }

    pub(super) fn nothing(&mut self) -> Expr {
        Expr { id: self.source_info.add(None), kind: Kind::Unspecified }
    }
}
