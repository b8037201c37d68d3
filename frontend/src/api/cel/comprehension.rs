//! Loops over lists and maps, which macros are made of, and the accumulators that they change in place.

use std::sync::Arc;

use super::{
    cost_model::LIST_CREATE,
    eval::{Machine, Slot},
    library,
    node::{Append, Fold, Node},
    runtime_cost,
    value::{EvalError, Evaluated, List, Val, fail, no_such_overload},
};

impl<'a> Machine<'a, '_> {
    pub(super) fn fold(&mut self, fold: &'a Fold) -> Evaluated<'a> {
        let range = self.eval(&fold.range)?;
        let before = self.locals[fold.slot..fold.slot + 3].to_vec();
        self.locals[fold.slot] = Slot::Pending(&fold.init);
        let result = self.run_fold(fold, &range);
        self.locals[fold.slot..fold.slot + 3].clone_from_slice(&before);
        result
    }

    fn run_fold(&mut self, fold: &'a Fold, range: &Val<'a>) -> Evaluated<'a> {
        match range {
            Val::List(list) => {
                for at in 0..list.len() {
                    let item = list.get(at).unwrap_or_else(no_such_overload);
                    let (first, second) = if fold.two { (Ok(Val::Int(at as i64)), Some(item)) } else { (item, None) };
                    if !self.iterate(fold, first, second)? {
                        break;
                    }
                }
            }
            Val::Map(map) => {
                for key in map.keys() {
                    let second = if fold.two { map.find(&key) } else { None };
                    if !self.iterate(fold, Ok(key), second)? {
                        break;
                    }
                }
            }
            other => {
                let of = runtime_cost::go_type(other);
                return fail(match fold.two {
                    true => format!("unsupported comprehension range type: {of}"),
                    false => format!("got '{of}', expected iterable type"),
                });
            }
        }
        self.locals[fold.slot + 1] = Slot::Empty;
        self.locals[fold.slot + 2] = Slot::Empty;
        self.eval(&fold.result)
    }

    /// One element. False ends the loop.
    fn iterate(
        &mut self,
        fold: &'a Fold,
        first: Evaluated<'a>,
        second: Option<Evaluated<'a>>,
    ) -> Result<bool, EvalError> {
        self.locals[fold.slot + 1] = Slot::Set(first);
        if let Some(second) = second {
            self.locals[fold.slot + 2] = Slot::Set(second);
        }
        match self.eval(&fold.condition) {
            Ok(Val::Bool(false)) => return Ok(false),
            Err(EvalError::CostLimit) => return Err(EvalError::CostLimit),
            _ => {}
        }
        let step = self.eval(&fold.step);
        if let Err(EvalError::CostLimit) = step {
            return Err(EvalError::CostLimit);
        }
        self.locals[fold.slot] = Slot::Set(step);
        Ok(true)
    }

    /// Takes the accumulator out of its slot, so that it can be changed in place.
    fn take_accumulator(&mut self, slot: usize) -> Evaluated<'a> {
        let val = self.local(slot);
        self.locals[slot] = Slot::Empty;
        val
    }

    pub(super) fn append(&mut self, append: &'a Append) -> Evaluated<'a> {
        let accu = self.take_accumulator(append.slot);
        self.charge(1)?;
        let item = self.eval(&append.item);
        if let Err(EvalError::CostLimit) = item {
            return item;
        }
        // A list of a constant was made ahead.
        if !matches!(append.item, Node::Const(_)) {
            self.charge(LIST_CREATE)?;
        }
        self.charge(1)?;
        match (accu?, item?) {
            (Val::List(List::Owned(mut items)), item) => {
                Arc::make_mut(&mut items).push(item);
                Ok(Val::List(List::Owned(items)))
            }
            (other, item) => library::add(&[other, Val::from(vec![item])]),
        }
    }

    pub(super) fn insert(&mut self, slot: usize, rest: &'a [Node]) -> Evaluated<'a> {
        let accu = self.take_accumulator(slot);
        self.charge(1)?;
        // Of two operands both are looked at, of more none after one that fails.
        if rest.len() > 1 && accu.is_err() {
            return accu;
        }
        let mut args = Vec::with_capacity(rest.len());
        for node in rest {
            args.push(self.eval(node));
        }
        if args.iter().any(|arg| matches!(arg, Err(EvalError::CostLimit))) {
            return Err(EvalError::CostLimit);
        }
        self.charge(1)?;
        library::insert(accu?, args.into_iter().collect::<Result<_, _>>()?)
    }
}
