//! Pods get the number of their priority class; of the classes at most one is for pods that name none.

use std::sync::Arc;

use super::Resource;
use crate::{
    admission::{Admitted, Attributes, Operation, Plugin},
    api::schema::Object,
    cluster::Cluster,
    request::status::ApiError,
};

const CLASSES: Resource = ("scheduling.k8s.io", "priorityclasses");

#[derive(Default)]
pub(in crate::admission) struct Priority;

impl Plugin for Priority {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "pods") {
                return Ok(());
            }
            match (attributes.operation, attributes.old) {
                (Operation::Create, _) => resolve(cluster, attributes).await,
                (_, Some(old)) => {
                    let Some(pod) = &mut attributes.object else { return Ok(()) };
                    for field in ["priority", "preemptionPolicy"] {
                        if pod.get(&["spec", field]).is_none() {
                            pod.copy_from(old, &["spec", field]);
                        }
                    }
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }

    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for(CLASSES.0, CLASSES.1) {
                return Ok(());
            }
            let Some(class) = &attributes.object else { return Ok(()) };
            if class.get_bool(&["globalDefault"]) != Some(true) {
                return Ok(());
            }
            match default_class(cluster)? {
                Some(other) if attributes.operation == Operation::Create || other.name() != class.name() => {
                    let why = format!(
                        "PriorityClass {} is already marked as default. Only one default can exist",
                        other.name()
                    );
                    Err(attributes.forbidden(why))
                }
                _ => Ok(()),
            }
        })
    }
}

/// The class of pods that name none. Of several, which only a race makes, the lowest counts.
fn default_class(cluster: &Cluster) -> Result<Option<Arc<Object>>, ApiError> {
    let classes = cluster.informer().list(CLASSES, "")?.into_iter();
    let defaults = classes.filter(|class| class.get_bool(&["globalDefault"]) == Some(true));
    Ok(defaults.min_by_key(|class| class.get_i64(&["value"]).unwrap_or(0)))
}

/// Writes priority and preemption policy into a new pod; what the client wrote there must be the same.
async fn resolve(cluster: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
    let Some(pod) = &attributes.object else { return Ok(()) };
    let named = pod.get_str(&["spec", "priorityClassName"]).unwrap_or_default().to_owned();
    let class = if named.is_empty() {
        default_class(cluster)?
    } else {
        let Some(class) = cluster.informer().find(CLASSES, "", &named).await? else {
            return Err(attributes.forbidden(format!("no PriorityClass with name {named} was found")));
        };
        Some(class)
    };
    let (priority, policy) = match &class {
        Some(class) => (class.get_i64(&["value"]).unwrap_or(0), class.get_str(&["preemptionPolicy"])),
        None => (0, Some("PreemptLowerPriority")),
    };
    if let Some(given) = pod.get_i64(&["spec", "priority"]).filter(|given| *given != priority) {
        return Err(attributes.forbidden(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        )));
    }
    let given = pod.get_str(&["spec", "preemptionPolicy"]);
    if let (Some(given), Some(policy)) = (given, policy)
        && given != policy
    {
        return Err(attributes.forbidden(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        )));
    }
    let Some(pod) = &mut attributes.object else { return Ok(()) };
    if let (true, Some(class)) = (named.is_empty(), &class) {
        pod.set(&["spec", "priorityClassName"], class.name());
    }
    pod.set(&["spec", "priority"], priority);
    if let Some(policy) = policy {
        pod.set(&["spec", "preemptionPolicy"], policy);
    }
    Ok(())
}
