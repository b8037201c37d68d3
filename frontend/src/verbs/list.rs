//! GET of a collection.

use std::{collections::HashMap, sync::Arc};

use bytes::{BufMut, BytesMut};
use http::Response;
use parking_lot::Mutex;

use super::{
    encodings, input,
    list_options::{ListOptions, Match, Selection},
    page::{CHUNK, Page, set_list_meta},
    protobuf_list,
    respond::{self, go_type},
    response::{encode, response},
    select, table,
    write::store_error,
};
use crate::{
    api::schema::{Object, Value},
    cluster::{Target, known_kind},
    request::{
        Request,
        body::{self, Body},
        negotiate::{MediaType, Output, Transform},
        status::{ApiError, ListMeta, Reason},
    },
    store::{
        Entry, Key, ListAt, ListRequest, Listing, StoreError,
        cache::Budget,
        continue_token::{BadToken, Continue},
    },
    verbs::Context,
};

pub(super) async fn list(
    ctx: &Context,
    target: &Target,
    request: &Request,
    output: Output,
) -> Result<Response<Body>, ApiError> {
    let options = ListOptions::parse(&request.query, target)?;
    let listing = read(ctx, target, &options).await?;
    write(ctx, target, request, output, listing)
}

/// Reads what the options select.
pub(super) async fn read(ctx: &Context, target: &Target, options: &ListOptions) -> Result<Page, ApiError> {
    let revision =
        options.revision().map_err(|error| ApiError::bad_request(format!("invalid resource version: {error}")))?;
    let scope = select::scope(ctx, target)?;
    let mut start_key = None;
    let at = if options.continue_token.is_empty() {
        list_at(options, revision)
    } else {
        let token = read_token(options, scope.key_prefix())?;
        start_key = Some(token.start_key);
        if token.revision > 0 { ListAt::Exact(token.revision) } else { ListAt::Latest }
    };
    // Whoever takes any state gets all of it.
    let limit = if options.resource_version == "0" { 0 } else { usize::try_from(options.limit).unwrap_or(0) };
    let start_anew = start_key
        .as_ref()
        .and_then(|start_key| Continue { start_key: start_key.clone(), revision: -1 }.encode(scope.key_prefix()));
    let request = ListRequest { scope: scope.clone(), at, limit, start_key, select: None };
    let listing = select_seen(ctx, target, &options.selection, request).await.map_err(|fault| match fault {
        Fault::Store(StoreError::Compacted) => expired(start_anew),
        Fault::Store(other) => store_error(target, other),
        Fault::Refused(error) => error,
    })?;
    Ok(Page {
        continue_token: listing.continue_token(&scope).unwrap_or_default(),
        revision: listing.revision,
        remaining: listing.remaining,
        entries: target.views(&ctx.cluster, &listing.entries).await?,
    })
}

enum Fault {
    Store(StoreError),
    Refused(ApiError),
}

/// Selects by what the target sees of the entries. Where a webhook has to be asked for that, the same list is made
/// again when it has answered.
async fn select_seen(
    ctx: &Context,
    target: &Target,
    selection: &Selection,
    mut request: ListRequest<'_>,
) -> Result<Listing, Fault> {
    let store = &ctx.cluster.store;
    if selection.is_everything() {
        return store.listing(&request).await.map_err(Fault::Store);
    }
    let mut seen: HashMap<Position, Arc<Entry>> = HashMap::new();
    loop {
        let unseen = Mutex::new(Vec::new());
        let chosen = |entry: &Arc<Entry>| {
            let known = target.known_view(entry).or_else(|| seen.get(&position(entry)).cloned());
            match known {
                Some(view) => select::selects(target, selection, &view),
                None => {
                    unseen.lock().push(Arc::clone(entry));
                    false
                }
            }
        };
        let attempt = ListRequest {
            scope: request.scope.clone(),
            start_key: request.start_key.clone(),
            select: Some(&chosen),
            ..request
        };
        let listing = store.listing(&attempt).await.map_err(Fault::Store)?;
        let unseen = unseen.into_inner();
        if unseen.is_empty() {
            return Ok(listing);
        }
        let views = target.views(&ctx.cluster, &unseen).await.map_err(Fault::Refused)?;
        seen.extend(unseen.iter().map(|entry| position(entry)).zip(views));
        request.at = ListAt::Exact(listing.revision);
    }
}

/// A key at a revision.
type Position = (Key, i64);

fn position(entry: &Entry) -> Position {
    (entry.key().clone(), entry.mod_revision())
}

fn list_at(options: &ListOptions, revision: i64) -> ListAt {
    match options.version_match {
        Some(Match::Exact) => ListAt::Exact(revision),
        // A page at a revision has always meant that very revision.
        None if options.limit > 0 && revision > 0 => ListAt::Exact(revision),
        _ if options.resource_version.is_empty() => ListAt::Latest,
        _ if revision == 0 => ListAt::Any,
        _ => ListAt::NotOlderThan(revision),
    }
}

