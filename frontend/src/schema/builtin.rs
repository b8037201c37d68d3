//! The built-in rows, written by build.rs from the proto files of Kubernetes and the authored tables beside it.

use super::tables::KindDef;

pub(super) static KINDS: &[&KindDef] = &[];
