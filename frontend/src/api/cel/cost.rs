//! What an expression may cost, found before it runs: from the sizes that schemas declare and the shape of the tree.
//!
//! The numbers are an interface: rules of custom resources are refused by them. Costs of single functions are in
//! `cost_calls`.

use std::collections::HashMap;

use super::{
    ast::{Comprehension, Element, Entry, Expr, Id, Kind, Literal, Select, Test},
    checker::Checked,
    cost_calls,
    decl::{DeclKind, DeclType},
    env::Env,
    types::Type,
};

/// A least and a greatest number, of costs or of sizes. Sums and products stay at the greatest number there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostRange {
    pub min: u64,
    pub max: u64,
}

impl CostRange {
    pub(super) const ZERO: CostRange = CostRange::fixed(0);
    pub(super) const UNKNOWN: CostRange = CostRange { min: 0, max: u64::MAX };
    /// Unites with anything to that.
    const NOTHING: CostRange = CostRange { min: u64::MAX, max: 0 };

    pub(super) const fn fixed(number: u64) -> CostRange {
        CostRange { min: number, max: number }
    }

    pub(super) fn plus(self, other: CostRange) -> CostRange {
        CostRange { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub(super) fn times(self, other: CostRange) -> CostRange {
        CostRange { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Rounded up.
    pub(super) fn scaled(self, factor: f64) -> CostRange {
        CostRange { min: scale(self.min, factor), max: scale(self.max, factor) }
    }

    pub(super) fn union(self, other: CostRange) -> CostRange {
        CostRange { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

pub(super) fn scale(number: u64, factor: f64) -> u64 {
    const END: f64 = 18_446_744_073_709_551_616.0;
    let number = number as f64;
    if number > 0.0 && factor > 0.0 && number > END / factor {
        return u64::MAX;
    }
    let product = (number * factor).ceil();
    if product >= END { u64::MAX } else { product as u64 }
}

const SELECT: CostRange = CostRange::fixed(1);
const LIST_CREATE: CostRange = CostRange::fixed(10);
const MAP_CREATE: CostRange = CostRange::fixed(30);
const STRUCT_CREATE: CostRange = CostRange::fixed(40);

/// Sizes of the keys and values of a list or map.
#[derive(Clone, Copy)]
pub(super) struct EntrySize {
    is_list: bool,
    key: CostRange,
    value: CostRange,
}

impl EntrySize {
    fn union(a: Option<EntrySize>, b: Option<EntrySize>) -> Option<EntrySize> {
        let (a, b) = (a?, b?);
        Some(EntrySize { is_list: a.is_list, key: a.key.union(b.key), value: a.value.union(b.value) })
    }
}

/// What is known of a node: where in the declared types it is, its type and its size.
pub(super) struct Known<'e> {
    pub(super) expr: Option<&'e Expr>,
    pub(super) path: Vec<String>,
    pub(super) of: Type,
    pub(super) size: Option<CostRange>,
}

#[derive(Clone)]
struct Local {
    path: Vec<String>,
    size: Option<CostRange>,
    entries: Option<EntrySize>,
}

pub(super) fn estimate(checked: &Checked, env: &Env) -> CostRange {
    let mut coster = Coster {
        checked,
        sizes_of: env.sizes(),
        paths: HashMap::new(),
        sizes: HashMap::new(),
        entries: HashMap::new(),
        locals: Vec::new(),
    };
    coster.cost(&checked.root)
}

pub(super) struct Coster<'c> {
    checked: &'c Checked,
    sizes_of: Option<&'c DeclType>,
    paths: HashMap<Id, Vec<String>>,
    sizes: HashMap<Id, CostRange>,
    entries: HashMap<Id, EntrySize>,
    locals: Vec<(String, Local)>,
}

impl<'c> Coster<'c> {
    fn cost(&mut self, expr: &'c Expr) -> CostRange {
        match &expr.kind {
            Kind::Literal(_) | Kind::Unspecified => CostRange::ZERO,
            Kind::Ident(name) => {
                let path = self.local(name).map_or_else(|| vec![name.clone()], |local| local.path.clone());
                self.paths.insert(expr.id, path);
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

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|(known, _)| known == name).map(|(_, local)| local)
    }

    fn path(&self, expr: &Expr) -> Vec<String> {
        if let Some(local) = expr.as_ident().and_then(|name| self.local(name)) {
            return local.path.clone();
        }
        self.paths.get(&expr.id).cloned().unwrap_or_default()
    }

    fn path_into(&self, expr: &Expr, step: &str) -> Vec<String> {
        let mut path = self.path(expr);
        path.push(step.to_owned());
        path
    }

    fn select(&mut self, expr: &'c Expr, select: &'c Select) -> CostRange {
        let cost = self.cost(&select.operand);
        if select.test == Test::Presence {
            return cost;
        }
        let path = self.path_into(&select.operand, &select.field);
        self.paths.insert(expr.id, path);
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
            self.copy_sizes(expr, arg);
            return cost.plus(CostRange::fixed(1));
        }
        let arg_costs: Vec<CostRange> = call.args.iter().map(|arg| self.cost(arg)).collect();
        let args: Vec<Known<'c>> = call.args.iter().map(|arg| self.known(arg)).collect();
        let overloads = self.checked.overloads(expr);
        if overloads.is_empty() {
            return CostRange::ZERO;
        }
        let (mut sum, mut target) = (CostRange::ZERO, None);
        if let Some(expr) = &call.target {
            sum = self.cost(expr);
            target = Some(self.known(expr));
        }
        let (mut cost, mut size) = (CostRange::NOTHING, None);
        for overload in overloads {
            let question = cost_calls::Question {
                function: &call.function,
                overload: overload.id,
                target: target.as_ref(),
                args: &args,
                arg_costs: &arg_costs,
            };
            let answer = cost_calls::estimate(self, expr, &question);
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
                size = self.entry_size(first).map(|entries| entries.value);
                let path = self.path_into(first, step);
                self.paths.insert(expr.id, path);
            }
            if size.is_none() {
                size = self.size(expr);
            }
        }
        self.set_size(expr, size);
        sum.plus(cost)
    }

    fn list(&mut self, expr: &'c Expr, elements: &'c [Element]) -> CostRange {
        let (mut cost, mut size) = (LIST_CREATE, CostRange::NOTHING);
        if elements.is_empty() {
            size.min = 0;
        }
        for element in elements {
            cost = cost.plus(self.cost(&element.value));
            size = size.union(self.size_or_unknown(&element.value));
        }
        self.entries.insert(expr.id, EntrySize { is_list: true, key: CostRange::fixed(1), value: size });
        cost
    }

    fn map(&mut self, expr: &'c Expr, entries: &'c [Entry]) -> CostRange {
        let (mut cost, mut key, mut value) = (MAP_CREATE, CostRange::NOTHING, CostRange::NOTHING);
        if entries.is_empty() {
            (key.min, value.min) = (0, 0);
        }
        for entry in entries {
            cost = cost.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
            key = key.union(self.size_or_unknown(&entry.key));
            value = value.union(self.size_or_unknown(&entry.value));
        }
        self.entries.insert(expr.id, EntrySize { is_list: false, key, value });
        cost
    }

    fn push(&mut self, name: &str, local: Local) {
        self.locals.push((name.to_owned(), local));
    }

    fn push_bound(&mut self, name: &str, to: &Expr) {
        let local = Local { path: self.path(to), size: self.size(to), entries: self.entry_size(to) };
        self.push(name, local);
    }

    /// The variables of a loop: the element, or the key and the value.
    fn push_elements(&mut self, fold: &Comprehension) {
        let entries = self.entry_size(&fold.range);
        let is_list = match entries {
            Some(entries) => entries.is_list,
            None => matches!(self.checked.type_of(&fold.range), Type::List(_)),
        };
        let key = entries.map(|entries| entries.key);
        let value = entries.map(|entries| entries.value);
        let local = |path: Vec<String>, size: Option<CostRange>| Local { path, size, entries: None };
        match &fold.iter2 {
            Some(iter2) => {
                let (keys, values) = if is_list { ("@indices", "@items") } else { ("@keys", "@values") };
                let (keys, values) = (self.path_into(&fold.range, keys), self.path_into(&fold.range, values));
                // The original keeps both paths in one array where it has room for them, and then the second stands
                // for both.
                let shared = keys.len() > 1 && !(keys.len() - 1).is_power_of_two();
                let keys = if shared { values.clone() } else { keys };
                self.push(&fold.iter, local(keys, key));
                self.push(iter2, local(values, value));
            }
            None if is_list => {
                let path = self.path_into(&fold.range, "@items");
                self.push(&fold.iter, local(path, value));
            }
            None => {
                let path = self.path_into(&fold.range, "@keys");
                self.push(&fold.iter, local(path, key));
            }
        }
    }

    fn fold(&mut self, expr: &'c Expr, fold: &'c Comprehension) -> CostRange {
        let mut sum = self.cost(&fold.range).plus(self.cost(&fold.init));
        let depth = self.locals.len();
        self.push_bound(&fold.accu, &fold.init);
        self.push_elements(fold);
        let turn = self.cost(&fold.condition).plus(self.cost(&fold.step));
        self.locals.truncate(depth + 1);
        sum = sum.plus(self.cost(&fold.result));
        self.locals.truncate(depth);
        let count = self.size_or_unknown(&fold.range);
        sum = sum.plus(count.times(turn));
        match &fold.init.kind {
            Kind::Literal(_) => {
                let size = self.size(&fold.init);
                self.set_size(expr, size);
            }
            Kind::List(_) | Kind::Map(_) => {
                self.set_size(expr, Some(count));
                let entries = self.entry_size(&fold.step);
                self.set_entry_size(expr, entries);
            }
            _ => {}
        }
        sum
    }

    fn bind(&mut self, expr: &'c Expr, fold: &'c Comprehension) -> CostRange {
        let sum = self.cost(&fold.range).plus(self.cost(&fold.init));
        let depth = self.locals.len();
        self.push_bound(&fold.accu, &fold.init);
        let sum = sum.plus(self.cost(&fold.result));
        self.locals.truncate(depth);
        self.copy_sizes(expr, &fold.result);
        sum
    }

    pub(super) fn known(&mut self, expr: &'c Expr) -> Known<'c> {
        let mut path = self.path(expr);
        // Accumulators are nowhere in the declared types.
        if path.first().is_some_and(|first| [super::macros::ACCUMULATOR, "__result__"].contains(&first.as_str())) {
            path.clear();
        }
        Known { expr: Some(expr), path, of: self.checked.type_of(expr).clone(), size: self.size(expr) }
    }

    fn set_size(&mut self, expr: &Expr, size: Option<CostRange>) {
        if let Some(size) = size {
            self.sizes.insert(expr.id, size);
        }
    }

    pub(super) fn set_entry_size(&mut self, expr: &Expr, entries: Option<EntrySize>) {
        if let Some(entries) = entries {
            self.entries.insert(expr.id, entries);
        }
    }

    fn copy_sizes(&mut self, to: &Expr, from: &Expr) {
        let size = self.size(from);
        self.set_size(to, size);
        let entries = self.entry_size(from);
        self.set_entry_size(to, entries);
    }

    pub(super) fn size_or_unknown(&mut self, expr: &Expr) -> CostRange {
        self.size(expr).unwrap_or(CostRange::UNKNOWN)
    }

    fn size(&mut self, expr: &Expr) -> Option<CostRange> {
        if let Some(size) = self.sizes.get(&expr.id) {
            return Some(*size);
        }
        if let Some(size) = literal_size(expr) {
            return Some(CostRange::fixed(size));
        }
        if let Some(size) = self.declared_size(&self.path(expr)) {
            self.sizes.insert(expr.id, size);
            return Some(size);
        }
        if is_scalar(self.checked.type_of(expr)) {
            return Some(CostRange::fixed(1));
        }
        expr.as_ident().and_then(|name| self.local(name)).and_then(|local| local.size)
    }

    /// The size that a schema declares at a path; the first step is the variable.
    pub(super) fn declared_size(&self, path: &[String]) -> Option<CostRange> {
        let (_, steps) = path.split_first()?;
        let mut at = self.sizes_of?;
        for step in steps {
            at = match (step.as_str(), &at.kind) {
                ("@items" | "@values", DeclKind::List(of, _) | DeclKind::Map(of)) => of,
                // Keys are texts of no known length.
                ("@keys", DeclKind::Map(_)) => return Some(CostRange::ZERO),
                (name, DeclKind::Object(object)) => &object.fields.get(name)?.of,
                (_, DeclKind::Map(of)) if matches!(of.kind, DeclKind::Any) => of,
                _ => return None,
            };
        }
        Some(CostRange { min: 0, max: at.max_elements as u64 })
    }

    pub(super) fn entry_size(&self, expr: &Expr) -> Option<EntrySize> {
        if let Some(entries) = self.entries.get(&expr.id) {
            return Some(*entries);
        }
        expr.as_ident().and_then(|name| self.local(name)).and_then(|local| local.entries)
    }

    pub(super) fn union_of_entries(&self, a: &Expr, b: &Expr) -> Option<EntrySize> {
        EntrySize::union(self.entry_size(a), self.entry_size(b))
    }
}

fn literal_size(expr: &Expr) -> Option<u64> {
    Some(match &expr.kind {
        Kind::Literal(Literal::String(text)) => text.chars().count() as u64,
        Kind::Literal(Literal::Bytes(bytes)) => bytes.len() as u64,
        Kind::Literal(_) => 1,
        Kind::List(elements) => elements.len() as u64,
        Kind::Map(entries) => entries.len() as u64,
        _ => return None,
    })
}

fn is_scalar(of: &Type) -> bool {
    match of {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
        _ => of.in_optional().is_some_and(is_scalar),
    }
}
