//! Lost requests, lost replies, lost endpoints.

use std::{sync::Arc, time::Duration};

use frontend::store::{CreateOutcome, DeleteOutcome, Scope, Store, StoreConfig, StoreError, UpdateOutcome};

use crate::{
    proxy::{Cut, Proxy},
    server::{Server, eventually},
};

/// A store behind a proxy, and the same one directly.
async fn pair() -> Option<(Server, Proxy, Store, Store)> {
    let server = Server::start()?;
    let direct = server.store().await;
    let proxy = Proxy::start(&server.endpoints[0]).await;
    let config = StoreConfig { prefix: direct.prefix().to_owned(), ..StoreConfig::new(vec![proxy.url()]) };
    let proxied = server.store_with(config).await;
    Some((server, proxy, proxied, direct))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_is_resolved_by_looking() {
    let Some((_server, proxy, store, direct)) = pair().await else { return };
    let key = format!("{}/things/marked", store.prefix());

    proxy.cut("marked", Cut::Reply);
    let CreateOutcome::Created { revision } = store.create(&key, "one", None).await.unwrap() else { panic!() };
    assert_eq!(direct.get(&key).await.unwrap().unwrap().mod_revision, revision);

    proxy.cut("marked", Cut::Reply);
    let UpdateOutcome::Updated { revision } = store.update(&key, revision, "two", None).await.unwrap() else {
        panic!()
    };
    let current = direct.get(&key).await.unwrap().unwrap();
    assert_eq!((&current.value[..], current.mod_revision, current.version), (&b"two"[..], revision, 2));

    proxy.cut("marked", Cut::Reply);
    let DeleteOutcome::Deleted { revision: gone } = store.delete(&key, revision).await.unwrap() else { panic!() };
    assert!(gone > revision);
    assert_eq!(direct.get(&key).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_is_told_from_what_others_wrote_since() {
    let Some((_server, proxy, store, direct)) = pair().await else { return };
    let key = format!("{}/things/marked", store.prefix());
    let CreateOutcome::Created { revision } = store.create(&key, "one", None).await.unwrap() else { panic!() };

    // Ours happens, then another one's, then we learn that our reply is lost.
    proxy.cut("marked", Cut::Reply);
    let ours = {
        let (store, key) = (store.clone(), key.clone());
        tokio::spawn(async move { store.update(&key, revision, "two", None).await })
    };
    let mut second = 0;
    eventually("our update", async || {
        let current = direct.get(&key).await.unwrap().unwrap();
        second = current.mod_revision;
        current.value == "two"
    })
    .await;
    assert!(matches!(direct.update(&key, second, "three", None).await, Ok(UpdateOutcome::Updated { .. })));
    assert_eq!(ours.await.unwrap().unwrap(), UpdateOutcome::Updated { revision: second });

    // Another one's came first: ours must be refused, although its refusal is lost as well.
    proxy.cut("marked", Cut::Reply);
    let UpdateOutcome::Changed(Some(current)) = store.update(&key, second, "four", None).await.unwrap() else {
        panic!()
    };
    assert_eq!(current.value, "three");
    proxy.cut("marked", Cut::Reply);
    assert_eq!(store.create(&key, "five", None).await.unwrap(), CreateOutcome::Exists);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_request_is_sent_again_only_where_it_cannot_happen_twice() {
    let Some((_server, proxy, store, direct)) = pair().await else { return };
    let key = format!("{}/things/marked", store.prefix());

    proxy.cut("marked", Cut::Request);
    let outcome = store.create(&key, "one", None).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown { .. })), "{outcome:?}");
    assert_eq!(direct.get(&key).await.unwrap(), None);

    let CreateOutcome::Created { revision } = store.create(&key, "one", None).await.unwrap() else { panic!() };
    proxy.cut("marked", Cut::Request);
    let UpdateOutcome::Updated { revision } = store.update(&key, revision, "two", None).await.unwrap() else {
        panic!()
    };
    assert_eq!(direct.get(&key).await.unwrap().unwrap().version, 2);
    proxy.cut("marked", Cut::Request);
    assert!(matches!(store.delete(&key, revision).await, Ok(DeleteOutcome::Deleted { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_an_endpoint_goes_the_other_one_serves() {
    let Some(server) = Server::start() else { return };
    let proxies = [Proxy::start(&server.endpoints[0]).await, Proxy::start(&server.endpoints[0]).await];
    let mut config = server.config();
    config.servers = proxies.iter().map(Proxy::url).collect();
    let store = server.store_with(config).await;
    let scope = Scope::resource(&format!("{}/things", store.prefix()));
    let (_, mut watch) = store.cache().list_then_watch(&scope).unwrap();

    let mut written = Vec::new();
    for round in 0..4 {
        let gone = proxies.iter().position(|proxy| proxy.connections() > 0).unwrap();
        let at = tokio::time::Instant::now();
        proxies[gone].sever();
        for n in 0..5 {
            let key = format!("{}/things/{round}-{n}", store.prefix());
            // The one request that meets the breaking connection may end unknown; it must then not have been told done.
            let mut outcome = store.create(&key, "x", None).await;
            if matches!(outcome, Err(StoreError::OutcomeUnknown { .. })) && n == 0 {
                outcome = store.create(&key, "x", None).await;
            }
            assert!(outcome.is_ok(), "{outcome:?}");
            assert!(store.get(&key).await.unwrap().is_some());
            written.push(key);
        }
        let now = store.current_revision().await.unwrap();
        store.cache().wait_for(now, Duration::from_secs(5)).await.unwrap();
        assert!(at.elapsed() < Duration::from_secs(5), "failing over took {:?}", at.elapsed());
        assert_eq!(proxies[gone].connections(), 0);
        proxies[gone].mend();
    }
    let mut seen = Vec::new();
    while seen.len() < written.len() {
        seen.extend(watch.next(100).await.unwrap().iter().map(|event| event.entry().key().to_string()));
    }
    assert_eq!(seen, written);
    assert!(watch.take(1).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_falls_silent_is_left() {
    let Some(server) = Server::start() else { return };
    let proxies = [Proxy::start(&server.endpoints[0]).await, Proxy::start(&server.endpoints[0]).await];
    let mut config = server.config();
    config.servers = proxies.iter().map(Proxy::url).collect();
    let store = server.store_with(config).await;
    let key = format!("{}/things/a", store.prefix());
    store.create(&key, "x", None).await.unwrap();

    let silent = proxies.iter().position(|proxy| proxy.connections() > 0).unwrap();
    proxies[silent].stall();
    let at = tokio::time::Instant::now();
    assert!(store.get(&key).await.unwrap().is_some());
    assert!(at.elapsed() < Duration::from_secs(8), "leaving it took {:?}", at.elapsed());
    let again = tokio::time::Instant::now();
    let CreateOutcome::Created { revision } =
        store.create(&format!("{}/things/b", store.prefix()), "x", None).await.unwrap()
    else {
        panic!()
    };
    assert!(again.elapsed() < Duration::from_secs(2));
    eventually("the watch moves on too", async || {
        store.cache().wait_for(revision, Duration::from_secs(1)).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn without_any_endpoint_nothing_is_written_and_it_is_said_so() {
    let Some(server) = Server::start() else { return };
    let proxy = Arc::new(Proxy::start(&server.endpoints[0]).await);
    let config = StoreConfig { servers: vec![proxy.url()], ..server.config() };
    let store = server.store_with(config).await;
    proxy.sever();
    assert!(store.health().await.is_err());
    let again = {
        let proxy = proxy.clone();
        // The request waits for an endpoint rather than fail at once.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(700)).await;
            proxy.mend();
        })
    };
    let key = format!("{}/things/a", store.prefix());
    let outcome = store.create(&key, "x", None).await;
    again.await.unwrap();
    assert!(
        matches!(outcome, Ok(CreateOutcome::Created { .. }) | Err(StoreError::OutcomeUnknown { .. })),
        "{outcome:?}"
    );
    eventually("the store answers", async || store.health().await.is_ok()).await;
}

#[tokio::test]
async fn bad_configurations_are_refused() {
    let refused = [
        StoreConfig::new(vec![]),
        StoreConfig::new(vec!["https://localhost:2379".into()]),
        StoreConfig::new(vec!["ftp://localhost:2379".into()]),
        StoreConfig::new(vec!["http://localhost:2379/path".into()]),
        StoreConfig { ca: Some("/does/not/exist".into()), ..StoreConfig::new(vec!["https://localhost:2379".into()]) },
        StoreConfig { prefix: "registry".into(), ..StoreConfig::new(vec!["http://localhost:2379".into()]) },
    ];
    for config in refused {
        let outcome = Store::connect(config.clone()).await.map(drop);
        assert!(matches!(outcome, Err(StoreError::Config(_))), "{config:?}: {outcome:?}");
    }
}
