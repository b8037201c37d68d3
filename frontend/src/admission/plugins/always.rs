//! The two plugins that do not look at anything.

use async_trait::async_trait;

use crate::{
    admission::{Attributes, Plugin},
    cluster::Cluster,
    request::status::ApiError,
};

/// Lets everything pass.
#[derive(Default)]
pub(in crate::admission) struct AlwaysAdmit;

impl Plugin for AlwaysAdmit {}

/// Refuses everything.
#[derive(Default)]
pub(in crate::admission) struct AlwaysDeny;

const DENIAL: &str = "admission control is denying all modifications";

#[async_trait]
impl Plugin for AlwaysDeny {
    async fn admit(&self, _: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
        Err(attributes.forbidden(DENIAL))
    }

    async fn validate(&self, _: &Cluster, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        Err(attributes.forbidden(DENIAL))
    }
}
