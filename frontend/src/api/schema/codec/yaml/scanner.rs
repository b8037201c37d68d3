//! The tokens of a YAML text, as YAML 1.1 and Go's reader cut it.
//!
//! In: characters. Out: tokens, among them the starts and ends of blocks, which the text only indents. A key is known
//! only when its colon comes: until then its place in the queue of tokens is kept. Not here: the insides of scalars
//! (scalars) and of tags and directives (tags).

use std::collections::{HashMap, VecDeque};

use super::{YamlError, error::Mark, reader::Reader};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    StreamEnd,
    Version { major: u32, minor: u32 },
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { text: String, plain: bool },
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) start: Mark,
    pub(super) end: Mark,
}

/// A token that is a key if a colon follows it on its line.
#[derive(Clone, Copy, Debug, Default)]
struct SimpleKey {
    possible: bool,
    /// Nothing but a key can stand here.
    required: bool,
    token_number: usize,
    mark: Mark,
}

/// A key is at most so long.
const SIMPLE_KEY_MAX: usize = 1024;
/// Blocks and flows are nested at most so deep.
const DEPTH_MAX: usize = 10_000;

pub(super) struct Scanner<'a> {
    pub(super) reader: Reader<'a>,
    tokens: VecDeque<Lexeme>,
    /// How many tokens were taken out of the queue.
    taken: usize,
    /// The column of the current block; -1 outside of all.
    pub(super) indent: isize,
    indents: Vec<isize>,
    pub(super) flow_level: usize,
    pub(super) simple_key_allowed: bool,
    /// One for each level of flow, and one outside.
    simple_keys: Vec<SimpleKey>,
    /// Where in `simple_keys` the token of a number stands.
    key_tokens: HashMap<usize, usize>,
    ended: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(reader: Reader<'a>) -> Scanner<'a> {
        Scanner {
            reader,
            tokens: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            flow_level: 0,
            simple_key_allowed: true,
            simple_keys: vec![SimpleKey::default()],
            key_tokens: HashMap::new(),
            ended: false,
        }
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Result<&Lexeme, YamlError> {
        while !self.ended && self.needs_more()? {
            self.fetch()?;
        }
        self.tokens.front().ok_or_else(|| YamlError::plain("attempted to go past the end of stream; corrupted value?"))
    }

    pub(super) fn take(&mut self) -> Result<Lexeme, YamlError> {
        let lexeme = self.peek()?.clone();
        self.tokens.pop_front();
        self.taken += 1;
        Ok(lexeme)
    }

    /// The first token is not final while it may turn out to be a key.
    fn needs_more(&mut self) -> Result<bool, YamlError> {
        if self.tokens.is_empty() {
            return Ok(true);
        }
        match self.key_tokens.get(&self.taken).copied() {
            Some(at) => self.is_still_possible(at),
            None => Ok(false),
        }
    }

    /// A refusal at the current place, inside of something that began at `context`.
    pub(super) fn refuse<T>(&self, context: Mark, problem: impl Into<String>) -> Result<T, YamlError> {
        Err(YamlError::scanner(context, self.reader.mark, &problem.into()))
    }

    fn refuse_here<T>(&self, problem: &str) -> Result<T, YamlError> {
        self.refuse(self.reader.mark, problem)
    }

    fn push(&mut self, token: Token, start: Mark) {
        self.tokens.push_back(Lexeme { token, start, end: self.reader.mark });
    }

    fn fetch(&mut self) -> Result<(), YamlError> {
        self.skip_to_token()?;
        self.unroll_indent(self.column());
        let reader = &self.reader;
        if reader.is_end() {
            return self.fetch_stream_end();
        }
        let (first, next_blankz) = (reader.peek(0), reader.is_blankz(1));
        if reader.mark.column == 0 && first == b'%' {
            return self.fetch_directive();
        }
        if reader.is_document_marker() {
            let token = if first == b'-' { Token::DocumentStart } else { Token::DocumentEnd };
            return self.fetch_document_marker(token);
        }
        let in_flow = self.flow_level > 0;
        match first {
            b'[' => self.fetch_flow_start(Token::FlowSequenceStart),
            b'{' => self.fetch_flow_start(Token::FlowMappingStart),
            b']' => self.fetch_flow_end(Token::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(Token::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if next_blankz => self.fetch_block_entry(),
            b'?' if in_flow || next_blankz => self.fetch_key(),
            b':' if in_flow || next_blankz => self.fetch_value(),
            b'*' | b'&' => self.fetch_scalar_like(Scanner::anchor),
            b'!' => self.fetch_scalar_like(Scanner::tag),
            b'|' | b'>' if !in_flow => self.fetch_block_scalar(),
            b'\'' | b'"' => self.fetch_scalar_like(Scanner::flow_scalar),
            b'-' => self.fetch_scalar_like(Scanner::plain_scalar),
            b'?' | b':' if !in_flow => self.fetch_scalar_like(Scanner::plain_scalar),
            b'?' | b':' | b'#' | b'|' | b'>' | b'%' | b'@' | b'`' | b'\t' => {
                self.refuse_here("found character that cannot start any token")
            }
            _ => self.fetch_scalar_like(Scanner::plain_scalar),
        }
    }

    fn column(&self) -> isize {
        isize::try_from(self.reader.mark.column).unwrap_or(isize::MAX)
    }

    /// Steps over white space, comments and line ends.
    fn skip_to_token(&mut self) -> Result<(), YamlError> {
        loop {
            while self.reader.peek(0) == b' '
                || (self.reader.peek(0) == b'\t' && (self.flow_level > 0 || !self.simple_key_allowed))
            {
                self.reader.skip()?;
            }
            self.skip_comment()?;
            if !self.reader.is_break(0) {
                return Ok(());
            }
            self.reader.skip_line()?;
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    pub(super) fn skip_comment(&mut self) -> Result<(), YamlError> {
        if self.reader.peek(0) == b'#' {
            while !self.reader.is_breakz(0) {
                self.reader.skip()?;
            }
        }
        Ok(())
    }

    fn is_still_possible(&mut self, at: usize) -> Result<bool, YamlError> {
        let key = self.simple_keys[at];
        if !key.possible {
            return Ok(false);
        }
        let here = self.reader.mark;
        if key.mark.line < here.line || key.mark.index + SIMPLE_KEY_MAX < here.index {
            if key.required {
                return self.refuse(key.mark, "could not find expected ':'");
            }
            self.simple_keys[at].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn last_key(&mut self) -> &mut SimpleKey {
        // There is always the one outside of all flows.
        let last = self.simple_keys.len() - 1;
        &mut self.simple_keys[last]
    }

    /// The token that comes next may be a key.
    fn save_simple_key(&mut self) -> Result<(), YamlError> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let key = SimpleKey {
            possible: true,
            required: self.flow_level == 0 && self.indent == self.column(),
            token_number: self.taken + self.tokens.len(),
            mark: self.reader.mark,
        };
        self.remove_simple_key()?;
        *self.last_key() = key;
        self.key_tokens.insert(key.token_number, self.simple_keys.len() - 1);
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Result<(), YamlError> {
        let key = *self.last_key();
        if key.possible {
            if key.required {
                return self.refuse(key.mark, "could not find expected ':'");
            }
            self.last_key().possible = false;
            self.key_tokens.remove(&key.token_number);
        }
        Ok(())
    }

    /// Begins a block where the column is further in than the current one's.
    fn roll_indent(
        &mut self,
        column: usize,
        token_number: Option<usize>,
        token: Token,
        mark: Mark,
    ) -> Result<(), YamlError> {
        let column = isize::try_from(column).unwrap_or(isize::MAX);
        if self.flow_level > 0 || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > DEPTH_MAX {
            let context = self.last_key().mark;
            return self.refuse(context, format!("exceeded max depth of {DEPTH_MAX}"));
        }
        let at = token_number.map_or(self.tokens.len(), |number| number - self.taken);
        self.tokens.insert(at, Lexeme { token, start: mark, end: mark });
        Ok(())
    }

    /// Ends the blocks that are further in than the column.
    fn unroll_indent(&mut self, column: isize) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.push(Token::BlockEnd, self.reader.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn fetch_stream_end(&mut self) -> Result<(), YamlError> {
        if self.reader.mark.column != 0 {
            self.reader.mark.column = 0;
            self.reader.mark.line += 1;
        }
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.push(Token::StreamEnd, self.reader.mark);
        self.ended = true;
        Ok(())
    }

    fn fetch_directive(&mut self) -> Result<(), YamlError> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.reader.mark;
        let token = self.directive()?;
        self.push(token, start);
        Ok(())
    }

    fn fetch_document_marker(&mut self, token: Token) -> Result<(), YamlError> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.reader.mark;
        self.reader.skip_many(3)?;
        self.push(token, start);
        Ok(())
    }

    /// One character that is a token.
    fn fetch_indicator(&mut self, token: Token) -> Result<(), YamlError> {
        let start = self.reader.mark;
        self.reader.skip()?;
        self.push(token, start);
        Ok(())
    }

    fn fetch_flow_start(&mut self, token: Token) -> Result<(), YamlError> {
        self.save_simple_key()?;
        let token_number = self.taken + self.tokens.len();
        let mark = self.reader.mark;
        self.simple_keys.push(SimpleKey { token_number, mark, ..SimpleKey::default() });
        self.flow_level += 1;
        if self.flow_level > DEPTH_MAX {
            return self.refuse(mark, format!("exceeded max depth of {DEPTH_MAX}"));
        }
        self.simple_key_allowed = true;
        self.fetch_indicator(token)
    }

    fn fetch_flow_end(&mut self, token: Token) -> Result<(), YamlError> {
        self.remove_simple_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            if let Some(key) = self.simple_keys.pop() {
                self.key_tokens.remove(&key.token_number);
            }
        }
        self.simple_key_allowed = false;
        self.fetch_indicator(token)
    }

    fn fetch_flow_entry(&mut self) -> Result<(), YamlError> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.fetch_indicator(Token::FlowEntry)
    }

    fn fetch_block_entry(&mut self) -> Result<(), YamlError> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return self.refuse_here("block sequence entries are not allowed in this context");
            }
            let mark = self.reader.mark;
            self.roll_indent(mark.column, None, Token::BlockSequenceStart, mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.fetch_indicator(Token::BlockEntry)
    }

    fn fetch_key(&mut self) -> Result<(), YamlError> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return self.refuse_here("mapping keys are not allowed in this context");
            }
            let mark = self.reader.mark;
            self.roll_indent(mark.column, None, Token::BlockMappingStart, mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.fetch_indicator(Token::Key)
    }

    fn fetch_value(&mut self) -> Result<(), YamlError> {
        let key = *self.last_key();
        if self.is_still_possible(self.simple_keys.len() - 1)? {
            let lexeme = Lexeme { token: Token::Key, start: key.mark, end: key.mark };
            self.tokens.insert(key.token_number - self.taken, lexeme);
            self.roll_indent(key.mark.column, Some(key.token_number), Token::BlockMappingStart, key.mark)?;
            self.last_key().possible = false;
            self.key_tokens.remove(&key.token_number);
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    return self.refuse_here("mapping values are not allowed in this context");
                }
                let mark = self.reader.mark;
                self.roll_indent(mark.column, None, Token::BlockMappingStart, mark)?;
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.fetch_indicator(Token::Value)
    }

    /// Anchors, tags and scalars on a line: each may begin a key.
    fn fetch_scalar_like(
        &mut self,
        scan: fn(&mut Scanner<'a>) -> Result<(Token, Mark), YamlError>,
    ) -> Result<(), YamlError> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.reader.mark;
        let (token, end) = scan(self)?;
        self.tokens.push_back(Lexeme { token, start, end });
        Ok(())
    }

    fn fetch_block_scalar(&mut self) -> Result<(), YamlError> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let start = self.reader.mark;
        let (token, end) = self.block_scalar()?;
        self.tokens.push_back(Lexeme { token, start, end });
        Ok(())
    }
}
