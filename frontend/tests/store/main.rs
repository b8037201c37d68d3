//! The store client and the watch cache against a real server.

mod cache;
mod faults;
mod lists;
mod proxy;
mod server;
mod transport;
mod writes;
