//! CEL, the expression language of Kubernetes, as a 1.35 serves it: the language, its macros, Kubernetes' functions,
//! and what expressions cost.
//!
//! In: an expression and an [`Env`], the declarations that it may speak of. Out: all its errors in cel-go's words
//! ([`Issues`]), or a [`Compiled`] expression: its type, its estimated cost and a [`Program`] that runs over trees of
//! objects without copying them, within a limit of costs. Not here: who writes expressions and what follows from their
//! values (admission, custom resources, authentication).
//!
//! An expression's way: `lexer`, `parser` with `macros`, `checker`, `validators`; then `cost` estimates and `plan`
//! makes what `eval` runs, loops by `comprehension`.

mod ast;
pub mod authorizer;
mod checker;
mod comprehension;
mod cost;
mod cost_model;
pub mod decl;
mod env;
mod equal;
mod escape;
mod eval;
mod gofmt;
mod lexer;
mod library;
mod macros;
mod node;
mod opaque;
mod parser;
mod plan;
mod primary;
mod program;
mod runtime_cost;
mod source;
mod syntax;
mod timestamp;
mod tokens;
pub mod tree;
mod types;
mod unify;
mod validators;
pub mod value;

pub use cost::CostRange;
pub use decl::DeclType;
pub use env::Env;
pub use escape::{escape, is_reserved, unescape};
pub use eval::LazyFields;
pub use program::{Activation, CALL_COST_MAX, Compiled, Outcome, Program, compile};
pub use source::{Issue, Issues, Location};
pub use types::Type;
pub use value::{EvalError, Evaluated, Val};

#[cfg(test)]
mod tests;
