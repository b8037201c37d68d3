//! Runs a plan. In: values of variables and a limit of costs. Out: a value or an error, and what it cost.

use super::{
    ast::Test,
    cost_model::{LIST_CREATE, MAP_CREATE},
    equal::equal,
    node::{Attr, Base, CallNode, Conditional, Equal, Item, KeyOf, Logic, Node, OrKind, Qualifier},
    runtime_cost,
    value::{Entries, EvalError, Evaluated, Key, Map, Val, fail, no_such_overload},
};

/// Fields of the one variable whose fields are computed when they are asked for.
pub trait LazyFields<'a> {
    /// None where there is no such field.
    fn field(&self, name: &str) -> Option<Evaluated<'a>>;
}

/// Where the values of one run are.
pub(super) struct Machine<'a, 'm> {
    /// By the program's own numbers.
    pub(super) variables: Vec<Option<Val<'a>>>,
    pub(super) names: &'a [String],
    pub(super) lazy: Option<&'m dyn LazyFields<'a>>,
    pub(super) locals: Vec<Slot<'a>>,
    pub(super) cost: u64,
    pub(super) limit: u64,
}

/// A variable of a loop.
#[derive(Clone)]
pub(super) enum Slot<'a> {
    Empty,
    /// Computed at its first use.
    Pending(&'a Node),
    Set(Evaluated<'a>),
}

/// A value that needs no variables.
pub(super) fn constant(node: &Node) -> Evaluated<'static> {
    let convert = |item: &Item| match &item.node {
        Node::Const(val) => included(val.clone(), item.optional),
        _ => no_such_overload(),
    };
    match node {
        Node::List(items) => {
            let mut vals = Vec::with_capacity(items.len());
            for item in items {
                vals.extend(convert(item)?);
            }
            Ok(Val::from(vals))
        }
        Node::Map(items) => {
            let mut entries = Entries::default();
            for (key, item) in items {
                if let (Node::Const(key), Some(val)) = (key, convert(item)?) {
                    entries.set(key.clone(), val)?;
                }
            }
            Ok(Val::Map(Map::Owned(entries.into())))
        }
        _ => no_such_overload(),
    }
}

/// The value of an element; of an optional one what is in it, or nothing.
fn included<'a>(val: Val<'a>, optional: bool) -> Result<Option<Val<'a>>, EvalError> {
    match (optional, val) {
        (false, val) => Ok(Some(val)),
        (true, Val::Optional(inner)) => Ok(inner.map(|inner| (*inner).clone())),
        (true, other) => {
            fail(format!("cannot initialize optional list element from non-optional value {}", other.shown()))
        }
    }
}

