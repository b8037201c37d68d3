//! The tree of an expression. Macros are already comprehensions here. Each node has a number, under which its place,
//! and later its type and the chosen overloads, are kept.

use super::source::{Lines, Location};

pub(super) type Id = usize;

#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) id: Id,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Literal(Literal),
    Ident(String),
    /// `operand.field`, or with `test` `has(operand.field)`.
    Select(Box<Select>),
    Call(Box<Call>),
    List(Vec<Element>),
    Map(Vec<Entry>),
    Struct(String, Vec<Field>),
    Comprehension(Box<Comprehension>),
    /// In the place of what was in error.
    Unspecified,
}

#[derive(Clone, Debug)]
pub(super) struct Select {
    pub(super) operand: Expr,
    pub(super) field: String,
    pub(super) test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Value,
    Presence,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) function: String,
    pub(super) target: Option<Expr>,
    pub(super) args: Vec<Expr>,
}

#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) value: Expr,
    pub(super) optional: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Expr,
    pub(super) value: Expr,
    pub(super) optional: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) value: Expr,
}

#[derive(Clone, Debug)]
pub(super) struct Comprehension {
    pub(super) range: Expr,
    /// The element, or the key where `iter2` has the value.
    pub(super) iter: String,
    pub(super) iter2: Option<String>,
    pub(super) accu: String,
    pub(super) init: Expr,
    pub(super) condition: Expr,
    pub(super) step: Expr,
    pub(super) result: Expr,
}

impl Comprehension {
    /// A variable for one expression, not a loop: what optMap makes.
    pub(super) fn is_bind(&self) -> bool {
        matches!(&self.range.kind, Kind::List(elements) if elements.is_empty())
            && matches!(self.condition.kind, Kind::Literal(Literal::Bool(false)))
    }
}

impl Expr {
    pub(super) fn as_ident(&self) -> Option<&str> {
        match &self.kind {
            Kind::Ident(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn as_call(&self) -> Option<&Call> {
        match &self.kind {
            Kind::Call(call) => Some(call),
            _ => None,
        }
    }

    pub(super) fn as_string(&self) -> Option<&str> {
        match &self.kind {
            Kind::Literal(Literal::String(text)) => Some(text),
            _ => None,
        }
    }

    /// "a.b.c" for nothing but identifiers and selections.
    pub(super) fn qualified_name(&self) -> Option<String> {
        match &self.kind {
            Kind::Ident(name) => Some(name.clone()),
            Kind::Select(select) if select.test == Test::Value => {
                Some(format!("{}.{}", select.operand.qualified_name()?, select.field))
            }
            _ => None,
        }
    }

    /// Visits this and everything below, parents first.
    pub(super) fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    pub(super) fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            Kind::Literal(_) | Kind::Ident(_) | Kind::Unspecified => Vec::new(),
            Kind::Select(select) => vec![&select.operand],
            Kind::Call(call) => call.target.iter().chain(&call.args).collect(),
            Kind::List(elements) => elements.iter().map(|element| &element.value).collect(),
            Kind::Map(entries) => entries.iter().flat_map(|entry| [&entry.key, &entry.value]).collect(),
            Kind::Struct(_, fields) => fields.iter().map(|field| &field.value).collect(),
            Kind::Comprehension(fold) => {
                vec![&fold.range, &fold.init, &fold.condition, &fold.step, &fold.result]
            }
        }
    }
}

/// The tree and the positions of its nodes.
pub(super) struct Ast {
    pub(super) root: Expr,
    pub(super) source_info: SourceInfo,
}

/// Where each node starts, in code points, as cel-go's SourceInfo.
pub(super) struct SourceInfo {
    lines: Lines,
    offsets: Vec<Option<usize>>,
}

impl SourceInfo {
    pub(super) fn of(source: &str) -> SourceInfo {
        // Numbers begin at 1.
        SourceInfo { lines: Lines::of(source), offsets: vec![None] }
    }

    pub(super) fn add(&mut self, offset: Option<usize>) -> Id {
        self.offsets.push(offset);
        self.offsets.len() - 1
    }

    /// Takes a number back whose node is replaced by a macro's expansion.
    pub(super) fn forget(&mut self, id: Id) {
        if id + 1 == self.offsets.len() {
            self.offsets.pop();
        } else {
            self.offsets[id] = None;
        }
    }

    pub(super) fn set(&mut self, id: Id, offset: usize) {
        self.offsets[id] = Some(offset);
    }

    pub(super) fn offset(&self, id: Id) -> Option<usize> {
        self.offsets.get(id).copied().flatten()
    }

    pub(super) fn location(&self, id: Id) -> Location {
        self.offset(id).map_or(Location::NONE, |offset| self.locate(offset))
    }

    pub(super) fn locate(&self, offset: usize) -> Location {
        self.lines.location(offset)
    }

    /// One more than the highest number.
    pub(super) fn count(&self) -> usize {
        self.offsets.len()
    }
}
