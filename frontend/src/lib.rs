//! A stateless Kubernetes API server on an etcd v3 store.
//!
//! A request's way: `net` (listener, TLS) -> `pipeline` (request info, authentication, authorization, admission) ->
//! `verbs` -> `store`, and back through the codec in `schema`; `registry` holds what resources there are.

pub mod admission;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod body;
pub mod bootstrap;
pub mod context;
pub mod discovery;
pub mod flags;
pub mod health;
pub mod metrics;
pub mod negotiate;
pub mod net;
pub mod openapi;
pub mod patch;
pub mod pipeline;
pub mod registry;
pub mod request_info;
pub mod respond;
pub mod reviews;
pub mod schema;
pub mod selector;
pub mod status;
pub mod store;
pub mod strategy;
pub mod table;
pub mod validation;
pub mod verbs;
pub mod wiring;
