//! EndpointSlices: the topology of older versions is not written through this one.

use super::writer::Writer;
use crate::{
    api::schema::{Object, Value},
    object::equality::same,
};

const HOST_NAME: &str = "kubernetes.io/hostname";

pub(super) fn created(slice: &mut Object, _: &Writer) {
    drop_topology(slice, None);
}

pub(super) fn changed(slice: &mut Object, old: &Object, _: &Writer) {
    drop_topology(slice, Some(old));
}

/// Drops the old topology of endpoints that are written. A host name that the object had there already stays known as
/// the name of the node.
fn drop_topology(slice: &mut Object, old: Option<&Object>) {
    const PATH: &[&str] = &["endpoints"];
    if old.is_some_and(|old| same(slice.get(PATH), old.get(PATH))) {
        return;
    }
    let host = |endpoint: &Value| endpoint.at(&["deprecatedTopology", HOST_NAME])?.as_str().map(str::to_owned);
    let before = old.and_then(|old| old.get_list(PATH)).unwrap_or_default();
    let hosts: Vec<String> = before.iter().filter_map(host).collect();
    let Some(Value::List(endpoints)) = slice.get_mut(PATH) else { return };
    for endpoint in endpoints {
        let known = host(endpoint).filter(|name| hosts.contains(name));
        let Some(fields) = endpoint.as_struct_mut() else { continue };
        if let Some(name) = known.filter(|_| fields.get("nodeName").is_none()) {
            fields.set("nodeName", name);
        }
        fields.remove("deprecatedTopology");
    }
}
