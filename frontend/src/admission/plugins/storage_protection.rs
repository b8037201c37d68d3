//! What is in use is not removed before its controller says so: volumes, claims and their classes get a finalizer.

use crate::{
    admission::{Admitted, Attributes, Plugin},
    cluster::Cluster,
};

const FINALIZERS: [((&str, &str), &str); 3] = [
    (("", "persistentvolumes"), "kubernetes.io/pv-protection"),
    (("", "persistentvolumeclaims"), "kubernetes.io/pvc-protection"),
    (("storage.k8s.io", "volumeattributesclasses"), "kubernetes.io/vac-protection"),
];

#[derive(Default)]
pub(in crate::admission) struct StorageObjectInUseProtection;

impl Plugin for StorageObjectInUseProtection {
    fn admit<'a>(&'a self, _: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let row = attributes.row();
            let finalizer = FINALIZERS.iter().find(|(protected, _)| *protected == row).map(|(_, finalizer)| *finalizer);
            let (Some(finalizer), "") = (finalizer, attributes.subresource) else { return Ok(()) };
            let Some(object) = &mut attributes.object else { return Ok(()) };
            let mut finalizers: Vec<String> = object.finalizers().map(str::to_owned).collect();
            if !finalizers.iter().any(|present| present == finalizer) {
                finalizers.push(finalizer.to_owned());
                object.set_finalizers(finalizers.iter().map(String::as_str));
            }
            Ok(())
        })
    }
}
