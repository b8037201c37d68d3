//! What an expression may cost, found before it runs: from the sizes that schemas declare and the shape of the tree.
//!
//! Sizes are found in `sizes`, costs of single functions in `calls`.

mod calls;
mod range;
mod sizes;

use super::{
    ast::{Comprehension, Element, Entry, Expr, Kind, Select, Test},
    checker::Checked,
    cost_model,
    env::Env,
    types::Type,
};
use sizes::{EntrySize, Known, Sizes};

pub use range::CostRange;

const SELECT: CostRange = CostRange::fixed(1);
const LIST_CREATE: CostRange = CostRange::fixed(cost_model::LIST_CREATE);
const MAP_CREATE: CostRange = CostRange::fixed(cost_model::MAP_CREATE);
const STRUCT_CREATE: CostRange = CostRange::fixed(cost_model::STRUCT_CREATE);

pub(super) fn estimate(checked: &Checked, env: &Env) -> CostRange {
    let mut coster = Coster { checked, sizes: Sizes::new(checked, env.sizes()) };
    coster.cost(&checked.root)
}

struct Coster<'c> {
    checked: &'c Checked,
    sizes: Sizes<'c>,
}

impl<'c> Coster<'c> {
    fn cost(&mut self, expr: &'c Expr) -> CostRange {
        match &expr.kind {
            Kind::Literal(_) | Kind::Unspecified => CostRange::ZERO,
            Kind::Ident(name) => {
                self.sizes.set_ident(expr, name);
                SELECT
            }
            Kind::Select(select) => self.select(expr, select),
            Kind::Call(_) => self.call(expr),
            Kind::List(elements) => self.list(expr, elements),
            Kind::Map(entries) => self.map(expr, entries),
            Kind::Struct(_, fields) => {
                fields.iter().fold(STRUCT_CREATE, |sum, field| sum.plus(self.cost(&field.value)))
            }
            Kind::Comprehension(fold) if fold.is_bind() => self.bind(expr, fold),
            Kind::Comprehension(fold) => self.fold(expr, fold),
        }
    }

    fn select(&mut self, expr: &'c Expr, select: &'c Select) -> CostRange {
        let cost = self.cost(&select.operand);
        if select.test == Test::Presence {
            return cost;
        }
        self.sizes.set_path(expr, &select.operand, &select.field);
        match self.checked.type_of(&select.operand) {
            Type::Map(_) | Type::Declared(_) | Type::Object(_) => cost.plus(SELECT),
            _ => cost,
        }
    }

    fn call(&mut self, expr: &'c Expr) -> CostRange {
        let Some(call) = expr.as_call() else { return CostRange::ZERO };
        // It only hides a type.
        if let ("dyn", [arg]) = (call.function.as_str(), &call.args[..]) {
            let cost = self.cost(arg);
            self.sizes.copy_sizes(expr, arg);
            return cost.plus(CostRange::fixed(1));
        }
        let arg_costs: Vec<CostRange> = call.args.iter().map(|arg| self.cost(arg)).collect();
        let args: Vec<Known<'c>> = call.args.iter().map(|arg| self.sizes.known(arg)).collect();
        let overloads = self.checked.overloads(expr);
        if overloads.is_empty() {
            return CostRange::ZERO;
        }
        let (mut sum, mut target) = (CostRange::ZERO, None);
        if let Some(expr) = &call.target {
            sum = self.cost(expr);
            target = Some(self.sizes.known(expr));
        }
        let (mut cost, mut size) = (CostRange::NOTHING, None);
        for overload in overloads {
            let question = calls::Question {
                function: &call.function,
                overload: overload.id,
                target: target.as_ref(),
                args: &args,
                arg_costs: &arg_costs,
            };
            let answer = calls::estimate(&mut self.sizes, expr, &question);
            cost = cost.union(answer.cost);
            if let Some(of) = answer.size {
                size = Some(size.map_or(of, |known: CostRange| known.union(of)));
            }
            let step = match overload.id {
                "index_list" => "@items",
                "index_map" => "@values",
                _ => "",
            };
            if let (false, Some(first)) = (step.is_empty(), call.args.first()) {
                size = self.sizes.entry_size(first).map(|entries| entries.value);
                self.sizes.set_path(expr, first, step);
            }
            if size.is_none() {
                size = self.sizes.size(expr);
            }
        }
        self.sizes.set_size(expr, size);
        sum.plus(cost)
    }

    fn list(&mut self, expr: &'c Expr, elements: &'c [Element]) -> CostRange {
        let (mut cost, mut size) = (LIST_CREATE, CostRange::NOTHING);
        if elements.is_empty() {
            size.min = 0;
        }
        for element in elements {
            cost = cost.plus(self.cost(&element.value));
            size = size.union(self.sizes.size_or_unknown(&element.value));
        }
        self.sizes.set_entry_size(expr, Some(EntrySize { is_list: true, key: CostRange::fixed(1), value: size }));
        cost
    }

    fn map(&mut self, expr: &'c Expr, entries: &'c [Entry]) -> CostRange {
        let (mut cost, mut key, mut value) = (MAP_CREATE, CostRange::NOTHING, CostRange::NOTHING);
        if entries.is_empty() {
            (key.min, value.min) = (0, 0);
        }
        for entry in entries {
            cost = cost.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
            key = key.union(self.sizes.size_or_unknown(&entry.key));
            value = value.union(self.sizes.size_or_unknown(&entry.value));
        }
        self.sizes.set_entry_size(expr, Some(EntrySize { is_list: false, key, value }));
        cost
    }

    fn fold(&mut self, expr: &'c Expr, fold: &'c Comprehension) -> CostRange {
        let mut sum = self.cost(&fold.range).plus(self.cost(&fold.init));
        let depth = self.sizes.depth();
        self.sizes.push_bound(&fold.accu, &fold.init);
        self.sizes.push_elements(fold);
        let iteration = self.cost(&fold.condition).plus(self.cost(&fold.step));
        self.sizes.truncate(depth + 1);
        sum = sum.plus(self.cost(&fold.result));
        self.sizes.truncate(depth);
        let count = self.sizes.size_or_unknown(&fold.range);
        sum = sum.plus(count.times(iteration));
        match &fold.init.kind {
            Kind::Literal(_) => {
                let size = self.sizes.size(&fold.init);
                self.sizes.set_size(expr, size);
            }
            Kind::List(_) | Kind::Map(_) => {
                self.sizes.set_size(expr, Some(count));
                let entries = self.sizes.entry_size(&fold.step);
                self.sizes.set_entry_size(expr, entries);
            }
            _ => {}
        }
        sum
    }

    fn bind(&mut self, expr: &'c Expr, fold: &'c Comprehension) -> CostRange {
        let sum = self.cost(&fold.range).plus(self.cost(&fold.init));
        let depth = self.sizes.depth();
        self.sizes.push_bound(&fold.accu, &fold.init);
        let sum = sum.plus(self.cost(&fold.result));
        self.sizes.truncate(depth);
        self.sizes.copy_sizes(expr, &fold.result);
        sum
    }
}
