//! The two plugins that do not look at anything.

use crate::{
    admission::{Admitted, Attributes, Plugin},
    cluster::Cluster,
};

/// Lets everything pass.
#[derive(Default)]
pub(in crate::admission) struct AlwaysAdmit;

impl Plugin for AlwaysAdmit {}

/// Refuses everything.
#[derive(Default)]
pub(in crate::admission) struct AlwaysDeny;

const DENIAL: &str = "admission control is denying all modifications";

impl Plugin for AlwaysDeny {
    fn admit<'a>(&'a self, _: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move { Err(attributes.forbidden(DENIAL)) })
    }

    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move { Err(attributes.forbidden(DENIAL)) })
    }
}
