//! Permissions that need no stored policy.

use futures::future::BoxFuture;

use super::{Attributes, Authorizer, Decision, Rules, rbac::Rule};
use crate::request::{User, user::MASTERS_GROUP};

/// Members of `system:masters` may do everything.
pub struct Masters;

impl Authorizer for Masters {
    fn authorize<'a>(&'a self, attributes: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            match attributes.user.is_in(MASTERS_GROUP) {
                true => Decision::allow(""),
                false => Decision::no_opinion(""),
            }
        })
    }
}

/// The modes AlwaysAllow and AlwaysDeny.
#[derive(Clone, Copy, Debug)]
pub enum Always {
    Allow,
    Deny,
}

impl Authorizer for Always {
    fn authorize<'a>(&'a self, _: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            match self {
                Always::Allow => Decision::allow(""),
                Always::Deny => Decision::no_opinion("Everything is forbidden."),
            }
        })
    }

    fn rules(&self, _: &User, _: &str) -> Option<Rules> {
        match self {
            Always::Allow => Some(Rules { rules: Rule::everything().to_vec(), ..Rules::default() }),
            Always::Deny => Some(Rules::default()),
        }
    }
}
