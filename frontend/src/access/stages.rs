//! The stages of a request as types: each is made from the one before, so that skipping one does not compile.
//!
//! `Unauthenticated` -> `Authenticated` -> `Authorized`. Only this folder can take a request further.

use crate::request::{Request, User};

/// A request that was only parsed.
#[derive(Debug)]
pub struct Unauthenticated(Request);

/// A request of a known user (`system:anonymous` is one).
#[derive(Debug)]
pub struct Authenticated {
    request: Request,
    user: User,
}

/// A request that its user may make. Handlers take this and nothing less.
#[derive(Debug)]
pub struct Authorized {
    request: Request,
    user: User,
}

impl Unauthenticated {
    pub fn new(request: Request) -> Self {
        Unauthenticated(request)
    }

    pub fn request(&self) -> &Request {
        &self.0
    }

    pub(super) fn into_request(self) -> Request {
        self.0
    }

    pub(super) fn authenticated(self, user: User) -> Authenticated {
        Authenticated { request: self.0, user }
    }
}

impl Authenticated {
    pub fn request(&self) -> &Request {
        &self.request
    }

    pub fn user(&self) -> &User {
        &self.user
    }

    pub(super) fn into_parts(self) -> (Request, User) {
        (self.request, self.user)
    }

    pub(super) fn authorized(self) -> Authorized {
        Authorized { request: self.request, user: self.user }
    }
}

impl Authorized {
    /// A request that this server makes of itself, at start-up: by a user that may do everything.
    pub fn loopback(request: Request) -> Authorized {
        Authorized { request, user: User::loopback() }
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    pub fn user(&self) -> &User {
        &self.user
    }

    /// Gives up the proof, for handlers that consume the body or the connection.
    pub fn into_parts(self) -> (Request, User) {
        (self.request, self.user)
    }
}
