//! What is known of the nodes of an expression: where in the declared types they are, and how large their values may
//! be.

use std::collections::HashMap;

use super::{
    super::{
        ast::{Comprehension, Expr, Id, Kind, Literal},
        checker::Checked,
        decl::{DeclKind, DeclType},
        macros,
        types::Type,
    },
    range::CostRange,
};

/// Sizes of the keys and values of a list or map.
#[derive(Clone, Copy)]
pub(super) struct EntrySize {
    pub(super) is_list: bool,
    pub(super) key: CostRange,
    pub(super) value: CostRange,
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

/// All that is known so far, by the numbers of the nodes, and the variables of the loops around the node at hand.
pub(super) struct Sizes<'c> {
    checked: &'c Checked,
    declared: Option<&'c DeclType>,
    paths: HashMap<Id, Vec<String>>,
    sizes: HashMap<Id, CostRange>,
    entries: HashMap<Id, EntrySize>,
    locals: Vec<(String, Local)>,
}

impl<'c> Sizes<'c> {
    pub(super) fn new(checked: &'c Checked, declared: Option<&'c DeclType>) -> Sizes<'c> {
        let (paths, sizes, entries) = (HashMap::new(), HashMap::new(), HashMap::new());
        Sizes { checked, declared, paths, sizes, entries, locals: Vec::new() }
    }

    /// An identifier is a variable of a loop, or a declared one.
    pub(super) fn set_ident(&mut self, expr: &Expr, name: &str) {
        let path = self.local(name).map_or_else(|| vec![name.to_owned()], |local| local.path.clone());
        self.paths.insert(expr.id, path);
    }

    /// A node is what `step` leads to from another one.
    pub(super) fn set_path(&mut self, expr: &Expr, from: &Expr, step: &str) {
        let path = self.path_into(from, step);
        self.paths.insert(expr.id, path);
    }

    pub(super) fn depth(&self) -> usize {
        self.locals.len()
    }

    /// Forgets the variables of inner loops.
    pub(super) fn truncate(&mut self, depth: usize) {
        self.locals.truncate(depth);
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

    fn push(&mut self, name: &str, local: Local) {
        self.locals.push((name.to_owned(), local));
    }

    pub(super) fn push_bound(&mut self, name: &str, to: &Expr) {
        let local = Local { path: self.path(to), size: self.size(to), entries: self.entry_size(to) };
        self.push(name, local);
    }

    /// The variables of a loop: the element, or the key and the value.
    pub(super) fn push_elements(&mut self, fold: &Comprehension) {
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

    pub(super) fn known(&mut self, expr: &'c Expr) -> Known<'c> {
        let mut path = self.path(expr);
        // Accumulators are nowhere in the declared types.
        if path.first().is_some_and(|first| [macros::ACCUMULATOR, "__result__"].contains(&first.as_str())) {
            path.clear();
        }
        Known { expr: Some(expr), path, of: self.checked.type_of(expr).clone(), size: self.size(expr) }
    }

    pub(super) fn set_size(&mut self, expr: &Expr, size: Option<CostRange>) {
        if let Some(size) = size {
            self.sizes.insert(expr.id, size);
        }
    }

    pub(super) fn set_entry_size(&mut self, expr: &Expr, entries: Option<EntrySize>) {
        if let Some(entries) = entries {
            self.entries.insert(expr.id, entries);
        }
    }

    pub(super) fn copy_sizes(&mut self, to: &Expr, from: &Expr) {
        let size = self.size(from);
        self.set_size(to, size);
        let entries = self.entry_size(from);
        self.set_entry_size(to, entries);
    }

    pub(super) fn size_or_unknown(&mut self, expr: &Expr) -> CostRange {
        self.size(expr).unwrap_or(CostRange::UNKNOWN)
    }

    pub(super) fn size(&mut self, expr: &Expr) -> Option<CostRange> {
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
        let mut at = self.declared?;
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
