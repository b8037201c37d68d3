//! The store client and the watch cache against a real server.

mod cache;
mod claims;
mod faults;
mod lists;
mod proxy;
mod requests;
mod rival;
mod server;
mod transport;
mod world;
mod writes;
