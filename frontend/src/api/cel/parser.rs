//! Builds the tree of an expression from its tokens, with macros expanded. In: the source. Out: the tree, or all errors
//! with their places. Where the tokens fit no rule, `syntax` finds the words for it and the way back.

use super::{
    ast::{Ast, Call, Expr, Id, Kind, Literal, Places, Select, Test},
    lexer::{self, Lexeme, Token},
    macros,
    source::{Issues, Location},
    syntax::Rule,
};

/// Longer expressions are refused, in code points.
const CODE_POINTS_MAX: usize = 100_000;
/// Rules that contain themselves more often are refused.
const DEPTH_MAX: usize = 250;

pub(super) fn parse(source: &str) -> Result<Ast, Issues> {
    let mut issues = Issues::new(source);
    let length = source.chars().count();
    if length > CODE_POINTS_MAX {
        let limit = CODE_POINTS_MAX;
        let message = format!("expression code point size exceeds limit: size: {length}, limit {limit}");
        issues.push(Location::NONE, message);
        return Err(issues);
    }
    let lexemes = lexer::lex(source, &mut issues);
    let mut parser = Parser {
        source,
        lexemes: &lexemes,
        at: 0,
        places: Places::of(source),
        issues,
        open: 0,
        heights: Vec::new(),
        closers: vec![&[Token::End]],
        recovering: false,
        failed_at: None,
    };
    let parsed = parser.expression().and_then(|root| {
        let ended = parser.expect(Token::End).map(|_| ());
        parser.recover(Rule::Expression, ended, ())?;
        if parser.height(&root) > DEPTH_MAX { Err(Stop::Nested) } else { Ok(root) }
    });
    let Parser { places, mut issues, .. } = parser;
    match parsed {
        Ok(root) if issues.is_empty() => Ok(Ast { root, places }),
        Ok(_) | Err(Stop::Syntax) => Err(issues),
        Err(Stop::Open) => {
            issues.push(Location::NONE, format!("expression recursion limit exceeded: {DEPTH_MAX}"));
            Err(issues)
        }
        Err(Stop::Nested) => {
            issues.push(Location::NONE, "max recursion depth exceeded");
            Err(issues)
        }
    }
}

pub(super) enum Stop {
    /// Something was said of it, and the rule ends.
    Syntax,
    /// Too many expressions within expressions.
    Open,
    /// Too many operators, selections and calls on each other.
    Nested,
}

pub(super) type Parsed = Result<Expr, Stop>;

pub(super) struct Parser<'l> {
    pub(super) source: &'l str,
    lexemes: &'l [Lexeme],
    pub(super) at: usize,
    pub(super) places: Places,
    pub(super) issues: Issues,
    /// Expressions within expressions that are not ended yet.
    open: usize,
    /// How deep operators, selections and calls of a node are nested, by its number.
    heights: Vec<usize>,
    /// What ends the expressions that are not ended yet, the innermost one last.
    pub(super) closers: Vec<&'static [Token]>,
    /// No token fitted since the last error.
    pub(super) recovering: bool,
    /// Where a rule ended with an error last.
    pub(super) failed_at: Option<usize>,
}

fn relation(token: Token) -> Option<&'static str> {
    Some(match token {
        Token::Less => "_<_",
        Token::LessEquals => "_<=_",
        Token::GreaterEquals => "_>=_",
        Token::Greater => "_>_",
        Token::Equals => "_==_",
        Token::NotEquals => "_!=_",
        Token::In => "@in",
        _ => return None,
    })
}

fn product(token: Token) -> Option<&'static str> {
    Some(match token {
        Token::Star => "_*_",
        Token::Slash => "_/_",
        Token::Percent => "_%_",
        _ => return None,
    })
}

fn sum(token: Token) -> Option<&'static str> {
    Some(match token {
        Token::Plus => "_+_",
        Token::Minus => "_-_",
        _ => return None,
    })
}

