//! Finds the type of every node and the overloads of every call. In: a parsed tree and an environment. Out: the tree
//! with namespaced names resolved, the types and the overloads; or all type errors.

use super::{
    ast::{Ast, Call, Comprehension, Element, Entry, Expr, Id, Kind, Literal, Select, SourceInfo, Test},
    env::Env,
    library::{Function, Overload},
    source::{Issues, Location},
    types::Type,
    unify::{Bindings, most_general},
};

/// A tree whose types are known.
pub(super) struct Checked {
    pub(super) root: Expr,
    pub(super) source_info: SourceInfo,
    types: Vec<Option<Type>>,
    overloads: Vec<Vec<&'static Overload>>,
}

impl Checked {
    pub(super) fn type_of(&self, expr: &Expr) -> &Type {
        self.types.get(expr.id).and_then(Option::as_ref).unwrap_or(&Type::Dyn)
    }

    /// More than one where only the values decide.
    pub(super) fn overloads(&self, expr: &Expr) -> &[&'static Overload] {
        self.overloads.get(expr.id).map_or(&[], Vec::as_slice)
    }
}

pub(super) fn check(source: &str, mut ast: Ast, env: &Env) -> Result<Checked, Issues> {
    let count = ast.source_info.count();
    let mut checker = Checker {
        env,
        source_info: &ast.source_info,
        issues: Issues::new(source),
        bindings: Bindings::default(),
        locals: Vec::new(),
        types: vec![None; count],
        overloads: vec![Vec::new(); count],
    };
    checker.check(&mut ast.root);
    let Checker { issues, bindings, types, overloads, .. } = checker;
    if !issues.is_empty() {
        return Err(issues);
    }
    let types = types.into_iter().map(|of| of.map(|of| bindings.settle(&of))).collect();
    Ok(Checked { root: ast.root, source_info: ast.source_info, types, overloads })
}

struct Checker<'e> {
    env: &'e Env,
    source_info: &'e SourceInfo,
    issues: Issues,
    bindings: Bindings,
    /// Variables of the comprehensions around, innermost last.
    locals: Vec<(String, Type)>,
    types: Vec<Option<Type>>,
    overloads: Vec<Vec<&'static Overload>>,
}

