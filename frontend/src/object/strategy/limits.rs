//! LimitRanges get a name when they have none.

use super::writer::Writer;
use crate::api::schema::Object;

pub(super) fn name(object: &mut Object, _: &Writer) {
    if object.name().is_empty() {
        object.set_name(&uuid::Uuid::new_v4().to_string());
    }
}
