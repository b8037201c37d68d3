//! What stands in a cell.

use super::{
    column::{Cell, CellValue},
    format,
    row::{Row, count, join},
};

impl Row<'_> {
    pub(super) fn cell(&self, cell: Cell) -> CellValue {
        match cell {
            Cell::Name => self.object.name().into(),
            Cell::Age => self.age().into(),
            Cell::CreatedAt => self.object.creation_timestamp().into(),
            Cell::Text(path) => self.text(path).into(),
            Cell::TextOr(path, absent) => self.object.get_str(path).unwrap_or(absent).into(),
            Cell::Int(path) => self.int(path).into(),
            Cell::BoolOr(path, absent) => self.object.get_bool(path).unwrap_or(absent).into(),
            Cell::Count(path) => self.value(path).map_or(0, count).into(),
            Cell::ContainerNames(path) => join(self.list(path), "name").into(),
            Cell::ContainerImages(path) => join(self.list(path), "image").into(),
            Cell::Selector(path) => format::or_none(format::label_selector(self.value(path))).into(),
            Cell::Labels(path) => format::labels(self.value(path)).into(),
            Cell::With(make) => make(self),
        }
    }
}
