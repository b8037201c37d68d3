//! Conditional writes and plain reads.

use std::time::Duration;

use frontend::store::{CreateOutcome, DeleteOutcome, PageRequest, StoreConfig, StoreError, UpdateOutcome};

use crate::server::Server;

fn created(outcome: CreateOutcome) -> i64 {
    match outcome {
        CreateOutcome::Created { revision } => revision,
        CreateOutcome::Exists => panic!("the key exists"),
    }
}

#[tokio::test]
async fn writes_happen_only_at_the_expected_revision() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let key = format!("{}/things/a", store.prefix());

    assert_eq!(store.get(&key).await.unwrap(), None);
    let first = created(store.create(&key, "one", None).await.unwrap());
    assert_eq!(store.create(&key, "two", None).await.unwrap(), CreateOutcome::Exists);

    let UpdateOutcome::Updated { revision } = store.update(&key, first, "two", None).await.unwrap() else { panic!() };
    assert!(revision > first);
    let UpdateOutcome::Changed(Some(current)) = store.update(&key, first, "three", None).await.unwrap() else {
        panic!()
    };
    assert_eq!((&current.value[..], current.mod_revision, current.create_revision), (&b"two"[..], revision, first));
    assert_eq!(store.get(&key).await.unwrap(), Some(current.clone()));
    assert_eq!(&store.get_at(&key, first).await.unwrap().unwrap().value[..], b"one");

    assert_eq!(store.delete(&key, first).await.unwrap(), DeleteOutcome::Changed(Some(current)));
    let DeleteOutcome::Deleted { revision: gone } = store.delete(&key, revision).await.unwrap() else { panic!() };
    assert!(gone > revision);
    assert_eq!(store.delete(&key, revision).await.unwrap(), DeleteOutcome::Changed(None));
    assert_eq!(store.update(&key, revision, "x", None).await.unwrap(), UpdateOutcome::Changed(None));
    assert!(store.current_revision().await.unwrap() >= gone);
}

#[tokio::test]
async fn pages_show_one_revision() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let prefix = format!("{}/things/", store.prefix());
    for n in 0..25 {
        store.create(&format!("{prefix}{n:03}"), format!("value {n}"), None).await.unwrap();
    }
    let mut request = PageRequest { prefix: prefix.clone(), limit: 10, ..PageRequest::default() };
    let first = store.page(&request).await.unwrap();
    assert_eq!((first.items.len(), first.more, first.count), (10, true, 25));
    store.create(&format!("{prefix}0005"), "late", None).await.unwrap();

    request.start = Some(format!("{}\0", first.items[9].key));
    request.revision = first.revision;
    request.limit = 0;
    let rest = store.page(&request).await.unwrap();
    assert_eq!((rest.items.len(), rest.more, rest.count, rest.revision), (15, false, 15, first.revision));
    assert_eq!(store.count(&prefix).await.unwrap(), 26);
    assert_eq!(store.list(&prefix, first.revision).await.unwrap().items.len(), 25);
    assert_eq!(store.list(&prefix, 0).await.unwrap().items.len(), 26);

    request.revision = first.revision + 1_000_000;
    assert!(matches!(store.page(&request).await, Err(StoreError::FutureRevision { .. })));
}

#[tokio::test]
async fn a_key_with_a_time_to_live_goes_away() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let key = format!("{}/things/brief", store.prefix());
    created(store.create(&key, "x", Some(Duration::from_secs(1))).await.unwrap());
    crate::server::eventually("the key is removed", async || store.get(&key).await.unwrap().is_none()).await;
}

#[tokio::test]
async fn a_value_too_large_is_told_so() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let key = format!("{}/things/large", store.prefix());
    let outcome = store.create(&key, vec![b'x'; 3 << 20], None).await;
    assert_eq!(outcome, Err(StoreError::TooLarge));
    assert_eq!(store.get(&key).await.unwrap(), None);
}

#[tokio::test]
async fn history_is_compacted_in_turns() {
    let Some(server) = Server::start() else { return };
    let every = Some(Duration::from_millis(300));
    let store = server.store_with(StoreConfig { compact_every: every, ..server.config() }).await;
    let other = server.store_with(StoreConfig { compact_every: every, ..server.config() }).await;
    let key = format!("{}/things/a", store.prefix());
    let first = created(store.create(&key, "one", None).await.unwrap());
    assert!(matches!(store.update(&key, first, "two", None).await, Ok(UpdateOutcome::Updated { .. })));
    crate::server::eventually("the first version is gone", async || {
        store.get_at(&key, first).await == Err(StoreError::Compacted)
    })
    .await;
    assert_eq!(store.get(&key).await.unwrap().unwrap().value, "two");
    assert!(other.get(&key).await.unwrap().is_some());
}
