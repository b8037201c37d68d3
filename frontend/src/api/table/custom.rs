//! The columns of custom resources, as their definitions give them.

use super::{
    column::{self, CellValue},
    row::{Row, parse_time},
};
use crate::api::{
    custom::{Column, printed},
    schema::Value,
};

/// A path that is none ends the columns.
pub(super) fn usable(columns: &[Column]) -> impl Iterator<Item = &Column> {
    columns.iter().take_while(|column| column.path.is_some())
}

/// The name, and what the definition wants to be seen.
pub(super) fn cells(columns: &[Column], row: &Row<'_>) -> Vec<CellValue> {
    let name = row.cell(column::Cell::Name);
    let cells = usable(columns).map(|column| cell(column, row).unwrap_or(CellValue::Null));
    std::iter::once(name).chain(cells).collect()
}

/// Nothing where the path finds nothing, or a value of another type.
fn cell(column: &Column, row: &Row<'_>) -> Option<CellValue> {
    let found = column.path.as_ref()?.find(row.whole())?;
    let value = found.first()?;
    match (column.kind.as_str(), &**value) {
        ("string", value) => Some(printed(value).into()),
        ("integer", Value::Int(number)) => Some((*number).into()),
        ("integer", Value::Float(number)) => Some((*number as i64).into()),
        ("number", Value::Int(number)) => Some((*number).into()),
        ("number", Value::Float(number)) if number.fract() == 0.0 && number.abs() < 1e15 => {
            Some((*number as i64).into())
        }
        ("number", Value::Float(number)) => Some(CellValue::Float(*number)),
        ("boolean", Value::Bool(truth)) => Some((*truth).into()),
        ("date", Value::Str(text)) if text.is_empty() => Some("<unknown>".into()),
        ("date", Value::Str(text)) => Some(match parse_time(text) {
            Some(_) => row.since(Some(text)).into(),
            None => "<invalid>".into(),
        }),
        _ => None,
    }
}
