//! kine-shim: the etcd v3 API on a SQL database. See ARCHITECTURE.md for the way of a write through these modules.

mod fence;
pub mod grpc;
mod leases;
pub mod log;
pub mod model;
mod sequencer;
pub mod shim;
pub mod state;
pub mod watch;
