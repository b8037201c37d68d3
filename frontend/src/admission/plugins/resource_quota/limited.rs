//! What may be used only within a quota, as the plugin's configuration names it.

use serde::Deserialize;

use super::usage::Scope;

/// What may be used only within a quota.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Limited {
    pub(super) api_group: String,
    pub(super) resource: String,
    match_contains: Vec<String>,
    match_scopes: Vec<LimitedScope>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LimitedScope {
    scope_name: String,
    operator: String,
    values: Vec<String>,
}

impl Limited {
    pub(super) fn row(&self) -> (&str, &str) {
        (&self.api_group, &self.resource)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.match_contains.iter().any(|part| name.contains(part.as_str()))
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = Scope<'_>> {
        self.match_scopes.iter().map(|scope| Scope {
            name: &scope.scope_name,
            operator: &scope.operator,
            values: scope.values.iter().map(String::as_str).collect(),
        })
    }
}
