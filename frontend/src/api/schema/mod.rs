//! Kubernetes' types as data: tables of kinds and fields, the dynamic tree they describe, and one engine over both for
//! JSON, YAML, protobuf, defaulting and conversion. Not here: which resources are served (`registry`), validation of
//! values (`verbs`).

pub mod codec;
pub mod convert;
pub mod defaults;
pub mod fit;
pub mod kinds;
pub mod meta;
pub mod object;
pub mod plans;
pub mod scalar;
pub mod stored;
pub mod structural;
pub mod tables;
pub mod text;
pub mod value;

mod builtin;

pub use codec::{DecodeError, Decoded, StrictError};
pub use convert::{convert, convert_struct};
pub use defaults::apply_defaults;
pub use kinds::Schema;
pub use object::Object;
pub use tables::{Field, Gvk, Kind, Merge, Nested, Presence, Shape, StructDef, StructRef, Type};
pub use text::Text;
pub use value::{MapValue, Struct, Value};
