//! The built-in rows, written by build.rs from the proto files of Kubernetes and the authored facts beside it.

use std::borrow::Cow;

use super::tables::{Field, Gvk, Kind, KindDef, Merge, Presence, Shape, StructDef, StructRef, Wire, WireTarget};

#[allow(clippy::too_many_arguments)] // one column of the generated rows each
const fn f(
    name: &'static str,
    kind: Kind,
    shape: Shape,
    presence: Presence,
    required: bool,
    doc: &'static str,
    go_type: &'static str,
    embedded: &'static str,
    default: &'static str,
    merge: Merge,
) -> Field {
    Field {
        name: Cow::Borrowed(name),
        kind,
        shape,
        presence,
        required,
        doc: Cow::Borrowed(doc),
        go_type: Cow::Borrowed(go_type),
        embedded: Cow::Borrowed(embedded),
        default: Cow::Borrowed(default),
        merge,
        node: None,
    }
}

include!(concat!(env!("OUT_DIR"), "/schema_tables.rs"));
