//! Who makes a request, and whether they may.
//!
//! In: a request that was only parsed. Out: one that is [`Authorized`], the only kind that a handler takes. Each stage
//! is made from the one before and in this folder alone, so that skipping one does not compile. Not here: what an
//! object may contain (`admission`).

pub mod authn;
pub mod authz;
mod kept;
mod metrics;
pub mod reviews;
mod stages;
mod structured;

use std::{sync::Arc, time::Instant};

use authn::{Authentication, service_account::ServiceAccounts};
use authz::{Attributes, Authorization, Authorizer as _, rbac::Rbac};
use metrics::Attempt;
pub use metrics::Metrics;
pub use stages::{Authenticated, Authorized, Unauthenticated};

use crate::request::{Request, status::ApiError};

/// How the audit is told of a decision.
const DECISION: &str = "authorization.k8s.io/decision";
const REASON: &str = "authorization.k8s.io/reason";

/// Both questions, with everything that can answer them.
pub struct Access {
    pub authentication: Authentication,
    pub authorization: Authorization,
    /// Checks grants of rights, whatever else authorizes requests.
    pub rbac: Arc<Rbac>,
    /// Makes tokens of service accounts.
    pub service_accounts: Arc<ServiceAccounts>,
    pub metrics: Metrics,
}

/// A request of nobody knows whom, with its refusal.
pub struct Refused {
    pub error: ApiError,
    pub request: Request,
}

impl Access {
    pub async fn authenticate(&self, request: Unauthenticated) -> Result<Authenticated, Box<Refused>> {
        let mut request = request.into_request();
        let began = Instant::now();
        let found = self.authentication.authenticate(&mut request).await;
        let attempt = match &found {
            Ok(user) => Attempt::Known(&user.name),
            Err(refusal) if refusal.internal.is_some() => Attempt::Bad,
            Err(_) => Attempt::Unknown,
        };
        self.metrics.authenticated(attempt, began.elapsed());
        match found {
            Ok(user) => Ok(Unauthenticated::new(request).authenticated(user)),
            Err(error) => Err(Box::new(Refused { error, request })),
        }
    }

    /// Makes the request that of the user it asks to act as. Decided by the rights of the real user.
    pub async fn impersonate(&self, request: Authenticated) -> Result<Authenticated, ApiError> {
        let (mut request, user) = request.into_parts();
        let user = authz::impersonate(&self.authorization, user, &mut request.headers).await?;
        Ok(Unauthenticated::new(request).authenticated(user))
    }

    pub async fn authorize(&self, request: Authenticated) -> Result<Authorized, ApiError> {
        let attributes = Attributes::of_request(request.user(), request.request());
        let annotations = &request.request().notes.annotations;
        let began = Instant::now();
        let decision = self.authorization.authorize(&attributes).await;
        self.metrics.authorized(decision.result(), began.elapsed());
        match decision.into_result(&attributes) {
            Ok(reason) => {
                annotations.add(DECISION, "allow");
                annotations.add(REASON, reason);
                Ok(request.authorized())
            }
            Err(refusal) => {
                match refusal.code {
                    403 => annotations.add(DECISION, "forbid"),
                    _ => annotations.add(REASON, "internal error"),
                }
                Err(refusal)
            }
        }
    }
}
