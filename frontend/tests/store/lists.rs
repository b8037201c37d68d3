//! Lists: the same from memory and from the store, page by page at one revision.

use std::sync::Arc;

use frontend::store::{
    CreateOutcome, Entry, ListAt, ListRequest, Listing, Scope, Store, StoreError, continue_token::Continue,
};

use crate::server::Server;

async fn fill(store: &Store, count: usize) -> i64 {
    let mut last = 0;
    for n in 0..count {
        let key = format!("{}/things/ns{}/{n:03}", store.prefix(), n % 2);
        let CreateOutcome::Created { revision } = store.create(&key, format!("{n}"), None).await.unwrap() else {
            panic!()
        };
        last = revision;
    }
    last
}

fn request(scope: &Scope, at: ListAt) -> ListRequest<'static> {
    ListRequest { scope: scope.clone(), at, limit: 0, start_key: None, select: None }
}

fn names(listing: &Listing) -> Vec<String> {
    listing.entries.iter().map(|entry| entry.name().to_owned()).collect()
}

#[tokio::test]
async fn pages_follow_each_other_at_one_revision() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    fill(&store, 40).await;
    let scope = Scope::namespace(&format!("{}/things", store.prefix()), "ns1");
    let whole = store.listing(&request(&scope, ListAt::Latest)).await.unwrap();
    assert_eq!((whole.entries.len(), whole.remaining, whole.continue_token(&scope)), (20, None, None));

    let mut page = store.listing(&ListRequest { limit: 6, ..request(&scope, ListAt::Latest) }).await.unwrap();
    let (revision, mut seen, mut left) = (page.revision, names(&page), 14);
    while let Some(token) = page.continue_token(&scope) {
        assert_eq!(page.remaining, Some(left));
        // What happens in between is not seen.
        let late = format!("{}/things/ns1/late{left}", store.prefix());
        store.create(&late, "late", None).await.unwrap();
        let next = Continue::decode(&token, scope.key_prefix()).unwrap();
        assert_eq!(next.revision, revision);
        let at = ListAt::Exact(next.revision);
        page = store
            .listing(&ListRequest { limit: 6, start_key: Some(next.start_key), ..request(&scope, at) })
            .await
            .unwrap();
        assert_eq!(page.revision, revision);
        seen.extend(names(&page));
        left -= 6;
    }
    assert_eq!(seen, names(&whole));
}

#[tokio::test]
async fn an_exact_revision_is_read_from_the_store_when_memory_has_gone_on() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let middle = fill(&store, 10).await;
    let other = format!("{}/things/ns0/other", store.prefix());
    store.create(&other, "x", None).await.unwrap();
    store.delete(&format!("{}/things/ns1/001", store.prefix()), middle - 8).await.unwrap();
    let scope = Scope::resource(&format!("{}/things", store.prefix()));
    let now = store.listing(&request(&scope, ListAt::Latest)).await.unwrap();
    assert!(now.revision > middle);

    let odd = |entry: &Arc<Entry>| entry.namespace() == "ns1";
    for limit in [0, 3] {
        let mut seen = Vec::new();
        let mut start_key = None;
        loop {
            let at = ListAt::Exact(middle);
            let request = ListRequest { limit, start_key, select: Some(&odd), ..request(&scope, at) };
            let page = store.listing(&request).await.unwrap();
            assert_eq!((page.revision, page.remaining), (middle, None));
            seen.extend(names(&page));
            match page.continue_token(&scope) {
                Some(token) => start_key = Some(Continue::decode(&token, scope.key_prefix()).unwrap().start_key),
                None => break,
            }
        }
        assert_eq!(seen, ["001", "003", "005", "007", "009"]);
    }
    let future = now.revision + 1_000_000;
    for at in [ListAt::Exact(future), ListAt::NotOlderThan(future)] {
        let refused = store.listing(&request(&scope, at)).await.unwrap_err();
        assert!(matches!(refused, StoreError::FutureRevision { requested, .. } if requested == future), "{refused:?}");
    }
    let any = store.listing(&request(&scope, ListAt::Any)).await.unwrap();
    assert_eq!(names(&any), names(&now));
}
