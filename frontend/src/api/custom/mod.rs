//! Custom resources: what definitions make a server serve.
//!
//! In: CustomResourceDefinitions. Out: the snapshot of the API with their resources and kinds in it, and beside it what
//! only custom resources have: columns, scale paths, conversion. Not here: a definition's status and its end
//! (`wiring::definitions`), validation.

mod definition;
mod json_path;
mod known;
mod rules;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use definition::{Column, Conversion, Definition, Scale, Version, is_true};
pub use json_path::{JsonPath, printed};
pub use known::Definitions;
pub use rules::{CompiledRule, RuleTree, Whole};

use super::{
    Api,
    registry::Registry,
    schema::{
        Schema, Value,
        fit::{Fitting, fit_field},
        structural::Node,
    },
};

/// How many members of a value a schema has no place for.
pub fn unknown_members(schema: &Arc<Node>, value: Value) -> usize {
    let mut fitting = Fitting::default();
    fit_field(value, &tables::field("", schema), &mut fitting);
    fitting.unknown.len()
}

/// A snapshot of the built-in API and these definitions. Built-in resources are never replaced.
pub fn api_with(definitions: impl IntoIterator<Item = Arc<Definition>>) -> Api {
    let builtin = Registry::builtin();
    let mut served: Vec<Arc<Definition>> = definitions.into_iter().collect();
    served.retain(|definition| {
        definition.versions.iter().all(|v| builtin.get(&definition.group, &v.name, &definition.plural).is_none())
    });
    let registry = builtin.with(served.iter().flat_map(|definition| definition.rows().iter().cloned()));
    let schema = Schema::builtin().with_kinds(served.iter().flat_map(|definition| definition.kinds().cloned()));
    Api::new(registry, Arc::new(schema)).with_definitions(served.into_iter().collect())
}
