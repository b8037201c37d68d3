//! GET of a collection.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::Response;

use super::{
    encodings,
    get::FRESHNESS_WAIT,
    list_options::{ListOptions, Match},
    respond::{self, response},
    select, table,
    target::{Target, known_kind},
    write::store_error,
};
use crate::{
    body::{self, Body},
    context::Context,
    negotiate::{MediaType, Output, Transform},
    pipeline::Request,
    schema::{Object, Value},
    status::ApiError,
    store::{Entry, PageRequest, StoreError, Stored, continue_token::Continue},
};

/// An object of a list, from the cache or from the store.
pub(super) enum Item {
    Cached(Arc<Entry>),
    Read(Stored),
}

impl Item {
    pub(super) fn object(&self, target: &Target) -> Result<Object, ApiError> {
        match self {
            Item::Cached(entry) => encodings::object(target, entry),
            Item::Read(stored) => target.decode(stored),
        }
    }

    fn json(&self, target: &Target) -> Result<Bytes, ApiError> {
        match self {
            Item::Cached(entry) => encodings::item(target, entry),
            Item::Read(stored) => Ok(encodings::item_json(target, target.decode(stored)?)),
        }
    }

    fn key(&self) -> &str {
        match self {
            Item::Cached(entry) => entry.key().as_str(),
            Item::Read(stored) => stored.key.as_str(),
        }
    }

    /// The object's name: the last segment of its key.
    pub(super) fn name(&self) -> &str {
        self.key().rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.key().rsplit('/').nth(1).unwrap_or_default()
    }
}

/// A list before it is written.
pub(super) struct Listing {
    pub(super) items: Vec<Item>,
    pub(super) revision: i64,
    pub(super) continue_token: String,
    pub(super) remaining: Option<i64>,
}

pub(super) async fn list(
    ctx: &Context,
    target: &Target,
    request: &Request,
    output: Output,
) -> Result<Response<Body>, ApiError> {
    let options = ListOptions::parse(&request.query, target, false)?;
    let listing = read(ctx, target, &options).await?;
    write(ctx, target, request, output, listing)
}

