//! The definitions that are served, by the names of their resources.

use std::{collections::HashMap, sync::Arc};

use super::definition::Definition;

/// The definitions that are served, by group and plural.
#[derive(Clone, Debug, Default)]
pub struct Definitions(HashMap<(String, String), Arc<Definition>>);

impl Definitions {
    pub fn get(&self, group: &str, plural: &str) -> Option<&Arc<Definition>> {
        self.0.get(&(group.to_owned(), plural.to_owned()))
    }
}

impl FromIterator<Arc<Definition>> for Definitions {
    fn from_iter<I: IntoIterator<Item = Arc<Definition>>>(all: I) -> Definitions {
        Definitions(all.into_iter().map(|each| ((each.group.clone(), each.plural.clone()), each)).collect())
    }
}
