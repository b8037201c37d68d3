//! Tables: objects as rows of cells, for clients that show them to people.
//!
//! In: the kind of the items, the objects, the list's metadata and what the client wants in each row. Out: the JSON of
//! a `meta.k8s.io` Table. Not here: negotiation.

mod cell;
mod column;
mod columns;
mod custom;
mod format;
mod row;
#[cfg(test)]
mod tests;
mod value;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    api::{
        custom::Column,
        registry::{Resource, Subresource},
        schema::{Gvk, Object, Schema, Type, Value, codec, convert, convert_struct},
    },
    request::{
        negotiate::MetaVersion,
        status::{ApiError, escape_html},
    },
};
use column::{CellValue, Doc, Printer, RowCondition};
use row::Row;

/// The kind that rows are of, known even when there is no object.
#[derive(Clone, Debug)]
pub struct Item {
    pub gvk: Gvk,
    pub custom: bool,
    /// Of a custom resource: what its definition wants to be seen.
    pub columns: Vec<Column>,
}

impl Item {
    pub fn of(resource: &Resource) -> Item {
        let gvk = Gvk { group: resource.group.clone(), version: resource.version.clone(), kind: resource.kind.clone() };
        Item { gvk, custom: resource.custom, columns: Vec::new() }
    }

    pub fn of_subresource(resource: &Resource, subresource: &Subresource) -> Item {
        let gvk = Gvk {
            group: subresource.group.clone(),
            version: subresource.version.clone(),
            kind: subresource.kind.clone(),
        };
        let own = gvk.group == resource.group && gvk.kind == resource.kind;
        Item { gvk, custom: resource.custom && own, columns: Vec::new() }
    }
}

/// What each row carries of its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

impl IncludeObject {
    /// Reads the query parameter `includeObject`.
    pub fn parse(text: &str) -> Result<IncludeObject, ApiError> {
        match text {
            "" | "Metadata" => Ok(IncludeObject::Metadata),
            "None" => Ok(IncludeObject::None),
            "Object" => Ok(IncludeObject::Object),
            other => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: \
                 must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub include: IncludeObject,
    /// Off for all events of a watch but the first.
    pub headers: bool,
    pub version: MetaVersion,
    /// What ages are counted to.
    pub now: Timestamp,
}

/// The metadata of a list, or of the one object of a table that was asked for by name.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub resource_version: &'a str,
    #[serde(rename = "continue", skip_serializing_if = "str::is_empty")]
    pub continue_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_item_count: Option<i64>,
}

#[derive(Serialize)]
struct Header<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    format: &'a str,
    description: &'a str,
    priority: u8,
}

/// Writes the table of `objects` as one line of JSON, with the newline that ends every answer.
pub fn table<'a>(
    schema: &Schema,
    item: &Item,
    objects: impl IntoIterator<Item = &'a Object>,
    list: &ListMeta<'_>,
    options: &Options,
) -> Result<Vec<u8>, ApiError> {
    let printed = columns::printed_as(&item.gvk).and_then(|gvk| schema.of(&gvk));
    let printer = columns::printer_for(&item.gvk, item.custom);
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(b"{\"kind\":\"Table\",\"apiVersion\":\"");
    out.extend_from_slice(options.version.api_version().as_bytes());
    out.extend_from_slice(b"\",\"metadata\":");
    write_json(&mut out, list)?;
    out.extend_from_slice(b",\"columnDefinitions\":");
    if options.headers {
        let described = printer.described_by.and_then(|(group, version)| schema.kind(group, version, &item.gvk.kind));
        let kind = described.or_else(|| printed.clone()).or_else(|| schema.of(&item.gvk));
        let mut headers = headers(printer, kind.as_ref());
        if !item.columns.is_empty() {
            headers.truncate(1);
            headers.extend(custom::usable(&item.columns).map(|column| Header {
                name: &column.name,
                kind: &column.kind,
                format: &column.format,
                description: &column.description,
                priority: column.priority,
            }));
        }
        write_json(&mut out, &headers)?;
    } else {
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b",\"rows\":");
    write_rows(&mut out, schema, (item, printer, printed.as_ref()), objects, options)?;
    out.extend_from_slice(b"}\n");
    Ok(out)
}

