//! A Job finds its pods by its own uid, unless the client says how.

use super::writer::Writer;
use crate::api::schema::Object;

pub(super) fn generate(object: &mut Object, _: &Writer) {
    if object.get_bool(&["spec", "manualSelector"]) == Some(true) {
        return;
    }
    let (uid, name) = (object.uid().to_owned(), object.name().to_owned());
    let labels = ["spec", "template", "metadata", "labels"];
    for (key, value) in [
        ("controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        object.set(&[labels[0], labels[1], labels[2], labels[3], key], value.as_str());
    }
    object.set(&["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"], uid.as_str());
}
