//! Which type fits into which, and what free types become by it.

use std::sync::Arc;

use super::types::Type;

/// What the free types (`Type::Var`) of one expression are known to be. Changes can be taken back.
#[derive(Default)]
pub(super) struct Bindings {
    bound: Vec<Option<Type>>,
    /// What was before each change, latest last.
    trail: Vec<(usize, Option<Type>)>,
}

impl Bindings {
    pub(super) fn fresh(&mut self) -> Type {
        self.bound.push(None);
        Type::Var(self.bound.len() - 1)
    }

    fn find(&self, of: &Type) -> Option<&Type> {
        match of {
            Type::Var(number) => self.bound.get(*number)?.as_ref(),
            _ => None,
        }
    }

    fn bind(&mut self, of: &Type, to: Type) {
        if let Type::Var(number) = of {
            let before = self.bound[*number].replace(to);
            self.trail.push((*number, before));
        }
    }

    /// The change stays if it succeeds.
    fn attempt(&mut self, change: impl FnOnce(&mut Bindings) -> bool) -> bool {
        let mark = self.trail.len();
        let done = change(self);
        while !done && self.trail.len() > mark {
            if let Some((number, before)) = self.trail.pop() {
                self.bound[number] = before;
            }
        }
        done
    }

    /// Whether a value of `from` may stand where `to` is wanted.
    pub(super) fn assign(&mut self, to: &Type, from: &Type) -> bool {
        self.attempt(|bindings| bindings.fits(to, from))
    }

    pub(super) fn assign_all(&mut self, to: &[Type], from: &[Type]) -> bool {
        self.attempt(|bindings| to.len() == from.len() && to.iter().zip(from).all(|(to, from)| bindings.fits(to, from)))
    }

    fn fits(&mut self, a: &Type, b: &Type) -> bool {
        if let Type::Var(_) = b {
            match self.substitute_for(a, b) {
                Substitution::Valid => return true,
                Substitution::Other => return false,
                Substitution::None => {}
            }
        }
        if let Type::Var(_) = a {
            return matches!(self.substitute_for(b, a), Substitution::Valid);
        }
        if a.is_dyn() || a.is_error() || b.is_dyn() || b.is_error() {
            return true;
        }
        match (a, b) {
            (Type::Null, other) | (other, Type::Null) => is_nullable(other),
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(a), Type::List(b)) => self.fits(a, b),
            (Type::Map(a), Type::Map(b)) => self.fits(&a.0, &b.0) && self.fits(&a.1, &b.1),
            (Type::Opaque(a, of), Type::Opaque(b, with)) => {
                a == b && of.len() == with.len() && of.iter().zip(with.iter()).all(|(a, b)| self.fits(a, b))
            }
            _ => a.same_head(b),
        }
    }

    /// Whether `of` can be what the free type `var` stands for.
    fn substitute_for(&mut self, of: &Type, var: &Type) -> Substitution {
        if of.is_exactly(var) {
            return Substitution::Valid;
        }
        if let Some(known) = self.find(var).cloned() {
            if of.is_exactly(&known) {
                return Substitution::Valid;
            }
            if self.fits(of, &known) {
                let general = most_general(of, &known).clone();
                if !self.occurs(var, &general) {
                    self.bind(var, general);
                }
                return Substitution::Valid;
            }
            return Substitution::Other;
        }
        if self.occurs(var, of) {
            return Substitution::None;
        }
        self.bind(var, of.clone());
        Substitution::Valid
    }

    fn occurs(&self, var: &Type, within: &Type) -> bool {
        if var.is_exactly(within) {
            return true;
        }
        match within {
            Type::Var(_) => self.find(within).is_some_and(|known| self.occurs(var, known)),
            _ => within.params().into_iter().any(|param| self.occurs(var, param)),
        }
    }

    /// The type with what is known put in.
    pub(super) fn substitute(&self, of: &Type) -> Type {
        self.replace(of, &|free| free.clone())
    }

    /// The same, and dyn for what nothing is known of.
    pub(super) fn settle(&self, of: &Type) -> Type {
        self.replace(of, &|_| Type::Dyn)
    }

    fn replace(&self, of: &Type, free: &dyn Fn(&Type) -> Type) -> Type {
        match of {
            Type::Var(_) => match self.find(of) {
                Some(known) => self.replace(known, free),
                None => free(of),
            },
            Type::List(of) => Type::list(self.replace(of, free)),
            Type::Map(of) => Type::map(self.replace(&of.0, free), self.replace(&of.1, free)),
            Type::Type(Some(of)) => Type::type_of(self.replace(of, free)),
            Type::Opaque(name, params) => {
                let params: Vec<Type> = params.iter().map(|param| self.replace(param, free)).collect();
                Type::Opaque(name.clone(), params.into())
            }
            other => other.clone(),
        }
    }

    /// A declaration's types with free types for its parameters.
    pub(super) fn instantiate(&mut self, types: &[&Type]) -> Vec<Type> {
        let mut fresh = Vec::new();
        types.iter().map(|of| self.with_fresh(of, &mut fresh)).collect()
    }

    fn with_fresh(&mut self, of: &Type, fresh: &mut Vec<(char, Type)>) -> Type {
        match of {
            Type::Param(name) => {
                if let Some((_, var)) = fresh.iter().find(|(known, _)| known == name) {
                    return var.clone();
                }
                let var = self.fresh();
                fresh.push((*name, var.clone()));
                var
            }
            Type::List(of) => Type::list(self.with_fresh(of, fresh)),
            Type::Map(of) => Type::map(self.with_fresh(&of.0, fresh), self.with_fresh(&of.1, fresh)),
            Type::Type(Some(of)) => Type::Type(Some(Arc::new(self.with_fresh(of, fresh)))),
            Type::Opaque(name, params) => {
                let params: Vec<Type> = params.iter().map(|param| self.with_fresh(param, fresh)).collect();
                Type::Opaque(name.clone(), params.into())
            }
            other => other.clone(),
        }
    }
}

enum Substitution {
    Valid,
    /// It stands for something else already.
    Other,
    None,
}

fn is_nullable(of: &Type) -> bool {
    matches!(of, Type::Null | Type::Opaque(..) | Type::Object(_) | Type::Declared(_) | Type::Duration | Type::Timestamp)
}

pub(super) fn most_general<'t>(a: &'t Type, b: &'t Type) -> &'t Type {
    if is_as_general(a, b) { a } else { b }
}

fn is_as_general(a: &Type, b: &Type) -> bool {
    if a.is_dyn() || matches!(a, Type::Var(_)) {
        return true;
    }
    if b.is_dyn() || matches!(b, Type::Var(_)) {
        return false;
    }
    match (a, b) {
        (Type::Type(_), Type::Type(_)) => true,
        (Type::List(_) | Type::Map(_) | Type::Opaque(..), _) => {
            a.same_head(b) && a.params().into_iter().zip(b.params()).all(|(a, b)| is_as_general(a, b))
        }
        _ => a.is_exactly(b),
    }
}
