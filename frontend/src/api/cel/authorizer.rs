//! What expressions may ask an authorizer. The authorizer itself is whoever evaluates the expression.

use std::fmt;

/// Answers checks for the user of a request.
pub trait Authorizer: fmt::Debug + Send + Sync {
    fn authorize(&self, check: &Check) -> Decision;
}

/// One question. `service_account` is namespace and name of who is asked about, where it is not the request's user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    pub service_account: Option<(String, String)>,
    pub verb: String,
    /// For what is no resource.
    pub path: Option<String>,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub field_selector: String,
    pub label_selector: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    pub reason: String,
    pub error: Option<String>,
}

/// A check while it is put together.
#[derive(Clone, Debug)]
pub struct Authz<'a> {
    pub(super) of: &'a dyn Authorizer,
    pub(super) step: Step,
    pub(super) check: Check,
}

/// What a check already speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Authorizer,
    Path,
    Group,
    Resource,
}

impl<'a> Authz<'a> {
    pub fn new(of: &'a dyn Authorizer) -> Authz<'a> {
        Authz { of, step: Step::Authorizer, check: Check::default() }
    }

    /// A check of the resource of a request.
    pub fn of_resource(of: &'a dyn Authorizer, check: Check) -> Authz<'a> {
        Authz { of, step: Step::Resource, check }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.step {
            Step::Authorizer => "kubernetes.authorization.Authorizer",
            Step::Path => "kubernetes.authorization.PathCheck",
            Step::Group => "kubernetes.authorization.GroupCheck",
            Step::Resource => "kubernetes.authorization.ResourceCheck",
        }
    }
}
