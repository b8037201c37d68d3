//! The steps of a run: what `plan` makes of a checked tree, and `eval` runs.

use std::{collections::HashSet, sync::Arc};

use super::{
    ast::Test,
    library::{Function, Overload},
    value::{EvalError, Key, Val},
};
use crate::api::schema::scalar::pattern::Regex;

/// One step of a run.
#[derive(Clone)]
pub(super) enum Node {
    Const(Val<'static>),
    /// What cannot be computed ahead though it is constant; it fails where it is reached.
    Failed(EvalError),
    Attr(Box<Attr>),
    Call(Box<CallNode>),
    Logic(Box<Logic>),
    Equal(Box<Equal>),
    NotStrictlyFalse(Box<Node>),
    /// `a.or(b)` and `a.orValue(b)`
    OptionalOr(Box<(Node, Node)>, OrKind),
    List(Vec<Item>),
    Map(Vec<(Node, Item)>),
    /// `x in [1, 2, 3]`
    InSet(Box<Node>, Arc<HashSet<Key>>),
    Fold(Box<Fold>),
    /// `accumulator + [item]`, in place.
    Append(Box<Append>),
    /// An entry put into the accumulator, in place.
    Insert(usize, Vec<Node>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OrKind {
    Optional,
    Value,
}

#[derive(Clone)]
pub(super) struct Item {
    pub(super) node: Node,
    pub(super) optional: bool,
}

#[derive(Clone)]
pub(super) struct Append {
    pub(super) slot: usize,
    pub(super) item: Node,
}

/// A variable or another start, and what is selected from it.
#[derive(Clone)]
pub(super) struct Attr {
    pub(super) base: Base,
    pub(super) qualifiers: Vec<Qualifier>,
    /// Whether only the presence of the last is asked for.
    pub(super) test: Test,
}

#[derive(Clone)]
pub(super) enum Base {
    Variable(usize),
    /// A field of the variable whose fields are computed when asked for.
    LazyField(String),
    Local(usize),
    Operand(Node),
    Conditional(Box<Conditional>),
}

#[derive(Clone)]
pub(super) struct Conditional {
    pub(super) condition: Node,
    pub(super) yes: Attr,
    pub(super) no: Attr,
}

#[derive(Clone)]
pub(super) struct Qualifier {
    pub(super) key: KeyOf,
    pub(super) optional: bool,
    pub(super) test: Test,
}

#[derive(Clone)]
pub(super) enum KeyOf {
    Const(Val<'static>),
    Attr(Box<Attr>),
    Node(Box<Node>),
}

#[derive(Clone)]
pub(super) struct CallNode {
    pub(super) id: usize,
    pub(super) function: &'static Function,
    /// Where the types left only one.
    pub(super) overload: Option<&'static Overload>,
    pub(super) args: Vec<Node>,
    pub(super) regex: Option<Regex>,
    /// Whether arguments after one that fails are not looked at.
    pub(super) stops_early: bool,
}

#[derive(Clone)]
pub(super) struct Logic {
    /// The value that decides without the other side.
    pub(super) deciding: bool,
    pub(super) terms: [Node; 2],
}

#[derive(Clone)]
pub(super) struct Equal {
    pub(super) negated: bool,
    pub(super) left: Node,
    pub(super) right: Node,
}

/// A loop. Its variables are slots that follow each other: the accumulator, then one or two for the element.
#[derive(Clone)]
pub(super) struct Fold {
    pub(super) slot: usize,
    pub(super) range: Node,
    pub(super) two: bool,
    pub(super) init: Node,
    pub(super) condition: Node,
    pub(super) step: Node,
    pub(super) result: Node,
}

impl Attr {
    pub(super) fn new(base: Base) -> Attr {
        Attr { base, qualifiers: Vec::new(), test: Test::Value }
    }

    /// Of a conditional, both branches are qualified.
    pub(super) fn push(&mut self, qualifier: Qualifier) {
        match &mut self.base {
            Base::Conditional(branches) => {
                branches.yes.push(qualifier.clone());
                branches.no.push(qualifier);
            }
            _ => self.qualifiers.push(qualifier),
        }
    }

    pub(super) fn of(node: Node) -> Attr {
        match node {
            Node::Attr(attr) if attr.test == Test::Value => *attr,
            other => Attr::new(Base::Operand(other)),
        }
    }
}
