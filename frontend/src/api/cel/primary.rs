//! The innermost rules: literals, lists, maps, messages, names and calls of functions.

use super::{
    ast::{Element, Entry, Expr, Field, Kind, Literal},
    lexer::{self, Lexeme, Token},
    parser::{Parsed, Parser},
    syntax::Rule,
    tokens::Stop,
};

const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "true",
    "var",
    "void",
    "while",
];

impl<'l> Parser<'l> {
    pub(super) fn primary(&mut self) -> Parsed {
        let dotless = self.tokens.peek() == Token::Dot && self.tokens.peek_at(1) != Token::Ident;
        if dotless || !self.tokens.starts_operand(0) {
            return Err(self.tokens.no_alternative(1));
        }
        let first = self.tokens.next();
        match first.token {
            Token::OpenParen => {
                let inner = self.enclosed(&[Token::CloseParen])?;
                self.tokens.expect(Token::CloseParen)?;
                Ok(inner)
            }
            Token::OpenBracket => self.list(first),
            Token::OpenBrace => self.map(first),
            Token::Ident | Token::Dot => self.named(first),
            _ => self.literal(first),
        }
    }

    /// Whether a comma comes with one more item behind it, and not before the end. Takes it.
    fn another(&mut self, item: impl Fn(&Self) -> bool) -> bool {
        let another = self.tokens.peek() == Token::Comma && item(self);
        if another {
            self.tokens.next();
        }
        another
    }

    /// The end of a list, map or message, with or without a comma in front.
    fn end(&mut self, close: Token) -> Result<(), Stop> {
        self.tokens.sync(&[close, Token::Comma])?;
        self.tokens.take(Token::Comma);
        self.tokens.expect(close)?;
        Ok(())
    }

    fn list(&mut self, bracket: &Lexeme) -> Parsed {
        const CLOSERS: &[Token] = &[Token::Comma, Token::CloseBracket];
        let id = self.tokens.id(bracket);
        let mut elements = Vec::new();
        self.tokens.sync_operand(&[Token::CloseBracket, Token::Comma, Token::Question])?;
        if !CLOSERS.contains(&self.tokens.peek()) {
            loop {
                let optional = self.tokens.take(Token::Question).is_some();
                elements.push(Element { value: self.enclosed(CLOSERS)?, optional });
                if !self
                    .another(|parser| parser.tokens.starts_operand(1) || parser.tokens.peek_at(1) == Token::Question)
                {
                    break;
                }
            }
        }
        self.end(Token::CloseBracket)?;
        let height = self.highest(elements.iter().map(|element| &element.value));
        let expr = Expr { id, kind: Kind::List(elements) };
        self.set_height(&expr, height);
        Ok(expr)
    }

    fn map(&mut self, brace: &Lexeme) -> Parsed {
        let id = self.tokens.id(brace);
        let mut entries = Vec::new();
        self.tokens.sync_operand(&[Token::CloseBrace, Token::Comma, Token::Question])?;
        if !matches!(self.tokens.peek(), Token::CloseBrace | Token::Comma) {
            self.tokens.closers.push(&[Token::Comma, Token::CloseBrace]);
            let done = self.entries(&mut entries);
            let done = self.tokens.recover(Rule::Entries, done, ());
            self.tokens.closers.pop();
            done?;
        }
        self.end(Token::CloseBrace)?;
        let height = self.highest(entries.iter().flat_map(|entry| [&entry.key, &entry.value]));
        let expr = Expr { id, kind: Kind::Map(entries) };
        self.set_height(&expr, height);
        Ok(expr)
    }

    fn entries(&mut self, entries: &mut Vec<Entry>) -> Result<(), Stop> {
        loop {
            let colon_id = self.tokens.source_info.add(None);
            let optional = self.tokens.take(Token::Question).is_some();
            let key = self.enclosed(&[Token::Colon])?;
            if let Some(colon) = self.tokens.expect(Token::Colon)? {
                self.tokens.source_info.set(colon_id, colon.start);
            }
            entries.push(Entry { key, value: self.expression()?, optional });
            if !self.another(|parser| parser.tokens.starts_operand(1) || parser.tokens.peek_at(1) == Token::Question) {
                return Ok(());
            }
        }
    }

