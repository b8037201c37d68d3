//! One snapshot of the API: resources, types, and the documents derived from both. They are replaced together, so that
//! no request sees the rows of one moment with the types of another.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{
    custom::Definitions,
    registry::{Kept, Lasting, Registry},
    schema::Schema,
};

/// Everything that is served at one moment.
#[derive(Debug)]
pub struct Api {
    pub registry: Registry,
    pub schema: Arc<Schema>,
    /// What is behind the rows of custom resources.
    pub definitions: Definitions,
    /// Discovery and what names documents of OpenAPI, made when first asked for and kept as long as the snapshot.
    pub documents: Kept,
    /// Documents of OpenAPI: a snapshot takes over those of the one before.
    pub openapi: Arc<Lasting>,
}

impl Api {
    pub fn new(registry: Registry, schema: Arc<Schema>) -> Api {
        let (definitions, documents, openapi) = Default::default();
        Api { registry, schema, definitions, documents, openapi }
    }

    pub fn with_definitions(self, definitions: Definitions) -> Api {
        Api { definitions, ..self }
    }

    /// What a default server of the target version serves.
    pub fn builtin() -> Api {
        Api::new(Registry::builtin(), Schema::builtin())
    }
}

/// The current snapshot, and the one place that replaces it.
#[derive(Debug)]
pub struct ApiHandle {
    current: ArcSwap<Api>,
    /// Counts the replacements.
    changes: watch::Sender<u64>,
}

impl ApiHandle {
    pub fn new(api: Api) -> ApiHandle {
        ApiHandle { current: ArcSwap::from_pointee(api), changes: watch::Sender::new(0) }
    }

    /// For the length of one request: everything in it sees one snapshot.
    pub fn load(&self) -> Arc<Api> {
        self.current.load_full()
    }

    /// Replaces the snapshot by what `change` makes of it; `change` may run again when another change came between.
    pub fn update(&self, change: impl Fn(&Api) -> Api) {
        self.current.rcu(|api| Api { openapi: Arc::clone(&api.openapi), ..change(api) });
        self.changes.send_modify(|count| *count += 1);
    }

    /// Tells of every replacement from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_publishes_the_newer_snapshot_and_leaves_the_older_one_alone() {
        let handle = ApiHandle::new(Api::builtin());
        let before = handle.load();
        handle.update(|api| Api::new(api.registry.without("apps", "deployments"), Arc::clone(&api.schema)));
        assert!(before.registry.get("apps", "v1", "deployments").is_some());
        assert!(handle.load().registry.get("apps", "v1", "deployments").is_none());
    }
}