impl Checker<'_> {
    fn location(&self, id: Id) -> Location {
        self.source_info.location(id)
    }

    fn report(&mut self, id: Id, message: String) {
        let at = self.location(id);
        self.issues.push(at, message);
    }

    fn set(&mut self, expr: &Expr, of: Type) {
        if let Some(slot) = self.types.get_mut(expr.id) {
            *slot = Some(of);
        }
    }

    fn type_of(&self, expr: &Expr) -> Type {
        self.types.get(expr.id).cloned().flatten().unwrap_or(Type::Error)
    }

    fn mismatch(&mut self, id: Id, expected: &Type, found: &Type) {
        let message = format!("expected type '{}' but found '{}'", expected.shown(), found.shown());
        self.report(id, message);
    }

    fn lookup(&self, name: &str) -> Option<Type> {
        let name = name.strip_prefix('.').unwrap_or(name);
        let local = self.locals.iter().rev().find(|(local, _)| local == name);
        local.map(|(_, of)| of.clone()).or_else(|| self.env.identifier(name))
    }

    fn undeclared(&mut self, expr: &Expr, name: &str) {
        self.report(expr.id, format!("undeclared reference to '{name}' (in container '')"));
        self.set(expr, Type::Error);
    }

    fn check(&mut self, expr: &mut Expr) {
        match &mut expr.kind {
            Kind::Literal(literal) => {
                let of = type_of_literal(literal);
                self.set(expr, of);
            }
            Kind::Ident(_) => self.check_ident(expr),
            Kind::Select(_) => self.check_select(expr),
            Kind::Call(_) => self.check_call(expr),
            Kind::List(elements) => {
                let of = self.check_list(elements);
                self.set(expr, Type::list(of));
            }
            Kind::Map(entries) => {
                let (key, value) = self.check_map(entries);
                self.set(expr, Type::map(key, value));
            }
            // No type can be made by name here.
            Kind::Struct(name, _) => {
                let name = name.clone();
                if self.env.is_type(&name) {
                    self.report(expr.id, format!("'{name}' is not a message type"));
                    self.set(expr, Type::Error);
                } else {
                    self.undeclared(expr, &name);
                }
            }
            Kind::Comprehension(fold) => {
                let of = self.check_comprehension(fold);
                self.set(expr, of);
            }
            Kind::Unspecified => self.set(expr, Type::Error),
        }
    }

    fn check_ident(&mut self, expr: &mut Expr) {
        let Kind::Ident(name) = &mut expr.kind else { return };
        let found = self.lookup(name);
        match found {
            Some(of) => {
                if let Some(bare) = name.strip_prefix('.') {
                    *name = bare.to_owned();
                }
                self.set(expr, of);
            }
            None => {
                let name = name.clone();
                self.undeclared(expr, &name);
            }
        }
    }

    fn check_select(&mut self, expr: &mut Expr) {
        if let Some(name) = expr.qualified_name()
            && let Some(of) = self.lookup(&name)
        {
            expr.kind = Kind::Ident(name.strip_prefix('.').unwrap_or(&name).to_owned());
            self.set(expr, of);
            return;
        }
        let id = expr.id;
        let Kind::Select(select) = &mut expr.kind else { return };
        let Select { operand, field, test } = &mut **select;
        self.check(operand);
        let of = self.field_type(id, operand, field);
        let of = if *test == Test::Presence { Type::Bool } else { self.bindings.substitute(&of) };
        self.set(expr, of);
    }

    /// The type of a field; of an optional, the optional field.
    fn field_type(&mut self, id: Id, operand: &Expr, field: &str) -> Type {
        let operand = self.bindings.substitute(&self.type_of(operand));
        let target = operand.in_optional().unwrap_or(&operand);
        let result = match target {
            Type::Map(of) => of.1.clone(),
            Type::Declared(decl) => match decl.field(field) {
                Some(field) => Type::of(&field.of),
                None => {
                    self.report(id, format!("undefined field '{field}'"));
                    Type::Error
                }
            },
            Type::Object(name) => {
                self.report(id, format!("unexpected failed resolution of '{name}'"));
                Type::Error
            }
            Type::Var(_) => {
                self.bindings.assign(&Type::Dyn, target);
                Type::Dyn
            }
            other => {
                if !other.is_dyn() && !other.is_error() {
                    self.report(id, format!("type '{}' does not support field selection", other.shown()));
                }
                Type::Dyn
            }
        };
        if operand.in_optional().is_some() { Type::optional(result) } else { result }
    }

    fn check_call(&mut self, expr: &mut Expr) {
        let id = expr.id;
        let Kind::Call(call) = &mut expr.kind else { return };
        if call.function == "_?._" {
            self.check_optional_select(expr);
            return;
        }
        let Call { function, target, args } = &mut **call;
        for arg in args.iter_mut() {
            self.check(arg);
        }
        let qualified = target.as_ref().and_then(Expr::qualified_name).map(|prefix| format!("{prefix}.{function}"));
        if let Some(name) = qualified
            && let Some(found) = self.env.function(&name)
        {
            *function = found.name.to_owned();
            *target = None;
            self.resolve(expr, found);
            return;
        }
        if let Some(target) = target {
            self.check(target);
        }
        match self.env.function(function) {
            Some(found) => {
                *function = found.name.to_owned();
                self.resolve(expr, found);
            }
            None => {
                let name = function.clone();
                self.report(id, format!("undeclared reference to '{name}' (in container '')"));
                self.set(expr, Type::Error);
            }
        }
    }

    fn check_optional_select(&mut self, expr: &mut Expr) {
        let id = expr.id;
        let Kind::Call(call) = &mut expr.kind else { return };
        let [operand, field] = &mut call.args[..] else { return };
        let Some(field) = field.as_string().map(str::to_owned) else { return };
        self.check(operand);
        let of = self.field_type(id, operand, &field);
        let of = if of.in_optional().is_some() && self.is_optional(operand) { of } else { Type::optional(of) };
        let of = self.bindings.substitute(&of);
        self.set(expr, of);
        let overloads = self.env.function("_?._").map(|function| function.overloads.iter().collect());
        self.overloads[id] = overloads.unwrap_or_default();
    }

    fn is_optional(&self, expr: &Expr) -> bool {
        self.bindings.substitute(&self.type_of(expr)).in_optional().is_some()
    }

    fn resolve(&mut self, expr: &Expr, function: &'static Function) {
        let Some(call) = expr.as_call() else { return };
        let member = call.target.is_some();
        let operands: Vec<&Expr> = call.target.iter().chain(&call.args).collect();
        let given: Vec<Type> = operands.iter().map(|operand| self.type_of(operand)).collect();
        if matches!(function.name, "_&&_" | "_||_") {
            self.resolve_logic(expr, function, &operands, &given);
            return;
        }
        let mut result: Option<Type> = None;
        let mut chosen = Vec::new();
        for overload in function.overloads.iter().filter(|overload| overload.member == member) {
            let declared: Vec<&Type> = std::iter::once(&overload.result).chain(&overload.args).collect();
            let mut types = self.bindings.instantiate(&declared);
            let wanted = types.split_off(1);
            if !self.bindings.assign_all(&given, &wanted) {
                continue;
            }
            chosen.push(overload);
            let of = self.bindings.substitute(&types[0]);
            result = Some(match result {
                None => of,
                Some(first) if first.is_dyn() || of.is_exactly(&first) => first,
                Some(_) => Type::Dyn,
            });
        }
        match result {
            Some(of) => {
                self.set(expr, of);
                self.overloads[expr.id] = chosen;
            }
            None => {
                let given: Vec<Type> = given.iter().map(|of| self.bindings.settle(of)).collect();
                let message = no_overload(function.name, &given, member);
                self.report(expr.id, message);
                self.set(expr, Type::Error);
            }
        }
    }

    fn resolve_logic(&mut self, expr: &Expr, function: &'static Function, operands: &[&Expr], given: &[Type]) {
        let mut of = Type::Bool;
        for (operand, given) in operands.iter().zip(given) {
            if !self.bindings.assign(given, &Type::Bool) {
                self.mismatch(operand.id, &Type::Bool, given);
                of = Type::Error;
            }
        }
        self.overloads[expr.id] = function.overloads.iter().collect();
        self.set(expr, of);
    }

    fn check_list(&mut self, elements: &mut [Element]) -> Type {
        let mut joined = None;
        for element in elements {
            self.check(&mut element.value);
            let of = self.type_of(&element.value);
            let of = if element.optional { self.unwrapped(&element.value, of) } else { of };
            joined = Some(self.join(joined, of));
        }
        joined.unwrap_or_else(|| self.bindings.fresh())
    }

    fn check_map(&mut self, entries: &mut [Entry]) -> (Type, Type) {
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            self.check(&mut entry.key);
            let key = self.type_of(&entry.key);
            keys = Some(self.join(keys, key));
            self.check(&mut entry.value);
            let of = self.type_of(&entry.value);
            let of = if entry.optional { self.unwrapped(&entry.value, of) } else { of };
            values = Some(self.join(values, of));
        }
        match (keys, values) {
            (Some(key), Some(value)) => (key, value),
            _ => (self.bindings.fresh(), self.bindings.fresh()),
        }
    }

    /// What is in the optional of an element with a question mark.
    fn unwrapped(&mut self, expr: &Expr, of: Type) -> Type {
        if let Some(inner) = of.in_optional() {
            return inner.clone();
        }
        if !of.is_dyn() {
            self.mismatch(expr.id, &Type::optional(of.clone()), &of);
        }
        of
    }

    /// The type of the elements of one literal. Whether they may differ is checked afterwards (`validators`).
    fn join(&mut self, before: Option<Type>, of: Type) -> Type {
        let Some(before) = before else { return of };
        if self.bindings.assign(&before, &of) { most_general(&before, &of).clone() } else { Type::Dyn }
    }

    fn check_comprehension(&mut self, fold: &mut Comprehension) -> Type {
        self.check(&mut fold.range);
        self.check(&mut fold.init);
        let range = self.bindings.substitute(&self.type_of(&fold.range));
        let accu = self.type_of(&fold.init);
        let depth = self.locals.len();
        self.locals.push((fold.accu.clone(), accu.clone()));
        let two = fold.iter2.is_some();
        let (first, second) = match &range {
            Type::List(of) if two => (Type::Int, (**of).clone()),
            Type::List(of) => ((**of).clone(), Type::Dyn),
            Type::Map(of) => (of.0.clone(), of.1.clone()),
            Type::Dyn | Type::Any | Type::Error | Type::Var(_) => {
                self.bindings.assign(&Type::Dyn, &range);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                let message = format!(
                    "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)",
                    other.shown()
                );
                self.report(fold.range.id, message);
                (Type::Error, Type::Error)
            }
        };
        self.locals.push((fold.iter.clone(), first));
        if let Some(iter2) = &fold.iter2 {
            self.locals.push((iter2.clone(), second));
        }
        self.check(&mut fold.condition);
        self.assert(&fold.condition, &Type::Bool);
        self.check(&mut fold.step);
        self.assert(&fold.step, &accu);
        self.locals.truncate(depth + 1);
        self.check(&mut fold.result);
        self.locals.truncate(depth);
        let of = self.type_of(&fold.result);
        self.bindings.substitute(&of)
    }

    fn assert(&mut self, expr: &Expr, wanted: &Type) {
        let of = self.type_of(expr);
        if !self.bindings.assign(wanted, &of) {
            self.mismatch(expr.id, wanted, &of);
        }
    }
}

fn type_of_literal(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}

fn no_overload(function: &str, given: &[Type], member: bool) -> String {
    let shown: Vec<String> = given.iter().map(|of| of.shown().to_string()).collect();
    let (target, args) = if member { (format!("{}.", shown[0]), &shown[1..]) } else { (String::new(), &shown[..]) };
    format!("found no matching overload for '{function}' applied to '{target}({})'", args.join(", "))
}