/// Reads what the options select.
pub(super) async fn read(ctx: &Context, target: &Target, options: &ListOptions) -> Result<Listing, ApiError> {
    let revision = options.revision().map_err(ApiError::bad_request)?;
    let prefix = format!("{}{}", ctx.store.prefix(), target.storage()?.key_prefix(&target.namespace));
    if !options.continue_token.is_empty() {
        if !matches!(options.resource_version.as_str(), "" | "0") {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let from = Continue::decode(&options.continue_token, &prefix)
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let at = from.revision.max(0);
        return read_store(ctx, target, options, &prefix, Some(from.start_key), at).await;
    }
    let exact = match options.version_match {
        Some(Match::Exact) => true,
        Some(Match::NotOlderThan) => false,
        None => options.limit > 0 && revision > 0,
    };
    if exact {
        return read_store(ctx, target, options, &prefix, None, revision).await;
    }
    let at_least = match options.resource_version.as_str() {
        "" => ctx.store.current_revision().await.map_err(|error| store_error(target, error))?,
        _ => revision,
    };
    match ctx.store.cache().wait_for(at_least, FRESHNESS_WAIT).await {
        Ok(()) => {}
        // The store has that revision, the cache lags: read around it.
        Err(StoreError::FutureRevision { .. }) if options.resource_version.is_empty() => {
            return read_store(ctx, target, options, &prefix, None, 0).await;
        }
        Err(error) => return Err(store_error(target, error)),
    }
    read_cache(ctx, target, options, &prefix)
}

fn read_cache(ctx: &Context, target: &Target, options: &ListOptions, prefix: &str) -> Result<Listing, ApiError> {
    let snapshot = ctx.store.cache().snapshot(&select::scope(ctx, target)?).map_err(|e| store_error(target, e))?;
    // Whoever takes any state gets all of it.
    let limit = if options.resource_version == "0" { 0 } else { usize::try_from(options.limit).unwrap_or(0) };
    let mut listing =
        Listing { items: Vec::new(), revision: snapshot.revision(), continue_token: String::new(), remaining: None };
    for entry in snapshot.iter() {
        if !select::selects(target, &options.selection, entry) {
            continue;
        }
        if limit > 0 && listing.items.len() == limit {
            let last = listing.items.last().map(Item::key).unwrap_or_default().to_owned();
            listing.continue_token = Continue::after(&last, prefix, listing.revision).unwrap_or_default();
            if options.selection.is_everything() {
                let behind = snapshot.count_after(&crate::store::Key::from(last));
                listing.remaining = i64::try_from(behind).ok();
            }
            break;
        }
        listing.items.push(Item::Cached(entry.clone()));
    }
    Ok(listing)
}

/// Keys read at once when a selection may leave most of them out.
const PAGE: i64 = 500;

/// Reads the store itself at one revision (0: now), in pages until the limit is reached.
async fn read_store(
    ctx: &Context,
    target: &Target,
    options: &ListOptions,
    prefix: &str,
    start: Option<String>,
    revision: i64,
) -> Result<Listing, ApiError> {
    let limit = usize::try_from(options.limit).unwrap_or(0);
    let everything = options.selection.is_everything();
    let page_limit = if limit > 0 && everything { options.limit } else { PAGE.max(options.limit) };
    let mut page = PageRequest { prefix: prefix.to_owned(), start, limit: page_limit, revision, keys_only: false };
    let mut listing = Listing { items: Vec::new(), revision: 0, continue_token: String::new(), remaining: None };
    loop {
        let read = ctx.store.page(&page).await.map_err(|error| expired(target, error, options))?;
        listing.revision = read.revision;
        page.revision = read.revision;
        let (count, found) = (read.count, read.items.len());
        let mut more = read.more;
        for (at, stored) in read.items.into_iter().enumerate() {
            page.start = Some(format!("{}\0", stored.key));
            if select::selects_bytes(target, &options.selection, &stored.value) {
                listing.items.push(Item::Read(stored));
            }
            if limit > 0 && listing.items.len() == limit {
                more |= at + 1 < found;
                break;
            }
        }
        let full = limit > 0 && listing.items.len() >= limit;
        if full && more {
            let last = listing.items.last().map(Item::key).unwrap_or_default();
            listing.continue_token = Continue::after(last, prefix, listing.revision).unwrap_or_default();
            listing.remaining = everything.then(|| count - i64::try_from(found).unwrap_or(0)).filter(|n| *n > 0);
        }
        if full || !more {
            return Ok(listing);
        }
    }
}

/// A page whose revision is gone.
fn expired(target: &Target, error: StoreError, options: &ListOptions) -> ApiError {
    if !matches!(error, StoreError::Compacted) {
        return store_error(target, error);
    }
    if options.continue_token.is_empty() {
        return ApiError::gone_expired("The resourceVersion for the provided list is too old.");
    }
    ApiError::gone_expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    )
}

/// Items written at once; the rest of a long list is encoded while it is sent.
const CHUNK: usize = 256;

fn write(
    ctx: &Context,
    target: &Target,
    request: &Request,
    output: Output,
    listing: Listing,
) -> Result<Response<Body>, ApiError> {
    match output.transform {
        Transform::None if output.media == MediaType::Json && !output.pretty => stream_json(target, listing),
        Transform::None => {
            let items = listing.items.iter().map(|i| i.object(target)).collect::<Result<Vec<_>, _>>()?;
            let kind = known_kind(
                &target.schema,
                &target.resource.group,
                &target.resource.version,
                &target.resource.list_kind,
            )?;
            let mut list = Object::new(&kind);
            let roots = items.into_iter().map(|mut object| {
                if !target.resource.custom {
                    object.remove(&["kind"]);
                    object.remove(&["apiVersion"]);
                }
                Value::Struct(object.root().clone())
            });
            list.set(&["items"], Value::List(roots.collect()));
            set_list_meta(&mut list, &listing);
            Ok(response(200, output.media, body::full(respond::encode(&list, output))))
        }
        Transform::Table(version) => table::table_of_list(ctx, target, request, output, version, &listing),
        Transform::PartialObjectMetadataList(version) => {
            let mut items = Vec::with_capacity(listing.items.len());
            for item in &listing.items {
                let partial = respond::partial_metadata(&target.schema, &item.object(target)?, version)?;
                items.push(Value::Struct(partial.root().clone()));
            }
            let name = version.api_version().rsplit('/').next().unwrap_or("v1");
            let kind = known_kind(&target.schema, "meta.k8s.io", name, "PartialObjectMetadataList")?;
            let mut list = Object::new(&kind);
            list.set(&["items"], Value::List(items));
            set_list_meta(&mut list, &listing);
            Ok(response(200, output.media, body::full(respond::encode(&list, output))))
        }
        Transform::PartialObjectMetadata(_) => Err(ApiError::new(
            406,
            "NotAcceptable",
            format!(
                "you requested PartialObjectMetadata, but the requested object is a list ({}.{})",
                target.resource.version, target.resource.list_kind
            ),
        )),
    }
}

