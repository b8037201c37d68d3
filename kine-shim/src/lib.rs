//! kine-shim: the etcd v3 API on a SQL database. See ARCHITECTURE.md for the way of a write through these modules.

pub mod log;
pub mod model;
pub mod state;
