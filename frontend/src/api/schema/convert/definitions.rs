//! CustomResourceDefinition: v1beta1, in which it is stored, keeps what all versions share once at the top.

use super::by_name::put;
use crate::api::schema::{
    object::set_in_struct,
    tables::Type,
    value::{Struct, Value},
};

/// In a version of v1 and v1beta1, at the top in v1beta1.
const SHARED: [(&str, &str); 4] = [
    ("subresources", "subresources"),
    ("schema", "validation"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
];

pub(super) fn to_v1beta1(from: &Struct, to: &mut Struct, _: &Type) {
    let Some(spec) = to.get_mut("spec").and_then(Value::as_struct_mut) else { return };
    if let Some(versions) = spec.get("versions").and_then(Value::as_list).filter(|versions| !versions.is_empty()) {
        let mut versions = versions.to_vec();
        put(spec, "version", versions[0].child("name"));
        for (below, top) in SHARED {
            let first = versions[0].child(below).filter(|value| !is_empty(value)).cloned();
            let same = |version: &Value| version.child(below).filter(|value| !is_empty(value)) == first.as_ref();
            if versions.iter().all(same) {
                put(spec, top, first.as_ref());
                versions.iter_mut().filter_map(Value::as_struct_mut).for_each(|version| drop(version.remove(below)));
            }
        }
        spec.set("versions", versions);
    }
    let webhook = from.get("spec").and_then(|spec| spec.at(&["conversion", "webhook"]));
    if let (Some(webhook), Some(conversion)) = (webhook, spec.get_mut("conversion").and_then(Value::as_struct_mut)) {
        put(conversion, "webhookClientConfig", webhook.child("clientConfig"));
        put(conversion, "conversionReviewVersions", webhook.child("conversionReviewVersions"));
    }
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::List(items) if items.is_empty())
}

pub(super) fn to_v1(from: &Struct, to: &mut Struct, _: &Type) {
    let (Some(old), Some(spec)) = (from.get("spec"), to.get_mut("spec").and_then(Value::as_struct_mut)) else { return };
    if spec.get("versions").and_then(Value::as_list).is_none_or(<[Value]>::is_empty) {
        only_version(old, spec);
    }
    if let Some(versions) = spec.get_mut("versions").and_then(Value::as_list_mut) {
        for (below, top) in SHARED {
            if let Some(shared) = old.child(top) {
                versions
                    .iter_mut()
                    .filter_map(Value::as_struct_mut)
                    .for_each(|version| put(version, below, Some(shared)));
            }
        }
    }
    for (old_name, name) in
        [("webhookClientConfig", "clientConfig"), ("conversionReviewVersions", "conversionReviewVersions")]
    {
        if let Some(value) = old.at(&["conversion", old_name]) {
            let path = ["conversion", "webhook"];
            if spec.get("conversion").and_then(|conversion| conversion.child("webhook")).is_none() {
                let conversion = spec.get("conversion").and_then(Value::as_struct);
                let def = conversion.and_then(|conversion| conversion.def().field("webhook"));
                if let Some(def) = def.and_then(|field| field.struct_ref()).cloned() {
                    set_in_struct(spec, &path, Struct::new(&def).into());
                }
            }
            let webhook = spec.get_mut("conversion").and_then(|conversion| conversion.at_mut(&["webhook"]));
            if let Some(webhook) = webhook.and_then(Value::as_struct_mut) {
                put(webhook, name, Some(value));
            }
        }
    }
}

/// The oldest definitions name one version and list none.
fn only_version(old: &Value, spec: &mut Struct) {
    let def = spec.def().field("versions").and_then(|field| field.struct_ref()).cloned();
    if let (Some(name), Some(def)) = (old.child("version"), def) {
        let mut version = Struct::new(&def);
        version.set("name", name.clone());
        version.set("served", true);
        version.set("storage", true);
        spec.set("versions", vec![Value::Struct(version)]);
    }
}