impl<'l> Parser<'l> {
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
        self.places.add(Some(lexeme.start))
    }

    pub(super) fn error(&mut self, offset: usize, message: impl Into<String>) -> Expr {
        let id = self.places.add(Some(offset));
        self.issues.push(self.places.location(id), message);
        Expr { id, kind: Kind::Unspecified }
    }

    pub(super) fn height(&self, expr: &Expr) -> usize {
        self.heights.get(expr.id).copied().unwrap_or(0)
    }

    pub(super) fn set_height(&mut self, expr: &Expr, height: usize) {
        if self.heights.len() <= expr.id {
            self.heights.resize(expr.id + 1, 0);
        }
        self.heights[expr.id] = height;
    }

    pub(super) fn highest<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> usize {
        exprs.into_iter().map(|expr| self.height(expr)).max().unwrap_or(0)
    }

    /// A call, or what the macro of that name makes of it.
    pub(super) fn call(&mut self, id: Id, function: &str, target: Option<Expr>, args: Vec<Expr>) -> Expr {
        let nests = target.is_some() || function.starts_with('_') || function == "@in";
        let height = self.highest(target.iter().chain(&args)) + usize::from(nests);
        let expr = self.expand(id, function, target, args);
        self.set_height(&expr, height);
        expr
    }

    fn expand(&mut self, id: Id, function: &str, target: Option<Expr>, args: Vec<Expr>) -> Expr {
        match macros::expand(&mut self.places, id, function, target, args) {
            Ok(Ok(expr)) => {
                self.places.forget(id);
                expr
            }
            Ok(Err(error)) => {
                let offset = self.places.offset(error.id);
                self.places.forget(id);
                let id = self.places.add(offset);
                self.issues.push(self.places.location(id), error.message);
                Expr { id, kind: Kind::Unspecified }
            }
            Err((target, args)) => {
                let call = Call { function: function.to_owned(), target, args };
                Expr { id, kind: Kind::Call(Box::new(call)) }
            }
        }
    }

    pub(super) fn expression(&mut self) -> Parsed {
        self.open += 1;
        if self.open > DEPTH_MAX {
            return Err(Stop::Open);
        }
        let condition = self.logic(Token::Or)?;
        let result = match self.take(Token::Question) {
            None => condition,
            Some(question) => {
                let chosen = self.choice(question, condition);
                let nothing = self.nothing();
                self.recover(Rule::Expression, chosen, nothing)?
            }
        };
        self.open -= 1;
        Ok(result)
    }

    /// An expression that ends before one of `closers`.
    pub(super) fn enclosed(&mut self, closers: &'static [Token]) -> Parsed {
        self.closers.push(closers);
        let expr = self.expression();
        self.closers.pop();
        expr
    }

    fn choice(&mut self, question: &Lexeme, condition: Expr) -> Parsed {
        let id = self.id(question);
        self.closers.push(&[Token::Colon]);
        let yes = self.logic(Token::Or);
        self.closers.pop();
        let yes = yes?;
        self.expect(Token::Colon)?;
        let no = self.expression()?;
        Ok(self.call(id, "_?_:_", None, vec![condition, yes, no]))
    }

    /// `a || b || c` or `a && b && c`: a balanced tree.
    fn logic(&mut self, operator: Token) -> Parsed {
        let operand = |parser: &mut Self| match operator {
            Token::Or => parser.logic(Token::And),
            _ => parser.relation(),
        };
        let mut terms = vec![Some(operand(self)?)];
        let mut ids = Vec::new();
        while let Some(lexeme) = self.take(operator) {
            terms.push(Some(operand(self)?));
            ids.push(self.id(lexeme));
        }
        let function = if operator == Token::Or { "_||_" } else { "_&&_" };
        let height = self.highest(terms.iter().flatten());
        let expr = balanced(function, &mut terms, &ids);
        self.set_height(&expr, height);
        Ok(expr)
    }

    fn relation(&mut self) -> Parsed {
        let mut left = self.sum()?;
        while let Some(function) = relation(self.peek()) {
            let lexeme = self.next();
            let id = self.id(lexeme);
            let right = self.sum()?;
            left = self.call(id, function, None, vec![left, right]);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        while let Some(function) = sum(self.peek()) {
            let lexeme = self.next();
            let id = self.id(lexeme);
            let right = self.product()?;
            left = self.call(id, function, None, vec![left, right]);
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.unary()?;
        while let Some(function) = product(self.peek()) {
            let lexeme = self.next();
            let id = self.id(lexeme);
            let right = self.unary()?;
            left = self.call(id, function, None, vec![left, right]);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let unary = self.sync_operand(&[]).and_then(|()| self.signed());
        let nothing = self.nothing();
        self.recover(Rule::Unary, unary, nothing)
    }

    fn signed(&mut self) -> Parsed {
        let operator = self.peek();
        let function = match operator {
            Token::Not => "!_",
            // A minus in front of a number belongs to it.
            Token::Minus if !matches!(self.peek_at(1), Token::Int | Token::Float) => "-_",
            _ => return self.member(),
        };
        let first = self.lexeme_at(0);
        let mut operators = 0;
        while self.peek() == operator {
            if operator == Token::Minus && !self.starts_operand(1) {
                return Err(self.no_alternative(1));
            }
            self.next();
            operators += 1;
        }
        if operator == Token::Not {
            self.sync_after_not();
        }
        if operators % 2 == 0 {
            return self.member();
        }
        let id = self.id(first);
        let operand = self.member()?;
        Ok(self.call(id, function, None, vec![operand]))
    }

    fn member(&mut self) -> Parsed {
        let primary = self.primary();
        let nothing = self.nothing();
        let mut operand = self.recover(Rule::Primary, primary, nothing)?;
        while matches!(self.peek(), Token::Dot | Token::OpenBracket) {
            let at = self.peek();
            let id = operand.id;
            let done = if at == Token::Dot { self.select(operand) } else { self.index(operand) };
            let failed = matches!(done, Err(Stop::Syntax));
            operand = self.recover(Rule::Member, done, Expr { id, kind: Kind::Unspecified })?;
            if failed {
                break;
            }
        }
        Ok(operand)
    }

    /// The name after a dot, and whether a question mark is between them.
    fn selected(&mut self) -> Result<(&'l Lexeme, bool), Stop> {
        match self.peek_at(1) {
            Token::Question => {
                self.next();
                self.next();
                let start = self.lexeme_at(0).start;
                if let Err(stop) = self.sync(&[Token::Ident, Token::Escaped]) {
                    self.error(start, "unsupported ident kind");
                    return Err(stop);
                }
                Ok((self.next(), true))
            }
            Token::Ident | Token::Escaped => {
                self.next();
                Ok((self.next(), false))
            }
            Token::True | Token::False | Token::Null => {
                self.next();
                Err(self.mismatch(&[Token::Ident]))
            }
            _ => Err(self.no_alternative(1)),
        }
    }

    fn select(&mut self, operand: Expr) -> Parsed {
        let dot = self.lexeme_at(0);
        let (name, optional) = self.selected()?;
        match name.token {
            Token::Ident if !optional && self.peek() == Token::OpenParen => {
                let open = self.next();
                let id = self.id(open);
                let args = self.arguments()?;
                Ok(self.call(id, &name.text, Some(operand), args))
            }
            Token::Escaped => Ok(self.error(name.start, "unsupported syntax: '`'")),
            _ if optional => {
                let id = self.id(dot);
                let field = self.id(name);
                let field = Expr { id: field, kind: Kind::Literal(Literal::String(name.text.clone())) };
                Ok(self.call(id, "_?._", None, vec![operand, field]))
            }
            _ => {
                let id = self.id(dot);
                let height = self.height(&operand) + 1;
                let select = Select { operand, field: name.text.clone(), test: Test::Value };
                let expr = Expr { id, kind: Kind::Select(Box::new(select)) };
                self.set_height(&expr, height);
                Ok(expr)
            }
        }
    }

    fn index(&mut self, operand: Expr) -> Parsed {
        let bracket = self.next();
        self.sync_operand(&[Token::Question])?;
        let function = if self.take(Token::Question).is_some() { "_[?_]" } else { "_[_]" };
        let id = self.id(bracket);
        let index = self.enclosed(&[Token::CloseBracket])?;
        self.expect(Token::CloseBracket)?;
        Ok(self.call(id, function, None, vec![operand, index]))
    }

    /// After the opening parenthesis, up to and with the closing one.
    pub(super) fn arguments(&mut self) -> Result<Vec<Expr>, Stop> {
        let mut args = Vec::new();
        self.sync_operand(&[Token::CloseParen])?;
        if self.take(Token::CloseParen).is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.enclosed(&[Token::Comma, Token::CloseParen])?);
            if self.take(Token::Comma).is_none() {
                self.expect(Token::CloseParen)?;
                return Ok(args);
            }
        }
    }
}

/// A tree over terms[0..=ids.len()], as deep as it must be.
fn balanced(function: &str, terms: &mut [Option<Expr>], ids: &[Id]) -> Expr {
    if ids.is_empty() {
        return terms[0].take().unwrap_or(Expr { id: 0, kind: Kind::Unspecified });
    }
    let middle = ids.len() / 2;
    let (left, right) = terms.split_at_mut(middle + 1);
    let left = balanced(function, left, &ids[..middle]);
    let right = balanced(function, right, &ids[middle + 1..]);
    let call = Call { function: function.to_owned(), target: None, args: vec![left, right] };
    Expr { id: ids[middle], kind: Kind::Call(Box::new(call)) }
}
