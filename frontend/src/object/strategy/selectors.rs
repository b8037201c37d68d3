//! A Job finds its pods by its own uid, unless the client says how.

use super::writer::Writer;
use crate::api::schema::Object;

pub(super) fn generate(object: &mut Object, _: &Writer) {
    if object.get_bool(&["spec", "manualSelector"]) == Some(true) {
        return;
    }
    // A Job without labels has those of its template; the real server lets both be one map.
    let shared = object
        .get(&["metadata", "labels"])
        .is_some_and(|own| object.get(&["spec", "template", "metadata", "labels"]).is_some_and(|labels| labels == own));
    let (uid, name) = (object.uid().to_owned(), object.name().to_owned());
    let labels = ["spec", "template", "metadata", "labels"];
    for (key, value) in [
        ("controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        // What the client says instead is refused when the Job is validated.
        if object.get(&[labels[0], labels[1], labels[2], labels[3], key]).is_some() {
            continue;
        }
        object.set(&[labels[0], labels[1], labels[2], labels[3], key], value.as_str());
        if shared {
            object.set(&["metadata", "labels", key], value.as_str());
        }
    }
    let selected = ["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"];
    if object.get(&selected).is_none() {
        object.set(&selected, uid.as_str());
    }
}
