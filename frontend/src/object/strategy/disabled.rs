//! Fields of features that a default server has switched off: dropped from what clients send, unless the object that is
//! replaced uses them already. In: an object, and what it replaces. Out: the object without them. Not here: switches;
//! the defaults of 1.35 are data.

use std::collections::HashSet;

use crate::api::schema::{Object, Struct, Value};

/// Struct and field, as in the API; the package tells structs of one name apart.
const FIELDS: &[(&str, &str, &str)] = &[
    ("api.apps.v1", "RollingUpdateStatefulSetStrategy", "maxUnavailable"),
    ("api.coordination.v1", "LeaseSpec", "preferredHolder"),
    ("api.coordination.v1", "LeaseSpec", "strategy"),
    ("api.core.v1", "ContainerStatus", "allocatedResourcesStatus"),
    ("api.core.v1", "Lifecycle", "stopSignal"),
    ("api.core.v1", "NodeSpec", "configSource"),
    ("api.core.v1", "NodeStatus", "config"),
    ("api.core.v1", "PodSpec", "workloadRef"),
    ("api.core.v1", "PodStatus", "allocatedResources"),
    ("api.core.v1", "PodStatus", "extendedResourceClaimStatus"),
    ("api.core.v1", "PodStatus", "resources"),
    ("api.core.v1", "VolumeProjection", "clusterTrustBundle"),
    ("api.core.v1", "VolumeProjection", "podCertificate"),
    ("api.resource.v1", "AllocatedDeviceStatus", "shareID"),
    ("api.resource.v1", "Device", "allNodes"),
    ("api.resource.v1", "Device", "allowMultipleAllocations"),
    ("api.resource.v1", "Device", "bindingConditions"),
    ("api.resource.v1", "Device", "bindingFailureConditions"),
    ("api.resource.v1", "Device", "bindsToNode"),
    ("api.resource.v1", "Device", "consumesCounters"),
    ("api.resource.v1", "Device", "nodeName"),
    ("api.resource.v1", "Device", "nodeSelector"),
    ("api.resource.v1", "Device", "taints"),
    ("api.resource.v1", "DeviceCapacity", "requestPolicy"),
    ("api.resource.v1", "DeviceConstraint", "distinctAttribute"),
    ("api.resource.v1", "DeviceRequestAllocationResult", "bindingConditions"),
    ("api.resource.v1", "DeviceRequestAllocationResult", "bindingFailureConditions"),
    ("api.resource.v1", "DeviceRequestAllocationResult", "consumedCapacity"),
    ("api.resource.v1", "DeviceRequestAllocationResult", "shareID"),
    ("api.resource.v1", "DeviceSubRequest", "capacity"),
    ("api.resource.v1", "DeviceSubRequest", "tolerations"),
    ("api.resource.v1", "ExactDeviceRequest", "capacity"),
    ("api.resource.v1", "ExactDeviceRequest", "tolerations"),
    ("api.resource.v1", "DeviceClassSpec", "extendedResourceName"),
    ("api.resource.v1", "ResourceSliceSpec", "perDeviceNodeSelection"),
    ("api.resource.v1", "ResourceSliceSpec", "sharedCounters"),
];

type Row = &'static (&'static str, &'static str, &'static str);

/// Drops them.
pub(super) fn drop_fields(object: &mut Object, old: Option<&Object>) {
    let mut used = HashSet::new();
    if let Some(old) = old {
        find(old.root(), &mut used);
    }
    visit(object.root_mut(), &used);
}

fn rows<'a>(fields: &'a Struct) -> impl Iterator<Item = Row> + use<'a> {
    let def = fields.def();
    FIELDS.iter().filter(move |(package, name, _)| *name == def.name && *package == def.package)
}

fn find(fields: &Struct, used: &mut HashSet<Row>) {
    used.extend(rows(fields).filter(|(_, _, field)| fields.get(field).is_some()));
    for (_, value) in fields.iter() {
        structs(value).for_each(|inner| find(inner, used));
    }
}

fn structs(value: &Value) -> Box<dyn Iterator<Item = &Struct> + '_> {
    match value {
        Value::Struct(fields) => Box::new(std::iter::once(fields)),
        Value::List(items) => Box::new(items.iter().filter_map(Value::as_struct)),
        Value::Map(map) => Box::new(map.iter().filter_map(|(_, item)| item.as_struct())),
        _ => Box::new(std::iter::empty()),
    }
}

fn visit(fields: &mut Struct, used: &HashSet<Row>) {
    let dropped: Vec<Row> = rows(fields).filter(|row| !used.contains(row)).collect();
    for (_, _, field) in dropped {
        fields.remove(field);
    }
    for slot in fields.slots_mut() {
        // Of hooks nothing is left where they were made of what is dropped.
        let hooks = |slot: &Option<Value>| {
            slot.as_ref()
                .and_then(Value::as_struct)
                .filter(|inner| inner.def().name == "Lifecycle")
                .map(Struct::is_empty)
        };
        let had_hooks = hooks(slot) == Some(false);
        match slot {
            None => continue,
            Some(value) => visit_value(value, used),
        }
        if had_hooks && hooks(slot) == Some(true) {
            *slot = None;
        }
    }
}

fn visit_value(value: &mut Value, used: &HashSet<Row>) {
    match value {
        Value::Struct(inner) => visit(inner, used),
        Value::List(items) => items.iter_mut().filter_map(Value::as_struct_mut).for_each(|inner| visit(inner, used)),
        Value::Map(map) => {
            map.iter_mut().filter_map(|(_, item)| item.as_struct_mut()).for_each(|inner| visit(inner, used));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{Schema, codec};

    fn pod(signal: &str) -> Object {
        let text = format!(
            r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"a"}},"spec":{{"containers":[
                {{"name":"c","image":"i","lifecycle":{{"stopSignal":"{signal}"}}}}]}}}}"#
        );
        codec::decode_json(&Schema::builtin(), text.as_bytes(), None).unwrap().object
    }

    fn signal(pod: &Object) -> Option<&str> {
        let container = &pod.get_list(&["spec", "containers"]).unwrap()[0];
        container.at(&["lifecycle", "stopSignal"]).and_then(Value::as_str)
    }

    #[test]
    fn a_field_that_is_switched_off_is_dropped_unless_it_was_in_use() {
        let mut new = pod("SIGTERM");
        drop_fields(&mut new, None);
        assert_eq!(signal(&new), None);
        let mut changed = pod("SIGUSR1");
        drop_fields(&mut changed, Some(&pod("SIGTERM")));
        assert_eq!(signal(&changed), Some("SIGUSR1"));
    }
}