    /// An identifier, a call or a message: what begins with a name, or with a dot and a name.
    fn named(&mut self, first: &'l Lexeme) -> Parsed {
        let dotted = first.token == Token::Dot;
        let name = if dotted { self.tokens.next() } else { first };
        if let Some(length) = self.message_name() {
            return self.message(dotted, name, length);
        }
        if RESERVED.contains(&name.text.as_str()) {
            if self.tokens.take(Token::OpenParen).is_some() {
                self.arguments()?;
            }
            return Ok(self.tokens.error(first.start, format!("reserved identifier: {}", name.text)));
        }
        let full = if dotted { format!(".{}", name.text) } else { name.text.clone() };
        if let Some(open) = self.tokens.take(Token::OpenParen) {
            let id = self.tokens.id(open);
            let args = self.arguments()?;
            return Ok(self.call(id, &full, None, args));
        }
        let id = self.tokens.id(name);
        Ok(Expr { id, kind: Kind::Ident(full) })
    }

    /// How many tokens the rest of a message's name has, where an opening brace follows it.
    fn message_name(&self) -> Option<usize> {
        let mut ahead = 0;
        while self.tokens.peek_at(ahead) == Token::Dot && self.tokens.peek_at(ahead + 1) == Token::Ident {
            ahead += 2;
        }
        (self.tokens.peek_at(ahead) == Token::OpenBrace).then_some(ahead)
    }

    fn message(&mut self, dotted: bool, name: &Lexeme, length: usize) -> Parsed {
        let mut full = if dotted { ".".to_owned() } else { String::new() };
        full.push_str(&name.text);
        for _ in 0..length {
            full.push_str(&self.tokens.next().text);
        }
        let brace = self.tokens.next();
        let id = self.tokens.id(brace);
        let mut fields = Vec::new();
        self.tokens.sync(&[Token::CloseBrace, Token::Comma, Token::Question, Token::Ident, Token::Escaped])?;
        if !matches!(self.tokens.peek(), Token::CloseBrace | Token::Comma) {
            self.tokens.closers.push(&[Token::Comma, Token::CloseBrace]);
            let done = self.fields(&mut fields);
            let done = self.tokens.recover(Rule::Entries, done, ());
            self.tokens.closers.pop();
            done?;
        }
        self.end(Token::CloseBrace)?;
        Ok(Expr { id, kind: Kind::Struct(full, fields) })
    }

    fn fields(&mut self, fields: &mut Vec<Field>) -> Result<(), Stop> {
        const NAMES: &[Token] = &[Token::Ident, Token::Escaped];
        loop {
            self.tokens.take(Token::Question);
            self.tokens.sync(NAMES)?;
            let name = self.tokens.next().text.clone();
            let id = match self.tokens.expect(Token::Colon)? {
                Some(colon) => self.tokens.id(colon),
                None => self.tokens.source_info.add(None),
            };
            fields.push(Field { id, name, value: self.expression()? });
            if !self.another(|parser| {
                NAMES.contains(&parser.tokens.peek_at(1)) || parser.tokens.peek_at(1) == Token::Question
            }) {
                return Ok(());
            }
        }
    }

    fn literal(&mut self, first: &Lexeme) -> Parsed {
        let (sign, lexeme) = match first.token {
            Token::Minus => ("-", self.tokens.next()),
            _ => ("", first),
        };
        let parsed = match lexeme.token {
            Token::Int => int(sign, &lexeme.text).map(Literal::Int).ok_or("invalid int literal"),
            Token::Float => {
                let number = format!("{sign}{}", lexeme.text).parse::<f64>().ok();
                number.filter(|number| number.is_finite()).map(Literal::Double).ok_or("invalid double literal")
            }
            Token::Uint => uint(&lexeme.text).map(Literal::Uint).ok_or("invalid uint literal"),
            Token::String => lexer::unquote(&lexeme.text, false)
                .and_then(|text| String::from_utf8(text).map_err(|_| "unable to unescape string"))
                .map(Literal::String),
            Token::Bytes => lexer::unquote(&lexeme.text[1..], true).map(Literal::Bytes),
            Token::True => Ok(Literal::Bool(true)),
            Token::False => Ok(Literal::Bool(false)),
            Token::Null => Ok(Literal::Null),
            // Every other token begins something else.
            _ => return Err(Stop::Syntax),
        };
        match parsed {
            Ok(literal) => {
                let id = self.tokens.id(first);
                Ok(Expr { id, kind: Kind::Literal(literal) })
            }
            Err(message) => Ok(self.tokens.error(first.start, message)),
        }
    }
}

fn int(sign: &str, text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(&format!("{sign}{digits}"), 16).ok(),
        None => format!("{sign}{text}").parse().ok(),
    }
}

fn uint(text: &str) -> Option<u64> {
    let text = &text[..text.len() - 1];
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
