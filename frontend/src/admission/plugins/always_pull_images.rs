//! Images are pulled anew for every pod, so that only who may pull an image runs it.

use super::{CONTAINER_LISTS, containers, list};
use crate::{
    admission::{Admitted, Attributes, Operation, Plugin, aggregate},
    api::schema::{Object, Value},
    cluster::{Cluster, objects::text},
    request::status::{ApiError, FieldError},
};

const ALWAYS: &str = "Always";

#[derive(Default)]
pub(in crate::admission) struct AlwaysPullImages;

impl Plugin for AlwaysPullImages {
    fn admit<'a>(&'a self, _: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !concerns(attributes) {
                return Ok(());
            }
            let Some(pod) = &mut attributes.object else { return Ok(()) };
            for name in CONTAINER_LISTS {
                let Some(Value::List(items)) = pod.get_mut(&["spec", name]) else { continue };
                for container in items.iter_mut().filter_map(Value::as_struct_mut) {
                    container.set("imagePullPolicy", ALWAYS);
                }
            }
            if let Some(Value::List(volumes)) = pod.get_mut(&["spec", "volumes"]) {
                for image in volumes.iter_mut().filter_map(|v| v.child_mut("image")).filter_map(Value::as_struct_mut) {
                    image.set("pullPolicy", ALWAYS);
                }
            }
            Ok(())
        })
    }

    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(pod) = &attributes.object else { return Ok(()) };
            if !concerns(attributes) {
                return Ok(());
            }
            let refusals = violations(pod).into_iter().map(|error| attributes.forbidden(error.to_string()));
            let refusals: Vec<ApiError> = refusals.collect();
            match refusals.len() {
                0 => Ok(()),
                1 => Err(refusals.into_iter().next().unwrap_or_else(|| attributes.forbidden(""))),
                // Several errors have lost their code on the way.
                _ => Err(ApiError::unknown(
                    aggregate(refusals.into_iter().map(|error| error.message).collect()).unwrap_or_default(),
                )),
            }
        })
    }
}

/// Pods themselves; a change only if it brings a new image.
fn concerns(attributes: &Attributes<'_>) -> bool {
    if !attributes.is_for("", "pods") {
        return false;
    }
    let images = |pod: &Object| -> Vec<String> {
        pod.get(&["spec"]).into_iter().flat_map(containers).map(|c| text(c, "image").to_owned()).collect()
    };
    match (attributes.operation, &attributes.object, attributes.old) {
        (Operation::Update, Some(pod), Some(old)) => {
            let before = images(old);
            images(pod).iter().any(|image| !before.contains(image))
        }
        _ => true,
    }
}

fn violations(pod: &Object) -> Vec<FieldError> {
    let wrong = |place: String, found: &str| FieldError::not_supported(place, found, &[ALWAYS]);
    let mut errors = Vec::new();
    let Some(spec) = pod.get(&["spec"]) else { return errors };
    for name in CONTAINER_LISTS {
        for (at, container) in list(spec, &[name]).iter().enumerate() {
            let policy = text(container, "imagePullPolicy");
            if policy != ALWAYS {
                errors.push(wrong(format!("spec.{name}[{at}].imagePullPolicy"), policy));
            }
        }
    }
    for (at, volume) in list(spec, &["volumes"]).iter().enumerate() {
        if let Some(image) = volume.child("image").filter(|image| text(image, "pullPolicy") != ALWAYS) {
            errors.push(wrong(format!("spec.volumes[{at}].image.pullPolicy"), text(image, "pullPolicy")));
        }
    }
    errors
}
