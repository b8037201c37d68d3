//! Turns a checked tree into what is run: constants computed ahead, patterns compiled, variables by their places.
//!
//! The shape follows cel-go's, since what an evaluation costs depends on it: selections and indexes are qualifiers of
//! an attribute, and a branch of a conditional is not charged by itself. Not here: the run (`eval`).

use std::{collections::HashSet, sync::Arc};

use super::{
    ast::{Call, Comprehension, Element, Entry, Expr, Kind, Literal, Select, Test},
    checker::Checked,
    env::Env,
    eval,
    library::type_by_name,
    node::{Append, Attr, Base, CallNode, Conditional, Equal, Fold, Item, KeyOf, Logic, Node, OrKind, Qualifier},
    value::{Evaluated, Key, List, Val},
};
use crate::api::schema::scalar::pattern::Regex;

/// What the run needs to know.
pub(super) struct Plan {
    pub(super) root: Node,
    pub(super) variables: Vec<String>,
    pub(super) slots: usize,
}

/// The error says why a program cannot be made of an expression that compiles.
pub(super) fn plan(checked: &Checked, env: &Env) -> Result<Plan, String> {
    let mut planner = Planner { checked, env, variables: Vec::new(), locals: Vec::new(), slots: 0 };
    let root = planner.plan(&checked.root)?;
    Ok(Plan { root, variables: planner.variables, slots: planner.slots })
}

struct Planner<'c> {
    checked: &'c Checked,
    env: &'c Env,
    variables: Vec<String>,
    /// Names of the slots, innermost last; None for one that has no name now.
    locals: Vec<Option<String>>,
    slots: usize,
}

type Planned = Result<Node, String>;

const CONVERSIONS: [&str; 10] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"];

pub(super) fn constant(literal: &Literal) -> Val<'static> {
    match literal {
        Literal::Null => Val::Null,
        Literal::Bool(truth) => Val::Bool(*truth),
        Literal::Int(number) => Val::Int(*number),
        Literal::Uint(number) => Val::Uint(*number),
        Literal::Double(number) => Val::Double(*number),
        Literal::String(text) => Val::from(text.clone()),
        Literal::Bytes(bytes) => Val::Bytes(bytes.as_slice().into()),
    }
}

fn of_result(result: Evaluated<'static>) -> Node {
    result.map_or_else(Node::Failed, Node::Const)
}

