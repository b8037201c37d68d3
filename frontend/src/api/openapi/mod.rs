//! OpenAPI: the types and paths of the API as documents, generated from the schema's tables and the registry's rows.
//!
//! In: a path and what the client accepts. Out: a whole response. Version 3 has one document for each group version and
//! an index that names each with a hash of its content's sources; version 2 is one document. Documents are made when
//! first asked for and kept compressed. Not here: authorization, other methods than GET.

mod custom;
mod definitions;
mod dialect;
mod facts;
mod foreign;
mod operations;
mod proto_v2;
mod routes;
mod serve;
mod special;
#[cfg(test)]
mod tests;
mod v2;
mod v3;

pub(crate) use facts::{KEY_USAGES, STOP_SIGNALS};
pub use foreign::ForeignV2;
pub use serve::{Asked, Page, answer};

/// The version of Kubernetes whose API this is.
const API_VERSION: &str = "1.35";
