//! A stateless Kubernetes API server on an etcd v3 store.
//!
//! The rooms, from the connection inwards: `server` (connections and the chain of a request), `access` (who is it, and
//! may they), `admission` (what may still happen to an object), `verbs` (one file a verb), `object` (what an object may
//! become), `api` (what is served), `cluster` (the cluster as this server sees it), `store` (the etcd client and the
//! watch cache). `client` calls others over HTTP, `request` holds the nouns of a request, `config` the flags, `wiring`
//! puts a server together. A room uses only rooms further inwards.

pub mod access;
pub mod admission;
pub mod api;
pub mod client;
pub mod cluster;
pub mod config;
pub mod object;
pub mod request;
pub mod server;
pub mod store;
pub mod verbs;
pub mod wiring;
