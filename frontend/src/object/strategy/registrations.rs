//! APIServices that this server answers itself are available at once.

use super::writer::Writer;
use crate::api::schema::{Object, codec};

pub(super) fn created(object: &mut Object, writer: &Writer) {
    if object.get(&["spec", "service"]).is_some() {
        return;
    }
    let condition = serde_json::json!({"status": {"conditions": [{
        "type": "Available",
        "status": "True",
        "reason": "Local",
        "message": "Local APIServices are always available",
        "lastTransitionTime": writer.now,
    }]}});
    let Ok(made) = codec::decode_json_as(object.ty(), condition.to_string().as_bytes()) else { return };
    object.copy_from(&made.object, &["status", "conditions"]);
}
