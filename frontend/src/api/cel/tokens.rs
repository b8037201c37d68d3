//! The tokens of an expression while it is parsed: the one at hand, those ahead, and what was said of them so far.
//!
//! Not here: what is said where no rule fits (`syntax`), and the rules (`parser`, `primary`).

use super::{
    ast::{Expr, Id, Kind, SourceInfo},
    lexer::{Lexeme, Token},
    source::Issues,
};

/// Why a rule ends without a tree.
pub(super) enum Stop {
    /// Something was said of it, and the rule ends.
    Syntax,
    /// Too many expressions within expressions.
    Open,
    /// Too many operators, selections and calls on each other.
    Nested,
}

pub(super) struct Tokens<'l> {
    pub(super) source: &'l str,
    lexemes: &'l [Lexeme],
    pub(super) at: usize,
    pub(super) source_info: SourceInfo,
    pub(super) issues: Issues,
    /// What ends the expressions that are not ended yet, the innermost one last.
    pub(super) closers: Vec<&'static [Token]>,
    /// No token fitted since the last error.
    pub(super) recovering: bool,
    /// Where a rule ended with an error last.
    pub(super) failed_at: Option<usize>,
}

impl<'l> Tokens<'l> {
    /// The last of `lexemes` is the end.
    pub(super) fn new(source: &'l str, lexemes: &'l [Lexeme], issues: Issues) -> Tokens<'l> {
        let source_info = SourceInfo::of(source);
        let closers: Vec<&'static [Token]> = vec![&[Token::End]];
        Tokens { source, lexemes, at: 0, source_info, issues, closers, recovering: false, failed_at: None }
    }

    pub(super) fn peek(&self) -> Token {
        self.lexemes[self.at].token
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Token {
        self.lexeme_at(ahead).token
    }

    /// Beyond the last one that is the end.
    pub(super) fn lexeme_at(&self, ahead: usize) -> &'l Lexeme {
        &self.lexemes[(self.at + ahead).min(self.lexemes.len() - 1)]
    }

    pub(super) fn skip(&mut self) {
        self.at = (self.at + 1).min(self.lexemes.len() - 1);
    }

    /// Takes a token that fits.
    pub(super) fn next(&mut self) -> &'l Lexeme {
        let lexeme = self.lexeme_at(0);
        self.skip();
        self.recovering = false;
        lexeme
    }

    pub(super) fn take(&mut self, token: Token) -> Option<&'l Lexeme> {
        (self.peek() == token).then(|| self.next())
    }

    pub(super) fn id(&mut self, lexeme: &Lexeme) -> Id {
        self.source_info.add(Some(lexeme.start))
    }

    pub(super) fn error(&mut self, offset: usize, message: impl Into<String>) -> Expr {
        let id = self.source_info.add(Some(offset));
        self.issues.push(self.source_info.location(id), message);
        Expr { id, kind: Kind::Unspecified }
    }
}
