//! Tokens to the nodes of one document.
//!
//! In: tokens. Out: nodes in an arena, aliases resolved to the node that they name. Not here: what a scalar means
//! (resolve), what a repeated key means (decode).

use std::collections::HashMap;

use super::{
    YamlError,
    error::Mark,
    reader::Reader,
    scanner::{Lexeme, Scanner, Token},
};

/// A node's place in the arena.
pub(super) type NodeId = usize;

#[derive(Debug)]
pub(super) struct Node {
    /// Counted from 0.
    pub(super) line: usize,
    pub(super) kind: NodeKind,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Scalar {
        text: String,
        /// Empty: none was written.
        tag: String,
        /// The text may stand for something else than a string.
        implicit: bool,
    },
    Sequence(Vec<NodeId>),
    /// Keys and values in turn.
    Mapping(Vec<NodeId>),
    Alias {
        name: String,
        of: NodeId,
    },
}

/// The first document of a text.
pub(super) struct Document {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

/// Nodes are nested at most so deep here. The original allows 10,000; no object of the API comes near this one, and a
/// task's stack is safe.
const DEPTH_MAX: usize = 300;

/// Where a node stands, which decides what it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Block,
    /// In a block mapping, whose lists need not be indented.
    MappingBlock,
    Flow,
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    nodes: Vec<Node>,
    anchors: HashMap<String, NodeId>,
    tag_prefixes: HashMap<String, String>,
    depth: usize,
}

/// Reads the first document; none where there is no document at all.
pub(super) fn document(text: &[u8]) -> Result<Option<Document>, YamlError> {
    let text = if text.is_empty() { b"\n" } else { text };
    let mut parser = Parser {
        scanner: Scanner::new(Reader::new(text)?),
        nodes: Vec::new(),
        anchors: HashMap::new(),
        tag_prefixes: HashMap::new(),
        depth: 0,
    };
    let root = match parser.scanner.peek()?.token {
        Token::StreamEnd => return Ok(None),
        Token::Version { .. } | Token::TagDirective { .. } | Token::DocumentStart => {
            parser.directives()?;
            let start = parser.scanner.take()?;
            if start.token != Token::DocumentStart {
                return Err(YamlError::parser(None, start.start, "did not find expected <document start>"));
            }
            parser.explicit_content()?
        }
        _ => {
            parser.default_tags();
            parser.node(Context::Block)?
        }
    };
    // What follows the document is looked at, and nothing more.
    parser.scanner.peek()?;
    Ok(Some(Document { nodes: parser.nodes, root }))
}