impl Planner<'_> {
    fn plan(&mut self, expr: &Expr) -> Planned {
        match &expr.kind {
            Kind::Literal(literal) => Ok(Node::Const(constant(literal))),
            Kind::Ident(name) => Ok(self.ident(name)),
            Kind::Select(select) => self.select(select),
            Kind::Call(call) => self.call(expr, call),
            Kind::List(elements) => self.list(elements),
            Kind::Map(entries) => self.map(entries),
            Kind::Comprehension(fold) => self.fold(fold),
            Kind::Struct(name, _) => Err(format!("unknown type: {name}")),
            Kind::Unspecified => Err("unsupported expr".to_owned()),
        }
    }

    fn local(&self, name: &str) -> Option<usize> {
        self.locals.iter().rposition(|local| local.as_deref() == Some(name))
    }

    fn ident(&mut self, name: &str) -> Node {
        if let Some(slot) = self.local(name) {
            return Node::Attr(Box::new(Attr::new(Base::Local(slot))));
        }
        if self.env.variable(name).is_none()
            && let Some(of) = type_by_name(name)
        {
            return Node::Const(Val::Type(of.name().into_owned().into()));
        }
        let known = self.variables.iter().position(|variable| variable == name);
        let at = known.unwrap_or_else(|| {
            self.variables.push(name.to_owned());
            self.variables.len() - 1
        });
        Node::Attr(Box::new(Attr::new(Base::Variable(at))))
    }

    fn select(&mut self, select: &Select) -> Planned {
        let key = KeyOf::Const(Val::from(select.field.clone()));
        let qualifier = Qualifier { key, optional: false, test: select.test };
        let mut attr = match select.operand.as_ident() {
            Some(name) if self.env.is_lazy(name) && self.local(name).is_none() && select.test == Test::Value => {
                return Ok(Node::Attr(Box::new(Attr::new(Base::LazyField(select.field.clone())))));
            }
            _ => Attr::of(self.plan(&select.operand)?),
        };
        attr.push(qualifier);
        attr.test = select.test;
        Ok(Node::Attr(Box::new(attr)))
    }

    fn index(&mut self, operand: Node, index: Node, optional: bool) -> Node {
        let mut attr = Attr::of(operand);
        let key = match index {
            Node::Const(key) => KeyOf::Const(key),
            Node::Attr(key) => KeyOf::Attr(key),
            other => KeyOf::Node(Box::new(other)),
        };
        attr.push(Qualifier { key, optional, test: Test::Value });
        Node::Attr(Box::new(attr))
    }

    fn call(&mut self, expr: &Expr, call: &Call) -> Planned {
        if let Some(node) = self.accumulation(expr, call)? {
            return Ok(node);
        }
        let operands = call.target.iter().chain(&call.args);
        let args: Vec<Node> = operands.map(|operand| self.plan(operand)).collect::<Result<_, _>>()?;
        let args = match self.operator(&call.function, args) {
            Ok(node) => return Ok(node),
            Err(args) => args,
        };
        let Some(function) = self.env.function(&call.function) else {
            return Err(format!("no such overload: {}", call.function));
        };
        let overload = match self.checked.overloads(expr) {
            [only] => Some(*only),
            _ => None,
        };
        if let [Node::Const(arg)] = &args[..]
            && CONVERSIONS.contains(&function.name)
        {
            return match function.call(overload, std::slice::from_ref(arg), None) {
                Ok(val) => Ok(Node::Const(val)),
                Err(error) => Err(error.to_string()),
            };
        }
        if let [_, Node::Const(Val::List(list))] = &args[..]
            && overload.is_some_and(|overload| overload.id == "in_list")
            && let Some(set) = constant_set(list)
        {
            if set.is_empty() {
                return Ok(Node::Const(Val::Bool(false)));
            }
            let [item, _] = <[Node; 2]>::try_from(args).map_err(|_| "in takes two operands".to_owned())?;
            return Ok(Node::InSet(Box::new(item), Arc::new(set)));
        }
        let regex = match (function.name, args.get(1)) {
            ("matches" | "find" | "findAll", Some(Node::Const(Val::Str(pattern)))) => Some(Regex::new(pattern)?),
            _ => None,
        };
        let dispatched = overload.is_none() && function.shared.is_none() && function.overloads.len() > 1;
        let stops_early = args.len() > 2 || dispatched || regex.is_some() || function.name == "format";
        Ok(Node::Call(Box::new(CallNode { id: expr.id, function, overload, args, regex, stops_early })))
    }

    /// Operators that decide themselves what is evaluated; all else is given back.
    fn operator(&mut self, function: &str, args: Vec<Node>) -> Result<Node, Vec<Node>> {
        let two = |args: Vec<Node>| <[Node; 2]>::try_from(args);
        Ok(match function {
            "_&&_" | "_||_" => Node::Logic(Box::new(Logic { deciding: function == "_||_", terms: two(args)? })),
            "_==_" | "_!=_" => {
                let [left, right] = two(args)?;
                Node::Equal(Box::new(Equal { negated: function == "_!=_", left, right }))
            }
            "_?:_" | "_?_:_" => {
                let [condition, yes, no] = <[Node; 3]>::try_from(args)?;
                let branches = Conditional { condition, yes: Attr::of(yes), no: Attr::of(no) };
                Node::Attr(Box::new(Attr::new(Base::Conditional(Box::new(branches)))))
            }
            "_[_]" | "_[?_]" | "_?._" => {
                let [operand, index] = two(args)?;
                self.index(operand, index, function != "_[_]")
            }
            "or" | "orValue" if args.len() == 2 => {
                let [left, right] = two(args)?;
                let kind = if function == "or" { OrKind::Optional } else { OrKind::Value };
                Node::OptionalOr(Box::new((left, right)), kind)
            }
            "@not_strictly_false" => {
                let [arg] = <[Node; 1]>::try_from(args)?;
                Node::NotStrictlyFalse(Box::new(arg))
            }
            _ => return Err(args),
        })
    }

    /// A call that adds to the accumulator of the loop that it is the step of.
    fn accumulation(&mut self, expr: &Expr, call: &Call) -> Result<Option<Node>, String> {
        let accu = call.args.first().and_then(Expr::as_ident).filter(|name| *name == super::macros::ACCUMULATOR);
        let Some(slot) = accu.and_then(|name| self.local(name)) else { return Ok(None) };
        if call.function == "cel.@mapInsert" {
            let rest = call.args[1..].iter().map(|arg| self.plan(arg)).collect::<Result<_, _>>()?;
            return Ok(Some(Node::Insert(slot, rest)));
        }
        let appends = call.function == "_+_" && matches!(self.checked.overloads(expr), [only] if only.id == "add_list");
        if !appends {
            return Ok(None);
        }
        match &call.args[1].kind {
            Kind::List(elements) if elements.len() == 1 && !elements[0].optional => {
                let item = self.plan(&elements[0].value)?;
                Ok(Some(Node::Append(Box::new(Append { slot, item }))))
            }
            _ => Ok(None),
        }
    }

    fn list(&mut self, elements: &[Element]) -> Planned {
        let mut items = Vec::with_capacity(elements.len());
        for element in elements {
            items.push(Item { node: self.plan(&element.value)?, optional: element.optional });
        }
        let fixed = items.iter().all(|item| matches!(item.node, Node::Const(_)));
        let node = Node::List(items);
        Ok(if fixed { of_result(eval::constant(&node)) } else { node })
    }

    fn map(&mut self, entries: &[Entry]) -> Planned {
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = self.plan(&entry.key)?;
            items.push((key, Item { node: self.plan(&entry.value)?, optional: entry.optional }));
        }
        let fixed = |(key, item): &(Node, Item)| matches!((key, &item.node), (Node::Const(_), Node::Const(_)));
        let fixed = items.iter().all(fixed);
        let node = Node::Map(items);
        Ok(if fixed { of_result(eval::constant(&node)) } else { node })
    }

    fn fold(&mut self, fold: &Comprehension) -> Planned {
        let init = self.plan(&fold.init)?;
        let range = self.plan(&fold.range)?;
        let slot = self.locals.len();
        self.locals.push(Some(fold.accu.clone()));
        self.locals.push(Some(fold.iter.clone()));
        self.locals.push(fold.iter2.clone());
        self.slots = self.slots.max(self.locals.len());
        let condition = self.plan(&fold.condition)?;
        let step = self.plan(&fold.step)?;
        // The result does not see the loop's own variables, but the slots stay taken.
        self.locals[slot + 1] = None;
        self.locals[slot + 2] = None;
        let result = self.plan(&fold.result)?;
        self.locals.truncate(slot);
        let two = fold.iter2.is_some();
        Ok(Node::Fold(Box::new(Fold { slot, range, two, init, condition, step, result })))
    }
}

/// The elements of a constant list as keys, if they all can be.
fn constant_set(list: &List<'static>) -> Option<HashSet<Key>> {
    let is_simple =
        |val: &Val<'_>| matches!(val, Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::Double(_) | Val::Str(_));
    list.iter().map(|item| item.ok().filter(is_simple).and_then(|item| Key::of(&item))).collect()
}