fn set_list_meta(list: &mut Object, listing: &Listing) {
    list.set(&["metadata", "resourceVersion"], listing.revision.to_string());
    if !listing.continue_token.is_empty() {
        list.set(&["metadata", "continue"], listing.continue_token.as_str());
    }
    if let Some(remaining) = listing.remaining {
        list.set(&["metadata", "remainingItemCount"], remaining);
    }
}

/// The JSON of a list, without ever holding it as a whole.
fn stream_json(target: &Target, listing: Listing) -> Result<Response<Body>, ApiError> {
    let (head, tail) = (head_json(target, &listing), tail_json(target, &listing));
    if listing.items.len() <= CHUNK {
        let mut out = BytesMut::from(head.as_bytes());
        append(&mut out, target, &listing.items, true)?;
        out.put_slice(tail.as_bytes());
        return Ok(response(200, MediaType::Json, body::full(out.freeze())));
    }
    let target = target.clone();
    let count = listing.items.len().div_ceil(CHUNK);
    let items = Arc::new(listing.items);
    let chunks = (0..count).map(move |at| {
        let part = &items[at * CHUNK..((at + 1) * CHUNK).min(items.len())];
        let mut out = BytesMut::new();
        if at == 0 {
            out.put_slice(head.as_bytes());
        }
        append(&mut out, &target, part, at == 0)?;
        if at + 1 == count {
            out.put_slice(tail.as_bytes());
        }
        Ok(out.freeze())
    });
    Ok(response(200, MediaType::Json, body::stream(futures::stream::iter(chunks))))
}

fn append(out: &mut BytesMut, target: &Target, items: &[Item], first: bool) -> Result<(), ApiError> {
    for (at, item) in items.iter().enumerate() {
        if at > 0 || !first {
            out.put_u8(b',');
        }
        out.put_slice(&item.json(target)?);
    }
    Ok(())
}

/// What stands before the items: for unstructured lists keys are sorted, and the items come second.
fn head_json(target: &Target, listing: &Listing) -> String {
    let version = target.resource.api_version();
    if target.resource.custom {
        return format!("{{\"apiVersion\":\"{version}\",\"items\":[");
    }
    let mut head = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{version}\",\"metadata\":{{\"resourceVersion\":\"{}\"",
        target.resource.list_kind, listing.revision
    );
    if !listing.continue_token.is_empty() {
        head.push_str(&format!(",\"continue\":\"{}\"", listing.continue_token));
    }
    if let Some(remaining) = listing.remaining {
        head.push_str(&format!(",\"remainingItemCount\":{remaining}"));
    }
    head.push_str("},\"items\":[");
    head
}

/// What stands behind them.
fn tail_json(target: &Target, listing: &Listing) -> String {
    if !target.resource.custom {
        return "]}\n".to_owned();
    }
    let remaining = listing.remaining.map(|n| format!("\"remainingItemCount\":{n},")).unwrap_or_default();
    format!(
        "],\"kind\":\"{}\",\"metadata\":{{\"continue\":\"{}\",{remaining}\"resourceVersion\":\"{}\"}}}}\n",
        target.resource.list_kind, listing.continue_token, listing.revision
    )
}
