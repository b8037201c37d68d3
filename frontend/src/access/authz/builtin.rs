//! Permissions that need no stored policy.

use async_trait::async_trait;

use super::{Attributes, Authorizer, Decision, Rules, rbac::Rule};
use crate::request::{User, user::MASTERS_GROUP};

/// Members of `system:masters` may do everything.
pub struct Masters;

#[async_trait]
impl Authorizer for Masters {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        match attributes.user.is_in(MASTERS_GROUP) {
            true => Decision::allow(""),
            false => Decision::no_opinion(""),
        }
    }
}

/// The modes AlwaysAllow and AlwaysDeny.
#[derive(Clone, Copy, Debug)]
pub enum Always {
    Allow,
    Deny,
}

#[async_trait]
impl Authorizer for Always {
    async fn authorize(&self, _: &Attributes) -> Decision {
        match self {
            Always::Allow => Decision::allow(""),
            Always::Deny => Decision::no_opinion("Everything is forbidden."),
        }
    }

    fn rules(&self, _: &User, _: &str) -> Option<Rules> {
        match self {
            Always::Allow => Some(Rules { rules: Rule::everything().to_vec(), ..Rules::default() }),
            Always::Deny => Some(Rules::default()),
        }
    }
}
