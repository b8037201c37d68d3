//! kine-shim: the etcd v3 API on a SQL database. See ARCHITECTURE.md for the way of a write through these modules.

pub mod auth;
pub mod bbolt;
pub mod bench;
pub mod compactor;
pub mod config;
pub mod counters;
mod cryptography;
mod gateway;
pub mod grpc;
pub mod http;
mod leases;
pub mod log;
pub mod logs;
pub mod members;
pub mod metrics;
pub mod migrate;
pub mod model;
pub mod peer;
mod read_index;
mod remedy;
mod sequencer;
pub mod settings;
pub mod shim;
#[cfg(test)]
mod sim;
pub mod state;
pub mod tls;
pub mod watch;
