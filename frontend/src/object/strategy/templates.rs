//! DaemonSets say how often their template has changed; they are the one workload that still does.

use super::writer::Writer;
use crate::{api::schema::Object, object::equality::same_at};

const GENERATION: &str = "deprecated.daemonset.template.generation";

/// How often the template has changed, as the client says; it always says something.
pub(super) fn settle(object: &mut Object) -> Result<(), String> {
    use std::num::IntErrorKind;
    let Some(text) = object.annotation(GENERATION) else {
        object.set_annotation(GENERATION, "0");
        return Ok(());
    };
    text.parse::<i64>().map(|_| ()).map_err(|error| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {}: {why}", crate::request::status::go_quote(text))
    })
}

pub(super) fn first(object: &mut Object, _: &Writer) {
    object.set_annotation(GENERATION, "1");
}

/// The status endpoint leaves the count.
pub(super) fn kept(object: &mut Object, old: &Object, _: &Writer) {
    if let Some(count) = old.annotation(GENERATION).map(str::to_owned) {
        object.set_annotation(GENERATION, &count);
    }
}

pub(super) fn counted(object: &mut Object, old: &Object, _: &Writer) {
    let template = ["spec", "template"];
    let before: i64 = old.annotation(GENERATION).and_then(|text| text.parse().ok()).unwrap_or(1);
    let changed = !same_at(object, old, &template);
    object.set_annotation(GENERATION, &(before + i64::from(changed)).to_string());
}
