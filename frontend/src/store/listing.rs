//! Lists, from memory where that is right and from the store where it is not.
//!
//! In: what to list, how fresh, which page. Out: entries at one revision, and where the next page begins. A list "as of
//! now" takes one shared ReadIndex and then memory; an exact revision is read from memory if nothing has changed since
//! or the snapshot of an earlier page is still kept, and from the store otherwise. Not here: selectors (the caller's
//! closure) and the objects' form.

use std::{sync::Arc, time::Duration};

use super::{
    Entry, PageRequest, Scope, Snapshot, Store, StoreError,
    continue_token::Continue,
    read::{LIST_PAGE_MAX, advance},
};

/// How long a list waits for a revision that the cache has not seen.
const FRESHNESS_WAIT: Duration = Duration::from_secs(3);

/// How fresh a list must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListAt {
    /// As of now.
    Latest,
    /// Whatever the cache has.
    Any,
    NotOlderThan(i64),
    /// This revision and no other; `Compacted` when it is gone.
    Exact(i64),
}

/// Says of an entry whether it is to be listed.
pub type Select<'a> = &'a (dyn Fn(&Arc<Entry>) -> bool + Send + Sync);

/// What to list.
pub struct ListRequest<'a> {
    pub scope: Scope,
    pub at: ListAt,
    /// Entries of one page; 0: all.
    pub limit: usize,
    /// Where the page begins: the key of a continue token. Its revision is asked for by `at`.
    pub start_key: Option<String>,
    pub select: Option<Select<'a>>,
}

/// Entries in the order of their keys, all at one revision.
#[derive(Debug)]
pub struct Listing {
    pub entries: Vec<Arc<Entry>>,
    pub revision: i64,
    /// The last key looked at, when more follow.
    pub last_key: Option<String>,
    /// How many follow; known only without `select`.
    pub remaining: Option<i64>,
}

impl Listing {
    /// The token for the next page of a list of this scope.
    pub fn continue_token(&self, scope: &Scope) -> Option<String> {
        Continue::after(self.last_key.as_deref()?, scope.key_prefix(), self.revision)
    }
}

impl Store {
    /// One page of a list.
    pub async fn listing(&self, request: &ListRequest<'_>) -> Result<Listing, StoreError> {
        let cache = self.cache();
        let exact = match request.at {
            ListAt::Any if cache.is_ready() => 0,
            ListAt::Any => return self.page_from_store(request, 0).await,
            ListAt::Latest => {
                let now = self.current_revision().await?;
                if cache.wait_for(now, FRESHNESS_WAIT).await.is_err() {
                    tracing::warn!(revision = now, "the watch cache lags; listing from the store");
                    return self.page_from_store(request, 0).await;
                }
                0
            }
            ListAt::NotOlderThan(revision) => {
                cache.wait_for(revision, FRESHNESS_WAIT).await?;
                0
            }
            ListAt::Exact(revision) => {
                // One that is still to come may come while we wait.
                if cache.is_ready()
                    && cache.snapshot_at(&request.scope, revision).is_none()
                    && let Err(late @ StoreError::FutureRevision { .. }) =
                        cache.wait_for(revision, FRESHNESS_WAIT).await
                {
                    return Err(late);
                }
                revision
            }
        };
        if exact == 0 {
            let snapshot = cache.snapshot(&request.scope)?;
            return Ok(self.page_of(request, &snapshot));
        }
        match cache.snapshot_at(&request.scope, exact) {
            Some(snapshot) => Ok(self.page_of(request, &snapshot)),
            None => self.page_from_store(request, exact).await,
        }
    }

    fn page_of(&self, request: &ListRequest<'_>, snapshot: &Snapshot) -> Listing {
        let mut range = match &request.start_key {
            Some(start) => snapshot.iter_from(start),
            None => snapshot.iter(),
        };
        let limit = if request.limit == 0 { usize::MAX } else { request.limit };
        let mut entries = Vec::new();
        while entries.len() < limit
            && let Some(entry) = range.next()
        {
            if request.select.is_none_or(|select| select(entry)) {
                entries.push(entry.clone());
            }
        }
        let mut listing = Listing { entries, revision: snapshot.revision(), last_key: None, remaining: None };
        if range.next().is_some()
            && let Some(last) = listing.entries.last()
        {
            listing.last_key = Some(last.key().to_string());
            if request.select.is_none() {
                listing.remaining = i64::try_from(snapshot.count_after(last.key())).ok();
            }
            // The next page will ask for this revision.
            self.cache().keep(snapshot);
        }
        listing
    }

    async fn page_from_store(&self, request: &ListRequest<'_>, revision: i64) -> Result<Listing, StoreError> {
        let limit = if request.limit == 0 { usize::MAX } else { request.limit };
        let first =
            i64::try_from(limit).unwrap_or(LIST_PAGE_MAX).min(if request.limit == 0 { 500 } else { LIST_PAGE_MAX });
        let mut page_request = PageRequest {
            prefix: request.scope.key_prefix().to_owned(),
            start: request.start_key.clone(),
            limit: first,
            revision,
            keys_only: false,
        };
        let mut listing = Listing { entries: Vec::new(), revision, last_key: None, remaining: None };
        loop {
            let page = self.page(&page_request).await.map_err(|error| future(error, revision))?;
            advance(&mut page_request, &page);
            listing.revision = page.revision;
            let mut left = page.count;
            let mut items = page.items.into_iter();
            for stored in items.by_ref() {
                left -= 1;
                if !request.scope.contains(stored.key.as_str()) {
                    continue;
                }
                let entry = self.cache().known_or(stored);
                if request.select.is_none_or(|select| select(&entry)) {
                    listing.entries.push(entry);
                }
                if listing.entries.len() >= limit {
                    break;
                }
            }
            let full = listing.entries.len() >= limit;
            if !full && page.more {
                continue;
            }
            if full && left > 0 {
                listing.last_key = listing.entries.last().map(|entry| entry.key().to_string());
                listing.remaining = request.select.is_none().then_some(left);
            }
            return Ok(listing);
        }
    }
}

fn future(error: StoreError, requested: i64) -> StoreError {
    match error {
        StoreError::FutureRevision { current, .. } => StoreError::FutureRevision { requested, current },
        other => other,
    }
}
