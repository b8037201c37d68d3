//! Custom resources kept served: one task follows all CustomResourceDefinitions, publishes what they define, and does
//! for their status what kube-apiserver does for it.
//!
//! In: the definitions in the store. Out: the snapshot of the API that requests see, conditions and accepted names
//! written back, and the end of definitions that are deleted. Every server does the same; a write that another was
//! faster with is left alone, since its result comes back as an event. Not here: what the objects are (`api::custom`).

mod cleanup;
mod status;
mod step;

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    api::{
        custom::{self, Definition},
        schema::Object,
    },
    cluster::Cluster,
    store::{Entry, Scope, Snapshot, StoreError, Subscription},
};
use step::{DEFINITIONS, Work};

/// Events taken at once.
const BATCH: usize = 1024;
/// When something was left undone, it is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Follows the definitions of one store.
pub(crate) struct DefinitionsKeeper {
    cluster: Arc<Cluster>,
    /// What was made of each definition, by key, at a revision of it.
    read: HashMap<String, (i64, Seen)>,
    published: Vec<Arc<Definition>>,
}

#[derive(Clone)]
struct Seen {
    /// What follows from it alone was found to stand in its status.
    is_up_to_date: bool,
    object: Arc<Object>,
    definition: Option<Arc<Definition>>,
}

impl DefinitionsKeeper {
    pub(crate) fn new(cluster: Arc<Cluster>) -> DefinitionsKeeper {
        DefinitionsKeeper { cluster, read: HashMap::new(), published: Vec::new() }
    }

    /// Publishes what is defined now. For the start of a server, before it says that it is ready.
    pub(crate) fn publish_now(&mut self) -> Result<(), StoreError> {
        let snapshot = self.cluster.store.cache().snapshot(&self.scope())?;
        self.publish(&snapshot);
        Ok(())
    }

    /// Runs until the server goes down.
    pub(crate) async fn run(mut self) {
        let shutdown = self.cluster.shutdown.clone();
        shutdown.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        loop {
            match self.cluster.store.cache().list_then_watch(&self.scope()) {
                Ok((_, subscription)) => self.until_reset(subscription).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot follow the custom resource definitions");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Works on the whole state after each batch of events, so that none of them is needed by itself.
    async fn until_reset(&mut self, mut subscription: Subscription) {
        loop {
            let Ok(snapshot) = self.cluster.store.cache().snapshot(&self.scope()) else { return };
            self.publish(&snapshot);
            let undone = self.settle(&snapshot).await;
            let next = subscription.next(BATCH);
            let events = match undone {
                Work::Done => next.await,
                Work::Left => match tokio::time::timeout(AGAIN_AFTER, next).await {
                    Ok(events) => events,
                    Err(_) => continue,
                },
            };
            if events.is_err() {
                return;
            }
        }
    }

    fn scope(&self) -> Scope {
        Scope::resource(&format!("{}/{}/{}", self.cluster.store.prefix(), DEFINITIONS.0, DEFINITIONS.1))
    }

    /// Swaps the snapshot of the API if what is served has changed.
    fn publish(&mut self, snapshot: &Snapshot) {
        let mut read = HashMap::new();
        let mut served = Vec::new();
        for entry in snapshot.iter() {
            let key = entry.key().to_string();
            let seen = match self.read.remove(&key) {
                Some((revision, seen)) if revision == entry.mod_revision() => Some(seen),
                before => self.read_entry(entry, before.map(|(_, seen)| seen)),
            };
            let Some(seen) = seen else { continue };
            served.extend(seen.definition.clone());
            read.insert(key, (entry.mod_revision(), seen));
        }
        self.read = read;
        let same = |a: &Vec<Arc<Definition>>, b: &Vec<Arc<Definition>>| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        if !same(&served, &self.published) {
            self.cluster.api.update(|_| custom::api_with(served.iter().cloned()));
            self.published = served;
        }
    }

    /// A definition that defines what it did is the one that is served already: nothing that was derived from it goes.
    fn read_entry(&self, entry: &Entry, before: Option<Seen>) -> Option<Seen> {
        let decoded = step::target(&self.cluster, entry.name())
            .and_then(|target| target.decode_bytes(entry.value(), entry.mod_revision()));
        match decoded {
            Ok(object) => {
                let same = before.filter(|before| defines_the_same(&before.object, &object));
                let definition = match same {
                    Some(before) => before.definition,
                    None => Definition::read(&object).map(Arc::new),
                };
                Some(Seen { is_up_to_date: false, object: Arc::new(object), definition })
            }
            Err(error) => {
                tracing::warn!(key = %entry.key(), cause = error.internal, "a definition cannot be decoded");
                None
            }
        }
    }

    /// Brings the status of every definition to what it should be, one step each.
    async fn settle(&mut self, snapshot: &Snapshot) -> Work {
        let mut names = status::Accepted::default();
        let seen: Vec<(String, Seen)> = snapshot
            .iter()
            .filter_map(|entry| {
                let key = entry.key().to_string();
                self.read.get(&key).map(|(_, seen)| (key, seen.clone()))
            })
            .collect();
        for (_, each) in &seen {
            names.add(&each.object);
        }
        let mut work = Work::Done;
        for (key, each) in &seen {
            let now = self.cluster.now_text();
            let next = status::next_by_names(&each.object, &mut names, &now);
            let next = next.or_else(|| if each.is_up_to_date { None } else { status::next_alone(&each.object, &now) });
            if let (None, Some((_, seen))) = (&next, self.read.get_mut(key)) {
                seen.is_up_to_date = true;
            }
            let step = match next {
                Some(changed) => step::write(&self.cluster, key, &each.object, &changed).await,
                None if cleanup::is_due(&each.object) => cleanup::clean_up(&self.cluster, key, &each.object).await,
                None => Ok(Work::Done),
            };
            match step {
                Ok(Work::Done) => {}
                Ok(Work::Left) => work = Work::Left,
                Err(error) => {
                    tracing::warn!(definition = each.object.name(), cause = error.internal, %error, "cannot settle");
                    work = Work::Left;
                }
            }
        }
        work
    }
}

/// Whether what is served because of a definition is the same.
fn defines_the_same(before: &Object, after: &Object) -> bool {
    let parts: [&[&str]; 2] = [&["spec"], &["status", "acceptedNames"]];
    before.uid() == after.uid()
        && parts.iter().all(|part| before.get(part) == after.get(part))
        && ["Established", "Terminating"]
            .iter()
            .all(|each| custom::is_true(before, each) == custom::is_true(after, each))
}