fn headers<'a>(printer: &'a Printer, kind: Option<&'a Type>) -> Vec<Header<'a>> {
    let describe = |doc| match doc {
        Doc::Text(text) => text,
        Doc::Field(path) => kind.map_or("", |kind| column::describe(&kind.root, path)),
        Doc::Empty => "",
    };
    let columns = printer.columns.iter();
    columns
        .map(|c| Header {
            name: c.name,
            kind: c.kind,
            format: c.format,
            description: describe(c.doc),
            priority: c.priority,
        })
        .collect()
}

fn write_rows<'a>(
    out: &mut Vec<u8>,
    schema: &Schema,
    (item, printer, printed): (&Item, &Printer, Option<&Type>),
    objects: impl IntoIterator<Item = &'a Object>,
    options: &Options,
) -> Result<(), ApiError> {
    let mut objects: Vec<&Object> = objects.into_iter().collect();
    if let Some(order) = printer.order {
        objects.sort_by_cached_key(|object| order(&Row { object, now: options.now }));
    }
    if objects.is_empty() && printer.null_when_empty {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    out.push(b'[');
    for (index, object) in objects.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let converted = printed.filter(|to| to.gvk != *object.gvk()).map(|to| convert(object, to));
        let row = Row { object: converted.as_ref().unwrap_or(object), now: options.now };
        write_row(out, item, printer, &row)?;
        out.extend_from_slice(b",\"object\":");
        write_object(out, schema, object, options)?;
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

/// The row up to its object.
fn write_row(out: &mut Vec<u8>, item: &Item, printer: &Printer, row: &Row<'_>) -> Result<(), ApiError> {
    let cells: Vec<CellValue> = match item.columns.as_slice() {
        [] => printer.columns.iter().map(|column| column.cell).chain(printer.stray).map(|c| row.cell(c)).collect(),
        columns => custom::cells(columns, row),
    };
    out.extend_from_slice(b"{\"cells\":");
    write_json(out, &cells)?;
    let condition: Option<RowCondition> = printer.condition.and_then(|of| of(row));
    if let Some(condition) = condition {
        out.extend_from_slice(b",\"conditions\":");
        write_json(out, &[condition])?;
    }
    Ok(())
}

fn write_object(out: &mut Vec<u8>, schema: &Schema, object: &Object, options: &Options) -> Result<(), ApiError> {
    match options.include {
        IncludeObject::None => out.extend_from_slice(b"null"),
        IncludeObject::Object => codec::encode_json(object, out),
        IncludeObject::Metadata => {
            let partial = schema.kind("meta.k8s.io", "v1", "PartialObjectMetadata");
            let partial = partial.ok_or_else(|| ApiError::internal("the schema has no PartialObjectMetadata"))?;
            let mut metadata = Object::new(&partial);
            metadata.set(&["apiVersion"], options.version.api_version());
            copy_metadata(&mut metadata, object);
            codec::encode_json(&metadata, out);
        }
    }
    Ok(())
}

/// JSON with `<`, `>` and `&` escaped, as everywhere in the API.
fn write_json(out: &mut Vec<u8>, value: &impl Serialize) -> Result<(), ApiError> {
    let json = serde_json::to_string(value).map_err(ApiError::internal)?;
    out.extend_from_slice(escape_html(&json).as_bytes());
    Ok(())
}

/// Metadata in the order of the target's fields, whatever kind it comes from; without annotations that only stand for
/// fields of the inner form.
pub fn copy_metadata(to: &mut Object, from: &Object) {
    let def = to.root().def().field("metadata").and_then(|field| field.struct_ref()).cloned();
    if let (Some(def), Some(metadata)) = (def, from.get(&["metadata"]).and_then(Value::as_struct)) {
        to.set(&["metadata"], convert_struct(metadata, &def));
    }
    for hidden in convert::form_annotations(from) {
        to.remove(&["metadata", "annotations", hidden]);
    }
    if to.get_map(&["metadata", "annotations"]).is_some_and(|map| map.is_empty()) {
        to.remove(&["metadata", "annotations"]);
    }
}
