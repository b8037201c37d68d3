//! The model as Rust statics in the types of schema/tables.rs.

use std::{collections::BTreeSet, fmt::Write};

use crate::{
    docs::Doc,
    model::{Field, Kind, Model, Struct, Wire},
};

pub(crate) fn rust(model: &Model) -> anyhow::Result<String> {
    let mut out = String::new();
    for index in reachable(model) {
        structure(&mut out, index, &model.structs[index])?;
    }
    writeln!(out, "pub(super) static KINDS: &[KindDef] = &[")?;
    for (number, (group, version, kind, index)) in model.kinds.iter().enumerate() {
        writeln!(out, "KindDef {{ gvk: Gvk::from_static({group:?}, {version:?}, {kind:?}), number: {number},")?;
        writeln!(out, " root: StructRef::Static(&S{index}), custom: None }},")?;
    }
    writeln!(out, "];")?;
    Ok(out)
}

/// The structs that some kind contains.
fn reachable(model: &Model) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = model.kinds.iter().map(|(.., index)| *index).collect();
    while let Some(index) = open.pop() {
        if found.insert(index) {
            let fields = model.structs[index].fields.iter();
            open.extend(fields.filter_map(|field| match field.kind {
                Kind::Of(_, target) => Some(target),
                Kind::Plain(_) => None,
            }));
        }
    }
    found
}

fn structure(out: &mut String, index: usize, definition: &Struct) -> anyhow::Result<()> {
    let Struct { name, package, doc, fields, wire } = definition;
    let atomic = doc.value("structType") == "atomic";
    writeln!(out, "static S{index}: StructDef = StructDef {{")?;
    writeln!(out, " name: Cow::Borrowed({name:?}), package: Cow::Borrowed({package:?}),")?;
    writeln!(out, " doc: Cow::Borrowed({:?}), atomic: {atomic}, fields: Cow::Borrowed(&[", doc.text)?;
    for each in fields {
        field(out, each)?;
    }
    writeln!(out, " ]), wire: Cow::Borrowed({}), open: false }};", wires(wire)?)?;
    Ok(())
}

fn field(out: &mut String, field: &Field) -> anyhow::Result<()> {
    let kind = match &field.kind {
        Kind::Plain(name) => format!("Kind::{name}"),
        Kind::Of(variant, index) => format!("Kind::{variant}(StructRef::Static(&S{index}))"),
    };
    write!(out, "  f({:?}, {kind}, Shape::{}, Presence::{}, ", field.name, field.shape, field.presence)?;
    write!(out, "{}, {:?}, {:?}, {:?}, ", field.required, field.doc.text, field.go_type, field.embedded)?;
    // A reference to a constant of Go is no value.
    let default = field.doc.value("default");
    writeln!(out, "{:?}, {}),", if default.starts_with("ref(") { "" } else { default }, merge(&field.doc)?)?;
    Ok(())
}

fn merge(doc: &Doc) -> anyhow::Result<String> {
    let list_type = doc.value("listType");
    let map_type = [doc.value("mapType"), doc.value("structType")].concat();
    let keys = if list_type == "map" { doc.values("listMapKey") } else { Vec::new() };
    let (strategy, merge_key) = (doc.value("patchStrategy"), doc.value("patchMergeKey"));
    if [list_type, &map_type, strategy, merge_key].iter().all(|marker| marker.is_empty()) {
        return Ok("Merge::NONE".to_owned());
    }
    let mut out = format!("Merge {{ list_type: Cow::Borrowed({list_type:?}), map_type: Cow::Borrowed({map_type:?}), ");
    write!(out, "list_map_keys: Cow::Borrowed(&[")?;
    for key in keys {
        write!(out, "Cow::Borrowed({key:?}),")?;
    }
    write!(out, "]), patch_strategy: Cow::Borrowed({strategy:?}), patch_merge_key: Cow::Borrowed({merge_key:?}) }}")?;
    Ok(out)
}

fn wires(wires_of: &[Wire]) -> anyhow::Result<String> {
    let mut out = "&[".to_owned();
    for wire in wires_of {
        match wire {
            Wire::Slot(number, slot) => {
                write!(out, "Wire {{ number: {number}, target: WireTarget::Slot({slot}) }},")?;
            }
            Wire::Inline(number, inner) => {
                let inner = wires(inner)?;
                write!(out, "Wire {{ number: {number}, target: WireTarget::Inline(Cow::Borrowed({inner})) }},")?;
            }
        }
    }
    out.push(']');
    Ok(out)
}
