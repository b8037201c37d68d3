//! Custom resources: what definitions make a server serve.
//!
//! In: CustomResourceDefinitions. Out: the snapshot of the API with their resources and kinds in it, and beside it what
//! only custom resources have: columns, scale paths, conversion. Not here: a definition's status and its end
//! (`cluster::definitions`), validation.

mod definition;
mod json_path;
mod tables;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

pub use definition::{Column, Conversion, Definition, Scale, Version, is_true};
pub use json_path::{JsonPath, printed};

use super::{Api, registry::Registry, schema::Schema};

/// The definitions that are served, by group and plural.
#[derive(Clone, Debug, Default)]
pub struct Definitions(HashMap<(String, String), Arc<Definition>>);

impl Definitions {
    pub fn get(&self, group: &str, plural: &str) -> Option<&Arc<Definition>> {
        self.0.get(&(group.to_owned(), plural.to_owned()))
    }
}

/// A snapshot of the built-in API and these definitions. Built-in resources are never replaced.
pub fn api_with(definitions: impl IntoIterator<Item = Arc<Definition>>) -> Api {
    let builtin = Registry::builtin();
    let mut served: Vec<Arc<Definition>> = definitions.into_iter().collect();
    served.retain(|definition| {
        definition.versions.iter().all(|v| builtin.get(&definition.group, &v.name, &definition.plural).is_none())
    });
    let registry = builtin.with(served.iter().flat_map(|definition| definition.rows()));
    let schema = Schema::builtin().with_kinds(served.iter().flat_map(|definition| definition.kinds().cloned()));
    let by_name = served.into_iter().map(|each| ((each.group.clone(), each.plural.clone()), each)).collect();
    Api::new(registry, Arc::new(schema)).with_definitions(Definitions(by_name))
}