impl Parser<'_> {
    fn default_tags(&mut self) {
        for (handle, prefix) in [("!", "!"), ("!!", super::resolve::TAG_PREFIX)] {
            self.tag_prefixes.entry(handle.to_owned()).or_insert_with(|| prefix.to_owned());
        }
    }

    fn directives(&mut self) -> Result<(), YamlError> {
        let mut has_version = false;
        loop {
            let start = self.scanner.peek()?.start;
            match self.scanner.peek()?.token.clone() {
                Token::Version { major, minor } => {
                    let problem = match (has_version, major, minor) {
                        (true, ..) => Some("found duplicate %YAML directive"),
                        (false, 1, 1) => None,
                        _ => Some("found incompatible YAML document"),
                    };
                    if let Some(problem) = problem {
                        return Err(YamlError::parser(None, start, problem));
                    }
                    has_version = true;
                }
                Token::TagDirective { handle, prefix } => {
                    if self.tag_prefixes.insert(handle, prefix).is_some() {
                        return Err(YamlError::parser(None, start, "found duplicate %TAG directive"));
                    }
                }
                _ => break,
            }
            self.scanner.take()?;
        }
        self.default_tags();
        Ok(())
    }

    fn explicit_content(&mut self) -> Result<NodeId, YamlError> {
        let next = self.scanner.peek()?;
        let is_empty = matches!(
            next.token,
            Token::Version { .. }
                | Token::TagDirective { .. }
                | Token::DocumentStart
                | Token::DocumentEnd
                | Token::StreamEnd
        );
        let mark = next.start;
        if is_empty { Ok(self.empty(mark)) } else { self.node(Context::Block) }
    }

    fn add(&mut self, mark: Mark, kind: NodeKind) -> NodeId {
        self.nodes.push(Node { line: mark.line, kind });
        self.nodes.len() - 1
    }

    /// A scalar that is not there.
    fn empty(&mut self, mark: Mark) -> NodeId {
        self.add(mark, NodeKind::Scalar { text: String::new(), tag: String::new(), implicit: true })
    }

    /// A node, or an empty scalar at `mark` where the next token is one of those that stand behind a node.
    fn node_unless(&mut self, mark: Mark, context: Context, ends: &[Token]) -> Result<NodeId, YamlError> {
        match ends.contains(&self.scanner.peek()?.token) {
            true => Ok(self.empty(mark)),
            false => self.node(context),
        }
    }

    fn node(&mut self, context: Context) -> Result<NodeId, YamlError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(YamlError::plain("exceeded max depth of 10000"));
        }
        let node = self.node_here(context);
        self.depth -= 1;
        node
    }

    fn node_here(&mut self, context: Context) -> Result<NodeId, YamlError> {
        let first = self.scanner.peek()?.clone();
        if let Token::Alias(name) = first.token {
            self.scanner.take()?;
            let of = self.anchors.get(&name).copied();
            let of = of.ok_or_else(|| YamlError::plain(format!("unknown anchor '{name}' referenced")))?;
            return Ok(self.add(first.start, NodeKind::Alias { name, of }));
        }
        let start = first.start;
        let (anchor, tag) = self.properties(start)?;
        // The node's place is taken before its insides: an anchor may be named inside of itself.
        let id = self.empty(start);
        let has_anchor = anchor.is_some();
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
        let next = self.scanner.peek()?.clone();
        let kind = match next.token {
            Token::BlockEntry if context == Context::MappingBlock => self.indentless_sequence()?,
            Token::Scalar { text, plain } => {
                self.scanner.take()?;
                let implicit = (tag.is_empty() && plain) || tag == "!";
                NodeKind::Scalar { text, tag, implicit }
            }
            Token::FlowSequenceStart => self.flow_sequence()?,
            Token::FlowMappingStart => self.flow_mapping()?,
            Token::BlockSequenceStart if context != Context::Flow => self.block_sequence()?,
            Token::BlockMappingStart if context != Context::Flow => self.block_mapping()?,
            _ if has_anchor || !tag.is_empty() => {
                let implicit = tag.is_empty();
                NodeKind::Scalar { text: String::new(), tag, implicit }
            }
            _ => return Err(YamlError::parser(Some(start), next.start, "did not find expected node content")),
        };
        self.nodes[id].kind = kind;
        Ok(id)
    }

    /// An anchor and a tag, in any order.
    fn properties(&mut self, start: Mark) -> Result<(Option<String>, String), YamlError> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            match &self.scanner.peek()?.token {
                Token::Anchor(name) if anchor.is_none() => anchor = Some(name.clone()),
                Token::Tag { handle, suffix } if tag.is_none() => tag = Some((handle.clone(), suffix.clone())),
                _ => break,
            }
            let mark = self.scanner.take()?.start;
            if let Some((handle, _)) = tag.as_ref().filter(|(handle, _)| !handle.is_empty())
                && !self.tag_prefixes.contains_key(handle)
            {
                return Err(YamlError::parser(Some(start), mark, "found undefined tag handle"));
            }
        }
        let tag = tag.map(|(handle, suffix)| match self.tag_prefixes.get(&handle) {
            Some(prefix) if !handle.is_empty() => format!("{prefix}{suffix}"),
            _ => suffix,
        });
        Ok((anchor, tag.unwrap_or_default()))
    }

    fn block_sequence(&mut self) -> Result<NodeKind, YamlError> {
        let start = self.scanner.take()?.start;
        let mut items = Vec::new();
        loop {
            let Lexeme { token, start: at, end } = self.scanner.take()?;
            match token {
                Token::BlockEntry => {
                    items.push(self.node_unless(end, Context::Block, &[Token::BlockEntry, Token::BlockEnd])?);
                }
                Token::BlockEnd => return Ok(NodeKind::Sequence(items)),
                _ => return Err(YamlError::parser(Some(start), at, "did not find expected '-' indicator")),
            }
        }
    }

    /// The items of a list that stands no further in than the key it belongs to.
    fn indentless_sequence(&mut self) -> Result<NodeKind, YamlError> {
        const ENDS: [Token; 4] = [Token::BlockEntry, Token::Key, Token::Value, Token::BlockEnd];
        let mut items = Vec::new();
        while self.scanner.peek()?.token == Token::BlockEntry {
            let end = self.scanner.take()?.end;
            items.push(self.node_unless(end, Context::Block, &ENDS)?);
        }
        Ok(NodeKind::Sequence(items))
    }

    fn block_mapping(&mut self) -> Result<NodeKind, YamlError> {
        const ENDS: [Token; 3] = [Token::Key, Token::Value, Token::BlockEnd];
        let start = self.scanner.take()?.start;
        let mut entries = Vec::new();
        loop {
            let Lexeme { token, start: at, end } = self.scanner.take()?;
            match token {
                Token::Key => entries.push(self.node_unless(end, Context::MappingBlock, &ENDS)?),
                Token::BlockEnd => return Ok(NodeKind::Mapping(entries)),
                _ => return Err(YamlError::parser(Some(start), at, "did not find expected key")),
            }
            let next = self.scanner.peek()?;
            let (is_value, at) = (next.token == Token::Value, next.start);
            let value = if is_value {
                let end = self.scanner.take()?.end;
                self.node_unless(end, Context::MappingBlock, &ENDS)?
            } else {
                self.empty(at)
            };
            entries.push(value);
        }
    }

    fn flow_sequence(&mut self) -> Result<NodeKind, YamlError> {
        let start = self.scanner.take()?.start;
        let mut items = Vec::new();
        loop {
            if !items.is_empty() && !self.flow_goes_on(&Token::FlowSequenceEnd, start, "']'")? {
                break;
            }
            let next = self.scanner.peek()?.clone();
            match next.token {
                Token::FlowSequenceEnd => break,
                Token::Key => {
                    self.scanner.take()?;
                    items.push(self.flow_pair(next.start)?);
                }
                _ => items.push(self.node(Context::Flow)?),
            }
        }
        self.scanner.take()?;
        Ok(NodeKind::Sequence(items))
    }

    /// After an item: steps over the comma. False at the end of the collection, which stays.
    fn flow_goes_on(&mut self, close: &Token, start: Mark, expected: &str) -> Result<bool, YamlError> {
        let next = self.scanner.peek()?;
        if next.token == *close {
            return Ok(false);
        }
        if next.token != Token::FlowEntry {
            let problem = format!("did not find expected ',' or {expected}");
            return Err(YamlError::parser(Some(start), next.start, &problem));
        }
        self.scanner.take()?;
        Ok(true)
    }

    /// `[a: b]`: a mapping of one entry without braces.
    fn flow_pair(&mut self, start: Mark) -> Result<NodeId, YamlError> {
        let next = self.scanner.peek()?.clone();
        let key = match next.token {
            Token::Value | Token::FlowEntry | Token::FlowSequenceEnd => {
                // The original steps over this token too.
                self.scanner.take()?;
                self.empty(next.end)
            }
            _ => self.node(Context::Flow)?,
        };
        let at = self.scanner.peek()?.start;
        let value = if self.scanner.peek()?.token == Token::Value {
            self.scanner.take()?;
            self.node_unless(at, Context::Flow, &[Token::FlowEntry, Token::FlowSequenceEnd])?
        } else {
            self.empty(at)
        };
        Ok(self.add(start, NodeKind::Mapping(vec![key, value])))
    }

    fn flow_mapping(&mut self) -> Result<NodeKind, YamlError> {
        const ENDS: [Token; 3] = [Token::Value, Token::FlowEntry, Token::FlowMappingEnd];
        let start = self.scanner.take()?.start;
        let mut entries = Vec::new();
        loop {
            if !entries.is_empty() && !self.flow_goes_on(&Token::FlowMappingEnd, start, "'}'")? {
                break;
            }
            let next = self.scanner.peek()?.clone();
            match next.token {
                Token::FlowMappingEnd => break,
                Token::Key => {
                    self.scanner.take()?;
                    let at = self.scanner.peek()?.start;
                    entries.push(self.node_unless(at, Context::Flow, &ENDS)?);
                    let at = self.scanner.peek()?.start;
                    let value = if self.scanner.peek()?.token == Token::Value {
                        self.scanner.take()?;
                        self.node_unless(at, Context::Flow, &ENDS[1..])?
                    } else {
                        self.empty(at)
                    };
                    entries.push(value);
                }
                _ => {
                    entries.push(self.node(Context::Flow)?);
                    let at = self.scanner.peek()?.start;
                    entries.push(self.empty(at));
                }
            }
        }
        self.scanner.take()?;
        Ok(NodeKind::Mapping(entries))
    }
}
