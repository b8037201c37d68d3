//! What an expression may speak of: variables and their types. The functions are the same everywhere.
//!
//! Kubernetes has two environments, of expressions that are new and of those that are stored already; in 1.35 both know
//! the same functions, so that there is one here.

use std::sync::Arc;

use super::{
    decl::DeclType,
    library::{self, Function},
    macros::Macros,
    types::Type,
};

/// The declarations that expressions are compiled against.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: Vec<(String, Type)>,
    /// Variables whose fields are asked for one by one while an expression runs.
    lazy: Option<String>,
    sizes: Option<Arc<DeclType>>,
    macros: Macros,
}

impl Env {
    pub fn new() -> Env {
        Env::default()
    }

    pub fn with(mut self, name: &str, of: Type) -> Env {
        self.variables.push((name.to_owned(), of));
        self
    }

    /// A variable of a declared type.
    pub fn declare(self, name: &str, of: &Arc<DeclType>) -> Env {
        self.with(name, Type::of(of))
    }

    /// A variable whose fields are computed when they are asked for.
    pub fn declare_lazy(mut self, name: &str, of: &Arc<DeclType>) -> Env {
        self.lazy = Some(name.to_owned());
        self.declare(name, of)
    }

    /// Estimates of costs take the sizes of all variables from this type.
    pub fn sized_by(mut self, of: &Arc<DeclType>) -> Env {
        self.sizes = Some(of.clone());
        self
    }

    /// Expressions may name a value: `cel.bind(name, value, expression)`.
    pub fn with_bind(mut self) -> Env {
        self.macros = Macros::WithBind;
        self
    }

    pub(super) fn macros(&self) -> Macros {
        self.macros
    }

    pub(super) fn sizes(&self) -> Option<&DeclType> {
        self.sizes.as_deref()
    }

    pub(super) fn is_lazy(&self, name: &str) -> bool {
        self.lazy.as_deref() == Some(name)
    }

    pub(super) fn variable(&self, name: &str) -> Option<&Type> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, of)| of)
    }

    /// The type of a variable, or of the name of a type.
    pub(super) fn identifier(&self, name: &str) -> Option<Type> {
        self.variable(name).cloned().or_else(|| library::type_by_name(name).map(Type::type_of))
    }

    pub(super) fn is_type(&self, name: &str) -> bool {
        library::type_by_name(name).is_some()
    }

    pub(super) fn function(&self, name: &str) -> Option<&'static Function> {
        library::function(name.strip_prefix('.').unwrap_or(name))
    }
}
