//! What a column is: its header and where its cells come from.

use super::row::Row;
use crate::api::schema::StructRef;

/// One cell, typed as JSON types it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(super) enum CellValue {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Null,
}

impl From<&str> for CellValue {
    fn from(text: &str) -> CellValue {
        CellValue::Text(text.to_owned())
    }
}

impl From<String> for CellValue {
    fn from(text: String) -> CellValue {
        CellValue::Text(text)
    }
}

impl From<i64> for CellValue {
    fn from(number: i64) -> CellValue {
        CellValue::Int(number)
    }
}

impl From<bool> for CellValue {
    fn from(truth: bool) -> CellValue {
        CellValue::Bool(truth)
    }
}

pub(super) type Path = &'static [&'static str];

/// Where a cell comes from.
#[derive(Clone, Copy)]
pub(super) enum Cell {
    Name,
    Age,
    /// RFC 3339.
    CreatedAt,
    /// The text at a path; absent is empty.
    Text(Path),
    /// The text at a path, or this where it is absent.
    TextOr(Path, &'static str),
    /// Absent is zero.
    Int(Path),
    BoolOr(Path, bool),
    /// How many entries the list or map at a path has.
    Count(Path),
    /// A pod template's containers: their names, their images.
    ContainerNames(Path),
    ContainerImages(Path),
    /// A label selector at a path, or "<none>".
    Selector(Path),
    /// A map of labels at a path, or "<none>".
    Labels(Path),
    With(fn(&Row<'_>) -> CellValue),
}

/// What a header says of its column.
#[derive(Clone, Copy)]
pub(super) enum Doc {
    Text(&'static str),
    /// The schema's description of the field at this path of the kind.
    Field(Path),
    Empty,
}

#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) format: &'static str,
    pub(super) doc: Doc,
    pub(super) priority: u8,
    pub(super) cell: Cell,
}

/// A condition that a row states of its object as a whole.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(super) struct RowCondition {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
}

/// The key by which rows are sorted.
pub(super) type Order = fn(&Row<'_>) -> (i64, String);

/// How objects of one kind become rows.
pub(super) struct Printer {
    pub(super) columns: &'static [Column],
    /// The group and version that describe the columns, where it is not the kind's own: the original never moved on.
    pub(super) described_by: Option<(&'static str, &'static str)>,
    /// A cell that the original writes without a column for it.
    pub(super) stray: Option<Cell>,
    pub(super) condition: Option<fn(&Row<'_>) -> Option<RowCondition>>,
    /// Rows of a list are sorted by this instead of by key.
    pub(super) order: Option<Order>,
    /// An empty list has null for rows.
    pub(super) null_when_empty: bool,
}

pub(super) const fn printer(columns: &'static [Column]) -> Printer {
    Printer { columns, described_by: None, stray: None, condition: None, order: None, null_when_empty: false }
}

impl Printer {
    pub(super) const fn described_by(self, group: &'static str, version: &'static str) -> Printer {
        Printer { described_by: Some((group, version)), ..self }
    }
}

pub(super) const fn text(name: &'static str, doc: Doc, cell: Cell) -> Column {
    Column { name, kind: "string", format: "", doc, priority: 0, cell }
}

pub(super) const fn integer(name: &'static str, doc: Doc, cell: Cell) -> Column {
    Column { kind: "integer", ..text(name, doc, cell) }
}

pub(super) const fn boolean(name: &'static str, doc: Doc, cell: Cell) -> Column {
    Column { kind: "boolean", ..text(name, doc, cell) }
}

impl Column {
    /// Shown only in wide output.
    pub(super) const fn wide(self) -> Column {
        Column { priority: 1, ..self }
    }

    pub(super) const fn name_format(self) -> Column {
        Column { format: "name", ..self }
    }
}

const CREATED: Doc = Doc::Field(&["metadata", "creationTimestamp"]);
pub(super) const NAME: Column = text("Name", Doc::Field(&["metadata", "name"]), Cell::Name).name_format();
pub(super) const AGE: Column = text("Age", CREATED, Cell::Age);
pub(super) const CREATED_AT: Column = Column { kind: "date", ..text("Created At", CREATED, Cell::CreatedAt) };
pub(super) const AGE_DATE: Column = Column { kind: "date", ..AGE };

pub(super) const fn containers(path: Path) -> Column {
    text("Containers", Doc::Text("Names of each container in the template."), Cell::ContainerNames(path)).wide()
}

pub(super) const fn images(path: Path) -> Column {
    text("Images", Doc::Text("Images referenced by each container in the template."), Cell::ContainerImages(path))
        .wide()
}

/// The description of the field at a path below a struct; empty when the schema has none.
pub(super) fn describe<'a>(root: &'a StructRef, path: &[&str]) -> &'a str {
    let Some((last, parents)) = path.split_last() else { return "" };
    let mut here = root;
    for name in parents {
        match here.field(name).and_then(|f| f.struct_ref()) {
            Some(next) => here = next,
            None => return "",
        }
    }
    here.field(last).map_or("", |f| f.doc.as_ref())
}
