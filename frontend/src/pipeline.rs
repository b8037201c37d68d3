//! The way of a request through the server, in one function.
//!
//! In: an HTTP request from the listener. Out: an HTTP response. Not here: sockets (net), the verbs themselves.

mod stages;

pub use stages::{Authenticated, Authorized, Peer, Request, Unauthenticated, Warnings};
