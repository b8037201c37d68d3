//! DaemonSets say how often their template has changed; they are the one workload that still does.

use super::writer::Writer;
use crate::{api::schema::Object, object::equality::same_at};

const GENERATION: &str = "deprecated.daemonset.template.generation";

pub(super) fn first(object: &mut Object, _: &Writer) {
    object.set_annotation(GENERATION, "1");
}

pub(super) fn counted(object: &mut Object, old: &Object, _: &Writer) {
    let template = ["spec", "template"];
    let before: i64 = old.annotation(GENERATION).and_then(|text| text.parse().ok()).unwrap_or(1);
    let changed = !same_at(object, old, &template);
    object.set_annotation(GENERATION, &(before + i64::from(changed)).to_string());
}