fn read_token(options: &ListOptions, prefix: &str) -> Result<Continue, ApiError> {
    if !matches!(options.resource_version.as_str(), "" | "0") {
        return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
    }
    Continue::decode(&options.continue_token, prefix).map_err(|error| {
        let why = match &error {
            BadToken::Json { text, error } => {
                format!("continue key is not valid: {}", input::json_error(text, error))
            }
            other => other.to_string(),
        };
        ApiError::bad_request(format!("invalid continue token: {why}"))
    })
}

/// A page whose revision is gone. The token, if the list was begun with one, goes on from there at the current
/// revision.
fn expired(continue_token: Option<String>) -> ApiError {
    let Some(continue_token) = continue_token else {
        return ApiError::gone_expired("The resourceVersion for the provided list is too old.");
    };
    let refusal = ApiError::gone_expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    let list_meta = Some(Box::new(ListMeta { continue_token, ..ListMeta::default() }));
    ApiError { list_meta, ..refusal }
}

fn write(
    ctx: &Context,
    target: &Target,
    request: &Request,
    output: Output,
    listing: Page,
) -> Result<Response<Body>, ApiError> {
    match output.transform {
        Transform::None if output.media == MediaType::Json && !output.pretty => stream_json(ctx, target, listing),
        Transform::None => {
            let listing = match protobuf_list::stream(target, output, listing)? {
                Ok(response) => return Ok(response),
                Err(listing) => listing,
            };
            let items = listing.objects(target)?;
            let kind = known_kind(
                &target.api.schema,
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
            Ok(response(200, output.media, body::full(encode(&list, output))))
        }
        Transform::Table(version) => table::table_of_list(ctx, target, request, output, version, &listing),
        Transform::PartialObjectMetadataList(version) => {
            let mut items = Vec::with_capacity(listing.entries.len());
            for object in listing.objects(target)? {
                let partial = respond::partial_metadata(&target.api.schema, &object, version)?;
                items.push(Value::Struct(partial.root().clone()));
            }
            let kind = known_kind(&target.api.schema, "meta.k8s.io", "v1", "PartialObjectMetadataList")?;
            let mut list = Object::new(&kind);
            list.set(&["apiVersion"], version.api_version());
            // Without items the real server writes null here.
            if !items.is_empty() {
                list.set(&["items"], Value::List(items));
            }
            set_list_meta(&mut list, &listing);
            Ok(response(200, output.media, body::full(encode(&list, output))))
        }
        Transform::PartialObjectMetadata(_) => Err(ApiError::new(
            406,
            Reason::NotAcceptable,
            format!(
                "you requested PartialObjectMetadata, but the requested object is a list ({})",
                go_type(&target.resource, &target.resource.list_kind)
            ),
        )),
    }
}

/// The JSON of a list, without ever holding it as a whole.
fn stream_json(ctx: &Context, target: &Target, listing: Page) -> Result<Response<Body>, ApiError> {
    let (head, tail) = (head_json(target, &listing), tail_json(target, &listing));
    let budget = Arc::clone(ctx.cluster.store.cache().encodings());
    if listing.entries.len() <= CHUNK {
        let mut out = BytesMut::from(head.as_bytes());
        append(&mut out, target, &listing.entries, &budget, true)?;
        out.put_slice(tail.as_bytes());
        return Ok(response(200, MediaType::Json, body::full(out.freeze())));
    }
    let target = target.clone();
    let count = listing.entries.len().div_ceil(CHUNK);
    let items = Arc::new(listing.entries);
    let chunks = (0..count).map(move |at| {
        let part = &items[at * CHUNK..((at + 1) * CHUNK).min(items.len())];
        // As much as such items mostly take.
        let stored: usize = part.iter().map(|item| item.value().len()).sum();
        let mut out = BytesMut::with_capacity(stored * 2);
        if at == 0 {
            out.put_slice(head.as_bytes());
        }
        append(&mut out, &target, part, &budget, at == 0)?;
        if at + 1 == count {
            out.put_slice(tail.as_bytes());
        }
        Ok(out.freeze())
    });
    Ok(response(200, MediaType::Json, body::stream(futures::stream::iter(chunks))))
}

fn append(
    out: &mut BytesMut,
    target: &Target,
    items: &[Arc<Entry>],
    budget: &Arc<Budget>,
    first: bool,
) -> Result<(), ApiError> {
    for (at, item) in items.iter().enumerate() {
        if at > 0 || !first {
            out.put_u8(b',');
        }
        out.put_slice(&encodings::item(target, item, budget)?);
    }
    Ok(())
}

/// What stands before the items: for unstructured lists keys are sorted, and the items come second.
fn head_json(target: &Target, listing: &Page) -> String {
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
fn tail_json(target: &Target, listing: &Page) -> String {
    if !target.resource.custom {
        return "]}\n".to_owned();
    }
    let remaining = listing.remaining.map(|n| format!("\"remainingItemCount\":{n},")).unwrap_or_default();
    format!(
        "],\"kind\":\"{}\",\"metadata\":{{\"continue\":\"{}\",{remaining}\"resourceVersion\":\"{}\"}}}}\n",
        target.resource.list_kind, listing.continue_token, listing.revision
    )
}
