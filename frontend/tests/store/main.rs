//! The store client and the watch cache against a real server.

mod server;
mod writes;
