//! Builds the tree of an expression from its tokens, with macros expanded. In: the source. Out: the tree, or all errors
//! with their places. Where the tokens fit no rule, `syntax` finds the words for it and the way back.

use super::{
    ast::{Ast, Call, Expr, Id, Kind, Literal, Select, Test},
    lexer::{self, Lexeme, Token},
    macros::{self, Macros},
    source::{Issues, Location},
    syntax::Rule,
    tokens::{Stop, Tokens},
};

/// Longer expressions are refused, in code points.
const CODE_POINTS_MAX: usize = 100_000;
/// Rules that contain themselves more often are refused.
const DEPTH_MAX: usize = 250;

pub(super) fn parse(source: &str, macros: Macros) -> Result<Ast, Issues> {
    let mut issues = Issues::new(source);
    let length = source.chars().count();
    if length > CODE_POINTS_MAX {
        let limit = CODE_POINTS_MAX;
        let message = format!("expression code point size exceeds limit: size: {length}, limit {limit}");
        issues.push(Location::NONE, message);
        return Err(issues);
    }
    let lexemes = lexer::lex(source, &mut issues);
    let mut parser = Parser { tokens: Tokens::new(source, &lexemes, issues), macros, open: 0, heights: Vec::new() };
    let parsed = parser.expression().and_then(|root| {
        let ended = parser.tokens.expect(Token::End).map(|_| ());
        parser.tokens.recover(Rule::Expression, ended, ())?;
        if parser.height(&root) > DEPTH_MAX { Err(Stop::Nested) } else { Ok(root) }
    });
    let Tokens { source_info, mut issues, .. } = parser.tokens;
    match parsed {
        Ok(root) if issues.is_empty() => Ok(Ast { root, source_info }),
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

pub(super) type Parsed = Result<Expr, Stop>;

pub(super) struct Parser<'l> {
    pub(super) tokens: Tokens<'l>,
    macros: Macros,
    /// Expressions within expressions that are not ended yet.
    open: usize,
    /// How deep operators, selections and calls of a node are nested, by its number.
    heights: Vec<usize>,
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
        match macros::expand(self.macros, &mut self.tokens.source_info, id, function, target, args) {
            Ok(Ok(expr)) => {
                self.tokens.source_info.forget(id);
                expr
            }
            Ok(Err(error)) => {
                let offset = self.tokens.source_info.offset(error.id);
                self.tokens.source_info.forget(id);
                let id = self.tokens.source_info.add(offset);
                self.tokens.issues.push(self.tokens.source_info.location(id), error.message);
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
        let result = match self.tokens.take(Token::Question) {
            None => condition,
            Some(question) => {
                let chosen = self.choice(question, condition);
                let nothing = self.tokens.nothing();
                self.tokens.recover(Rule::Expression, chosen, nothing)?
            }
        };
        self.open -= 1;
        Ok(result)
    }

    /// An expression that ends before one of `closers`.
    pub(super) fn enclosed(&mut self, closers: &'static [Token]) -> Parsed {
        self.tokens.closers.push(closers);
        let expr = self.expression();
        self.tokens.closers.pop();
        expr
    }

    fn choice(&mut self, question: &Lexeme, condition: Expr) -> Parsed {
        let id = self.tokens.id(question);
        self.tokens.closers.push(&[Token::Colon]);
        let yes = self.logic(Token::Or);
        self.tokens.closers.pop();
        let yes = yes?;
        self.tokens.expect(Token::Colon)?;
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
        while let Some(lexeme) = self.tokens.take(operator) {
            terms.push(Some(operand(self)?));
            ids.push(self.tokens.id(lexeme));
        }
        let function = if operator == Token::Or { "_||_" } else { "_&&_" };
        let height = self.highest(terms.iter().flatten());
        let expr = balanced(function, &mut terms, &ids);
        self.set_height(&expr, height);
        Ok(expr)
    }

    fn relation(&mut self) -> Parsed {
        let mut left = self.sum()?;
        while let Some(function) = relation(self.tokens.peek()) {
            let lexeme = self.tokens.next();
            let id = self.tokens.id(lexeme);
            let right = self.sum()?;
            left = self.call(id, function, None, vec![left, right]);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        while let Some(function) = sum(self.tokens.peek()) {
            let lexeme = self.tokens.next();
            let id = self.tokens.id(lexeme);
            let right = self.product()?;
            left = self.call(id, function, None, vec![left, right]);
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.unary()?;
        while let Some(function) = product(self.tokens.peek()) {
            let lexeme = self.tokens.next();
            let id = self.tokens.id(lexeme);
            let right = self.unary()?;
            left = self.call(id, function, None, vec![left, right]);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let unary = self.tokens.sync_operand(&[]).and_then(|()| self.signed());
        let nothing = self.tokens.nothing();
        self.tokens.recover(Rule::Unary, unary, nothing)
    }

    fn signed(&mut self) -> Parsed {
        let operator = self.tokens.peek();
        let function = match operator {
            Token::Not => "!_",
            // A minus in front of a number belongs to it.
            Token::Minus if !matches!(self.tokens.peek_at(1), Token::Int | Token::Float) => "-_",
            _ => return self.member(),
        };
        let first = self.tokens.lexeme_at(0);
        let mut operators = 0;
        while self.tokens.peek() == operator {
            if operator == Token::Minus && !self.tokens.starts_operand(1) {
                return Err(self.tokens.no_alternative(1));
            }
            self.tokens.next();
            operators += 1;
        }
        if operator == Token::Not {
            self.tokens.sync_after_not();
        }
        if operators % 2 == 0 {
            return self.member();
        }
        let id = self.tokens.id(first);
        let operand = self.member()?;
        Ok(self.call(id, function, None, vec![operand]))
    }

    fn member(&mut self) -> Parsed {
        let primary = self.primary();
        let nothing = self.tokens.nothing();
        let mut operand = self.tokens.recover(Rule::Primary, primary, nothing)?;
        while matches!(self.tokens.peek(), Token::Dot | Token::OpenBracket) {
            let at = self.tokens.peek();
            let id = operand.id;
            let done = if at == Token::Dot { self.select(operand) } else { self.index(operand) };
            let failed = matches!(done, Err(Stop::Syntax));
            operand = self.tokens.recover(Rule::Member, done, Expr { id, kind: Kind::Unspecified })?;
            if failed {
                break;
            }
        }
        Ok(operand)
    }

    /// The name after a dot, and whether a question mark is between them.
    fn selected(&mut self) -> Result<(&'l Lexeme, bool), Stop> {
        match self.tokens.peek_at(1) {
            Token::Question => {
                self.tokens.next();
                self.tokens.next();
                let start = self.tokens.lexeme_at(0).start;
                if let Err(stop) = self.tokens.sync(&[Token::Ident, Token::Escaped]) {
                    self.tokens.error(start, "unsupported ident kind");
                    return Err(stop);
                }
                Ok((self.tokens.next(), true))
            }
            Token::Ident | Token::Escaped => {
                self.tokens.next();
                Ok((self.tokens.next(), false))
            }
            Token::True | Token::False | Token::Null => {
                self.tokens.next();
                Err(self.tokens.mismatch(&[Token::Ident]))
            }
            _ => Err(self.tokens.no_alternative(1)),
        }
    }

    fn select(&mut self, operand: Expr) -> Parsed {
        let dot = self.tokens.lexeme_at(0);
        let (name, optional) = self.selected()?;
        match name.token {
            Token::Ident if !optional && self.tokens.peek() == Token::OpenParen => {
                let open = self.tokens.next();
                let id = self.tokens.id(open);
                let args = self.arguments()?;
                Ok(self.call(id, &name.text, Some(operand), args))
            }
            Token::Escaped => Ok(self.tokens.error(name.start, "unsupported syntax: '`'")),
            _ if optional => {
                let id = self.tokens.id(dot);
                let field = self.tokens.id(name);
                let field = Expr { id: field, kind: Kind::Literal(Literal::String(name.text.clone())) };
                Ok(self.call(id, "_?._", None, vec![operand, field]))
            }
            _ => {
                let id = self.tokens.id(dot);
                let height = self.height(&operand) + 1;
                let select = Select { operand, field: name.text.clone(), test: Test::Value };
                let expr = Expr { id, kind: Kind::Select(Box::new(select)) };
                self.set_height(&expr, height);
                Ok(expr)
            }
        }
    }

    fn index(&mut self, operand: Expr) -> Parsed {
        let bracket = self.tokens.next();
        self.tokens.sync_operand(&[Token::Question])?;
        let function = if self.tokens.take(Token::Question).is_some() { "_[?_]" } else { "_[_]" };
        let id = self.tokens.id(bracket);
        let index = self.enclosed(&[Token::CloseBracket])?;
        self.tokens.expect(Token::CloseBracket)?;
        Ok(self.call(id, function, None, vec![operand, index]))
    }

    /// After the opening parenthesis, up to and with the closing one.
    pub(super) fn arguments(&mut self) -> Result<Vec<Expr>, Stop> {
        let mut args = Vec::new();
        self.tokens.sync_operand(&[Token::CloseParen])?;
        if self.tokens.take(Token::CloseParen).is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.enclosed(&[Token::Comma, Token::CloseParen])?);
            if self.tokens.take(Token::Comma).is_none() {
                self.tokens.expect(Token::CloseParen)?;
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
