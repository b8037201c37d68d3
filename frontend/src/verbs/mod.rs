//! What the verbs of the API do: one file a verb.
//!
//! In: a request that its user may make. Out: an answer, or the refusal of the real server. Not here: who may do what
//! (authz), how objects are written as bytes (schema), what resources there are (registry).
//!
//! Ownership of fields (`managedFields`) is kept as clients send it; nobody tracks it yet.

mod binding;
mod caller;
mod components;
mod connect;
mod context;
mod create;
mod defaults;
mod delete;
mod delete_collection;
mod delete_options;
mod dispatch;
mod encodings;
mod eviction;
mod get;
mod input;
mod lifecycle;
mod list;
mod list_options;
mod options;
mod ownership;
mod page;
mod patch;
mod patch_document;
mod protobuf_list;
mod read_at;
mod respond;
mod response;
mod reviews;
mod scale;
mod select;
mod subresources;
mod table;
mod token;
mod update;
mod watch;
mod watch_frames;
mod write;

pub use connect::Backends;
pub use context::Context;
pub use dispatch::dispatch;
