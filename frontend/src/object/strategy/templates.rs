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

/// A new one may say that it has changed before.
pub(super) fn first(object: &mut Object, _: &Writer) {
    let said = object.annotation(GENERATION).and_then(|text| text.parse::<i64>().ok());
    object.set_annotation(GENERATION, &said.unwrap_or(1).max(1).to_string());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::schema::{Schema, codec},
        request::{User, Warnings},
    };

    #[test]
    fn a_new_daemon_set_counts_on_from_what_it_says() {
        for (said, counted) in [(None, "1"), (Some("0"), "1"), (Some("-4"), "1"), (Some("3"), "3")] {
            let json = br#"{"kind":"DaemonSet","apiVersion":"apps/v1","metadata":{"name":"a"}}"#;
            let mut object = codec::decode_json(&Schema::builtin(), json, None).unwrap().object;
            if let Some(said) = said {
                object.set_annotation(GENERATION, said);
            }
            first(&mut object, &Writer { user: &User::default(), now: String::new(), warnings: &Warnings::default() });
            assert_eq!(object.annotation(GENERATION), Some(counted), "{said:?}");
        }
    }
}