impl<'a> Machine<'a, '_> {
    pub(super) fn charge(&mut self, cost: u64) -> Result<(), EvalError> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > self.limit { Err(EvalError::CostLimit) } else { Ok(()) }
    }

    pub(super) fn eval(&mut self, node: &'a Node) -> Evaluated<'a> {
        match node {
            Node::Const(val) => Ok(val.clone()),
            Node::Failed(error) => Err(error.clone()),
            Node::Attr(attr) => self.attr(attr),
            Node::Call(call) => self.call(call),
            Node::Logic(logic) => self.logic(logic),
            Node::Equal(both) => self.equal(both),
            Node::NotStrictlyFalse(arg) => {
                let arg = self.eval(arg);
                self.charge(1)?;
                match arg {
                    Ok(Val::Bool(truth)) => Ok(Val::Bool(truth)),
                    Err(EvalError::CostLimit) => Err(EvalError::CostLimit),
                    _ => Ok(Val::Bool(true)),
                }
            }
            Node::OptionalOr(sides, kind) => self.optional_or(&sides.0, &sides.1, *kind),
            Node::List(items) => self.list(items),
            Node::Map(items) => self.map(items),
            Node::InSet(item, set) => {
                let item = self.eval(item)?;
                Ok(Val::Bool(Key::of(&item).is_some_and(|key| set.contains(&key))))
            }
            Node::Fold(fold) => self.fold(fold),
            Node::Append(append) => self.append(append),
            Node::Insert(slot, rest) => self.insert(*slot, rest),
        }
    }

    fn attr(&mut self, attr: &'a Attr) -> Evaluated<'a> {
        let resolved = self.resolve(attr);
        if let Err(EvalError::CostLimit) = resolved {
            return resolved;
        }
        // Branches of a conditional are charged, the conditional is not; a test of presence is free.
        let charged = !matches!(attr.base, Base::Conditional(_));
        match (charged, attr.test) {
            (true, Test::Value) => self.charge(1)?,
            (false, Test::Presence) => self.cost = self.cost.saturating_sub(1),
            _ => {}
        }
        match (resolved, attr.test) {
            (Ok(Val::Optional(inner)), Test::Presence) => Ok(Val::Bool(inner.is_some())),
            (resolved, _) => resolved,
        }
    }

    /// The value of an attribute, with only its qualifiers and operands charged.
    fn resolve(&mut self, attr: &'a Attr) -> Evaluated<'a> {
        let start = match &attr.base {
            Base::Variable(at) => match self.variables.get(*at) {
                Some(Some(val)) => val.clone(),
                _ => {
                    let name = self.names.get(*at).map_or("", String::as_str);
                    return fail(format!("no such attribute(s): {name}"));
                }
            },
            Base::LazyField(name) => {
                self.charge(1)?;
                match self.lazy.and_then(|lazy| lazy.field(name)) {
                    Some(val) => val?,
                    None => return fail(format!("no such key: {name}")),
                }
            }
            Base::Local(slot) => self.local(*slot)?,
            Base::Operand(node) => self.eval(node)?,
            Base::Conditional(branches) => return self.conditional(branches),
        };
        self.qualify_all(start, &attr.qualifiers)
    }

    fn conditional(&mut self, branches: &'a Conditional) -> Evaluated<'a> {
        match self.eval(&branches.condition)? {
            Val::Bool(true) => self.resolve(&branches.yes),
            Val::Bool(false) => self.resolve(&branches.no),
            _ => no_such_overload(),
        }
    }

    pub(super) fn local(&mut self, slot: usize) -> Evaluated<'a> {
        match &self.locals[slot] {
            Slot::Set(val) => val.clone(),
            Slot::Pending(init) => {
                let init = *init;
                let val = self.eval(init);
                self.locals[slot] = Slot::Set(val.clone());
                val
            }
            Slot::Empty => fail("no such attribute(s): a variable of a loop"),
        }
    }

    fn qualify_all(&mut self, start: Val<'a>, qualifiers: &'a [Qualifier]) -> Evaluated<'a> {
        let (mut val, mut optional) = match start {
            Val::Optional(None) => return Ok(Val::none()),
            Val::Optional(Some(inner)) => (unwrapped((*inner).clone()), true),
            other => (other, false),
        };
        for qualifier in qualifiers {
            optional |= qualifier.optional;
            let key = match &qualifier.key {
                KeyOf::Const(key) => Ok(key.clone()),
                KeyOf::Attr(attr) => self.resolve(attr),
                KeyOf::Node(node) => self.eval(node),
            };
            let presence = optional || qualifier.test == Test::Presence;
            let found = key.and_then(|key| qualify(&val, &key, presence));
            if let Err(EvalError::CostLimit) = found {
                return Err(EvalError::CostLimit);
            }
            // Of an optional, only what is there is charged.
            if !optional || matches!(found, Ok(Some(_))) {
                self.charge(1)?;
            }
            val = match found? {
                Some(_) if qualifier.test == Test::Presence => Val::Bool(true),
                Some(found) => found,
                None if optional => return Ok(Val::none()),
                None => Val::Bool(false),
            };
        }
        Ok(if optional { Val::some(val) } else { val })
    }

    fn call(&mut self, call: &'a CallNode) -> Evaluated<'a> {
        let mut args = Vec::with_capacity(call.args.len());
        let mut failed = None;
        for (at, arg) in call.args.iter().enumerate() {
            match self.eval(arg) {
                Ok(val) => args.push(val),
                Err(EvalError::CostLimit) => return Err(EvalError::CostLimit),
                Err(error) if call.stops_early => {
                    // The last argument fails: all of them were looked at, which costs what the call costs.
                    if at + 1 == call.args.len() {
                        args.push(Val::Null);
                        self.charge(runtime_cost::of_call(call, &args, None))?;
                    }
                    return Err(error);
                }
                Err(error) => {
                    // It costs what a value without a size costs.
                    args.push(Val::Null);
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failed {
            self.charge(runtime_cost::of_call(call, &args, None))?;
            return Err(error);
        }
        let result = match call.function.call(call.overload, &args, call.regex.as_ref()) {
            Err(EvalError::Failed(message)) if call.stops_early && message == no_shared_overload(call) => {
                fail(format!("{message} {}", call.id))
            }
            other => other,
        };
        self.charge(runtime_cost::of_call(call, &args, result.as_ref().ok()))?;
        result
    }

    fn logic(&mut self, logic: &'a Logic) -> Evaluated<'a> {
        let mut failure = None;
        for term in &logic.terms {
            match self.eval(term) {
                Ok(Val::Bool(truth)) if truth == logic.deciding => return Ok(Val::Bool(truth)),
                Ok(Val::Bool(_)) => {}
                Ok(_) => {
                    failure.get_or_insert(EvalError::Failed("no such overload".into()));
                }
                Err(EvalError::CostLimit) => return Err(EvalError::CostLimit),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(Val::Bool(!logic.deciding)), Err)
    }

    fn equal(&mut self, both: &'a Equal) -> Evaluated<'a> {
        let left = self.eval(&both.left);
        if let Err(EvalError::CostLimit) = left {
            return left;
        }
        let right = self.eval(&both.right);
        if let Err(EvalError::CostLimit) = right {
            return right;
        }
        self.charge(runtime_cost::of_equality(left.as_ref().ok(), right.as_ref().ok(), both.negated))?;
        let same = equal(&left?, &right?);
        match (both.negated, same) {
            (false, same) => same.map(Val::Bool),
            (true, Ok(same)) => Ok(Val::Bool(!same)),
            // What cannot be compared is different.
            (true, Err(EvalError::Failed(_))) => Ok(Val::Bool(true)),
            (true, Err(error)) => Err(error),
        }
    }

    fn optional_or(&mut self, left: &'a Node, right: &'a Node, kind: OrKind) -> Evaluated<'a> {
        match (self.eval(left)?, kind) {
            (Val::Optional(Some(inner)), OrKind::Value) => Ok((*inner).clone()),
            (Val::Optional(None), _) => self.eval(right),
            (other, _) => Ok(other),
        }
    }

    fn list(&mut self, items: &'a [Item]) -> Evaluated<'a> {
        let mut vals = Vec::with_capacity(items.len());
        let mut failure = None;
        for item in items {
            match self.eval(&item.node).and_then(|val| included(val, item.optional)) {
                Ok(val) => vals.extend(val),
                Err(EvalError::CostLimit) => return Err(EvalError::CostLimit),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        self.charge(LIST_CREATE)?;
        failure.map_or(Ok(Val::from(vals)), Err)
    }

    fn map(&mut self, items: &'a [(Node, Item)]) -> Evaluated<'a> {
        let built = self.entries(items);
        if let Err(EvalError::CostLimit) = built {
            return Err(EvalError::CostLimit);
        }
        self.charge(MAP_CREATE)?;
        Ok(Val::Map(Map::Owned(built?.into())))
    }

    fn entries(&mut self, items: &'a [(Node, Item)]) -> Result<Entries<'a>, EvalError> {
        let mut entries = Entries::default();
        for (key, item) in items {
            let key = self.eval(key)?;
            let val = self.eval(&item.node)?;
            let val = match (item.optional, val) {
                (true, Val::Optional(None)) => continue,
                (true, Val::Optional(Some(inner))) => (*inner).clone(),
                (true, other) => {
                    let (key, other) = (key.shown(), other.shown());
                    return fail(format!("cannot initialize optional entry '{key}' from non-optional value {other}"));
                }
                (false, val) => val,
            };
            entries.set(key, val)?;
        }
        Ok(entries)
    }
}

/// An optional in an optional is lost, as in the original.
fn unwrapped(val: Val<'_>) -> Val<'_> {
    match val {
        Val::Optional(None) => Val::Null,
        Val::Optional(Some(inner)) => unwrapped((*inner).clone()),
        other => other,
    }
}

fn no_shared_overload(call: &CallNode) -> String {
    format!("no such overload: {}", call.function.name)
}

/// One step into a value. None where nothing is there and only that is asked.
fn qualify<'a>(val: &Val<'a>, key: &Val<'_>, presence: bool) -> Result<Option<Val<'a>>, EvalError> {
    let missing = |what: &str| if presence { Ok(None) } else { fail(format!("{what}: {}", key.shown())) };
    match val {
        Val::Map(map) => match map.find(key) {
            Some(found) => found.map(Some),
            None => missing("no such key"),
        },
        Val::List(list) => {
            let at = index(key)?;
            match usize::try_from(at).ok().and_then(|at| list.get(at)) {
                Some(found) => found.map(Some),
                None => missing("index out of bounds"),
            }
        }
        _ => missing("no such key"),
    }
}

/// An index of a list; numbers of other types will do where they are whole.
fn index(key: &Val<'_>) -> Result<i64, EvalError> {
    let refuse = || fail(format!("unsupported index value {} in list", key.shown()));
    match key {
        Val::Int(at) => Ok(*at),
        Val::Uint(at) => i64::try_from(*at).or_else(|_| refuse()),
        Val::Double(at) if at.fract() == 0.0 && at.abs() < 9e18 => Ok(*at as i64),
        Val::Double(_) => refuse(),
        other => fail(format!("unsupported index type '{}' in list", other.type_name())),
    }
}
