//! Pods may keep away from others by node only: larger domains would block whole zones for everybody else.

use super::list;
use crate::{
    admission::{Admitted, Attributes, Plugin},
    cluster::{Cluster, objects::text},
    request::status::ApiError,
};

const HOSTNAME: &str = "kubernetes.io/hostname";

#[derive(Default)]
pub(in crate::admission) struct LimitPodHardAntiAffinityTopology;

impl Plugin for LimitPodHardAntiAffinityTopology {
    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(pod) = attributes.object.as_ref().filter(|_| attributes.is_for("", "pods")) else { return Ok(()) };
            let Some(terms) = pod.get(&["spec", "affinity", "podAntiAffinity"]) else { return Ok(()) };
            let mut terms = list(terms, &["requiredDuringSchedulingIgnoredDuringExecution"]).iter();
            match terms.find(|term| text(term, "topologyKey") != HOSTNAME) {
                None => Ok(()),
                Some(term) => {
                    let why = format!(
                        "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {} but only key {HOSTNAME} is allowed",
                        text(term, "topologyKey")
                    );
                    Err(ApiError::forbidden(&attributes.group_resource(), pod.name(), why))
                }
            }
        })
    }
}
