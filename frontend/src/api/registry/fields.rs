//! Field selectors: which labels a resource accepts and where their values stand.
//!
//! Values are read from the *storage* version of an object, so that one evaluation serves every version of the
//! resource: `key` is the name shared by all versions, `label` is what clients of one version write.

use super::{
    row::{Name, Resource},
    selectable::{LabelRefusal, SelectableField, Unset},
};

impl Resource {
    /// The selectable field that a client's field label means, or the refusal as kube-apiserver words it.
    pub fn field_label(&self, label: &str) -> Result<&SelectableField, String> {
        if let Some(field) = self.selectable_fields.iter().find(|f| f.label == label) {
            return Ok(field);
        }
        Err(match self.label_refusal {
            LabelRefusal::OnlyMetadata => {
                format!("{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
            }
            LabelRefusal::Plain => format!("field label not supported: {label}"),
            LabelRefusal::Quoted => format!("field label {label:?} not supported for {}", self.kind),
            LabelRefusal::Versioned => {
                format!("field label not supported for {}, Kind={}: {label}", self.api_version(), self.kind)
            }
        })
    }
}

fn field(label: &'static str, key: &'static str, paths: &[&'static str], unset: Unset) -> SelectableField {
    SelectableField {
        label: Name::Borrowed(label),
        key: Name::Borrowed(key),
        paths: paths.iter().map(|p| p.split('.').map(Name::Borrowed).collect()).collect(),
        unset,
    }
}

fn text(label: &'static str) -> SelectableField {
    field(label, label, &[label], Unset::Empty)
}

/// metadata.name, and metadata.namespace: which a cluster-scoped resource may accept without having it.
fn metadata(namespaced: bool) -> Vec<SelectableField> {
    let namespace = if namespaced { Unset::Empty } else { Unset::Never };
    let paths: &[&'static str] = if namespaced { &["metadata.namespace"] } else { &[] };
    vec![text("metadata.name"), field("metadata.namespace", "metadata.namespace", paths, namespace)]
}

/// The selectable fields of a built-in resource and how it refuses others.
pub(super) fn builtin(group: &str, plural: &str, namespaced: bool) -> (Vec<SelectableField>, LabelRefusal) {
    let mut fields = metadata(namespaced);
    let refusal = match (group, plural) {
        ("", "pods") => {
            fields.extend(pod());
            LabelRefusal::Plain
        }
        ("", "events") => {
            fields.extend(core_event());
            LabelRefusal::Plain
        }
        ("events.k8s.io", "events") => {
            fields.extend(new_event());
            LabelRefusal::Plain
        }
        ("", "nodes") => {
            fields.truncate(1);
            fields.push(field("spec.unschedulable", "spec.unschedulable", &["spec.unschedulable"], Unset::False));
            LabelRefusal::Plain
        }
        ("", "replicationcontrollers") => {
            fields.push(field("status.replicas", "status.replicas", &["status.replicas"], Unset::Zero));
            LabelRefusal::Plain
        }
        ("", "namespaces") => {
            fields.truncate(1);
            fields.push(text("status.phase"));
            LabelRefusal::Plain
        }
        ("", "secrets") => {
            fields.push(text("type"));
            LabelRefusal::Plain
        }
        ("", "services") => {
            fields.extend([text("spec.clusterIP"), text("spec.type")]);
            LabelRefusal::Plain
        }
        ("batch", "jobs") => {
            fields.push(field("status.successful", "status.successful", &["status.succeeded"], Unset::Zero));
            LabelRefusal::Quoted
        }
        ("certificates.k8s.io", "certificatesigningrequests") => {
            fields.truncate(1);
            fields.push(text("spec.signerName"));
            LabelRefusal::Plain
        }
        ("resource.k8s.io", "resourceslices") => {
            fields.truncate(1);
            fields.extend([text("spec.nodeName"), text("spec.driver")]);
            LabelRefusal::Versioned
        }
        _ => LabelRefusal::OnlyMetadata,
    };
    (fields, refusal)
}

fn pod() -> Vec<SelectableField> {
    let mut fields: Vec<_> = [
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ]
    .into_iter()
    .map(text)
    .collect();
    fields.push(field("spec.hostNetwork", "spec.hostNetwork", &["spec.hostNetwork"], Unset::False));
    // Accepted by the original, but its field set never holds it.
    fields.push(field("status.podIPs", "status.podIPs", &[], Unset::Never));
    fields.push(field("spec.host", "spec.nodeName", &["spec.nodeName"], Unset::Empty));
    fields
}

fn core_event() -> Vec<SelectableField> {
    let mut fields: Vec<_> = [
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "type",
    ]
    .into_iter()
    .map(text)
    .collect();
    fields.push(field("source", "source", &["source.component", "reportingComponent"], Unset::Empty));
    fields
}

/// Events are stored as core v1, so the paths are those of core v1.
fn new_event() -> Vec<SelectableField> {
    [
        ("regarding.kind", "involvedObject.kind"),
        ("regarding.namespace", "involvedObject.namespace"),
        ("regarding.name", "involvedObject.name"),
        ("regarding.uid", "involvedObject.uid"),
        ("regarding.apiVersion", "involvedObject.apiVersion"),
        ("regarding.resourceVersion", "involvedObject.resourceVersion"),
        ("regarding.fieldPath", "involvedObject.fieldPath"),
        ("reason", "reason"),
        ("reportingController", "reportingComponent"),
        ("type", "type"),
    ]
    .into_iter()
    .map(|(label, key)| field(label, key, &[key], Unset::Empty))
    .collect()
}
