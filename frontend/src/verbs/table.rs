//! Tables of what the verbs answer.

use bytes::Bytes;
use http::Response;

use super::{page::Page, response::response};
use crate::{
    api::{
        custom::Column,
        schema::{Object, codec},
        table::{self, IncludeObject, ListMeta, Options},
    },
    cluster::Target,
    request::{
        Request,
        body::{self, Body},
        info::Query,
        negotiate::{MediaType, MetaVersion, Output},
        status::ApiError,
    },
    verbs::Context,
};

/// How the tables of one request look.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableStyle {
    pub(super) include: IncludeObject,
    pub(super) version: MetaVersion,
}

impl TableStyle {
    pub(super) fn parse(query: &Query, version: MetaVersion) -> Result<TableStyle, ApiError> {
        Ok(TableStyle { include: IncludeObject::parse(query.get("includeObject").unwrap_or_default())?, version })
    }

    fn options(self, ctx: &Context, headers: bool) -> Options {
        Options { include: self.include, headers, version: self.version, now: ctx.cluster.clock.now() }
    }
}

/// One object as a table.
pub(super) fn one(
    ctx: &Context,
    target: &Target,
    object: &Object,
    style: TableStyle,
    headers: bool,
) -> Result<Vec<u8>, ApiError> {
    let meta = ListMeta { resource_version: object.resource_version(), ..ListMeta::default() };
    let item = item(target);
    table::table(&target.api.schema, &item, [object], &meta, &style.options(ctx, headers))
}

fn item(target: &Target) -> table::Item {
    match &target.subresource {
        Some(subresource) => table::Item::of_subresource(&target.resource, subresource),
        None => table::Item { columns: columns(target), ..table::Item::of(&target.resource) },
    }
}

/// What the definition of a custom resource wants to be seen.
fn columns(target: &Target) -> Vec<Column> {
    let version = target.definition().and_then(|definition| definition.version(&target.resource.version));
    version.map(|version| version.columns.clone()).unwrap_or_default()
}

pub(super) fn table_of_object(
    ctx: &Context,
    target: &Target,
    object: &Object,
    style: TableStyle,
    output: Output,
) -> Result<Bytes, ApiError> {
    Ok(in_media(one(ctx, target, object, style, true)?, output))
}

pub(super) fn table_of_list(
    ctx: &Context,
    target: &Target,
    request: &Request,
    output: Output,
    version: MetaVersion,
    listing: &Page,
) -> Result<Response<Body>, ApiError> {
    let style = TableStyle::parse(&request.query, version)?;
    let stored = as_stored(target, style)?;
    let objects = listing.objects(stored.as_ref().unwrap_or(target))?;
    let revision = listing.revision.to_string();
    let meta = ListMeta {
        resource_version: &revision,
        continue_token: &listing.continue_token,
        remaining_item_count: listing.remaining,
    };
    let bytes = table::table(&target.api.schema, &item(target), &objects, &meta, &style.options(ctx, true))?;
    Ok(response(200, output.media, body::full(in_media(bytes, output))))
}

/// Objects that are not stored as a table.
pub(super) fn table_of_objects(
    ctx: &Context,
    target: &Target,
    request: &Request,
    output: Output,
    version: MetaVersion,
    objects: &[Object],
) -> Result<Response<Body>, ApiError> {
    let options = TableStyle::parse(&request.query, version)?.options(ctx, true);
    let bytes = table::table(&target.api.schema, &item(target), objects, &ListMeta::default(), &options)?;
    Ok(response(200, output.media, body::full(in_media(bytes, output))))
}

/// Rows that do not show the object itself are made of what is stored, where its version says more.
fn as_stored(target: &Target, style: TableStyle) -> Result<Option<Target>, ApiError> {
    let says_less = target.row() == ("autoscaling", "horizontalpodautoscalers") && target.resource.version == "v1";
    if !says_less || style.include == IncludeObject::Object {
        return Ok(None);
    }
    Ok(Some(Target { kind: target.stored_kind()?, ..target.clone() }))
}

/// Tables are written as compact JSON first.
fn in_media(json: Vec<u8>, output: Output) -> Bytes {
    if output.media == MediaType::Json && !output.pretty {
        return json.into();
    }
    if output.media == MediaType::Yaml {
        let mut yaml = Vec::new();
        codec::json_to_yaml(&json, &mut yaml);
        return yaml.into();
    }
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&json) else { return json.into() };
    serde_json::to_vec_pretty(&value).map_or(Bytes::from(json), Bytes::from)
}
