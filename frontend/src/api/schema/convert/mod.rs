//! Between versions of one kind that share storage. Fields of equal names are carried over, renamed ones have rows
//! here, and pairs that differ in shape have a function. Not here: conversion webhooks.

mod autoscaling;
mod by_name;
mod definitions;

pub use self::by_name::convert_struct;
use super::{
    fit::{Fitting, fit_struct},
    kinds::Schema,
    object::Object,
    tables::Type,
    value::Struct,
};

/// After the fields of equal names were carried over, to a struct of the type.
type Reshape = fn(&Struct, &mut Struct, &Type);

/// Kind, from version, to version.
const RESHAPED: &[(&str, &str, &str, Reshape)] = &[
    ("CustomResourceDefinition", "v1", "v1beta1", definitions::to_v1beta1),
    ("CustomResourceDefinition", "v1beta1", "v1", definitions::to_v1),
    ("HorizontalPodAutoscaler", "v1", "v2", autoscaling::to_v2),
    ("HorizontalPodAutoscaler", "v2", "v1", autoscaling::to_v1),
];

/// The object as kind `to`. Fields that `to` has not are dropped.
pub fn convert(object: &Object, to: &Type) -> Object {
    if object.ty() == to {
        return object.clone();
    }
    if to.custom.is_some() {
        let root = fit_struct(object.root().clone().into_members(), &to.root, &mut Fitting::default());
        return Object::from_root(to, root);
    }
    let mut root = convert_struct(object.root(), &to.root);
    let from = object.gvk();
    for (kind, old, new, reshape) in RESHAPED {
        if *kind == to.gvk.kind && *old == from.version && *new == to.gvk.version {
            reshape(object.root(), &mut root, to);
        }
    }
    Object::from_root(to, root)
}

/// An object of a version whose own form says less than the stored one, in the stored one.
pub fn as_stored(object: &Object) -> Option<Object> {
    let gvk = object.gvk();
    if (&*gvk.group, &*gvk.version, &*gvk.kind) != ("autoscaling", "v1", "HorizontalPodAutoscaler") {
        return None;
    }
    let stored = Schema::builtin().kind("autoscaling", "v2", "HorizontalPodAutoscaler")?;
    Some(convert(object, &stored))
}

/// Annotations of an object that stand for fields which its version has not.
pub fn form_annotations(object: &Object) -> &'static [&'static str] {
    let gvk = object.gvk();
    match (&*gvk.group, &*gvk.kind) {
        ("apps", "DaemonSet") => &["deprecated.daemonset.template.generation"],
        ("autoscaling", "HorizontalPodAutoscaler") => &autoscaling::ANNOTATIONS,
        _ => &[],
    }
}

/// Takes from an object what another version of its kind left in annotations.
pub fn drop_round_trip(object: &mut Object) {
    autoscaling::drop_annotations(object.root_mut());
}

#[cfg(test)]
mod tests {
    use crate::api::schema::{
        Schema,
        codec::{decode_json, encode_json},
        convert,
    };

    fn check(input: &str, group: &str, version: &str, kind: &str, expected: &str) {
        let schema = Schema::builtin();
        let object = decode_json(&schema, input.as_bytes(), None).unwrap().object;
        let converted = convert(&object, &schema.kind(group, version, kind).unwrap());
        let mut out = Vec::new();
        encode_json(&converted, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(convert(&converted, object.ty()), object, "and back");
    }

    #[test]
    fn events_of_both_groups_are_one() {
        check(
            concat!(
                r#"{"kind":"Event","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},"#,
                r#""involvedObject":{"kind":"Pod"},"reason":"R","message":"m","source":{"component":"c"},"count":2,"#,
                r#""reportingComponent":"rc","reportingInstance":"ri"}"#
            ),
            "events.k8s.io",
            "v1",
            "Event",
            concat!(
                r#"{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{"name":"a","namespace":"b"},"#,
                r#""eventTime":null,"reportingController":"rc","reportingInstance":"ri","reason":"R","#,
                r#""regarding":{"kind":"Pod"},"note":"m","deprecatedSource":{"component":"c"},"#,
                r#""deprecatedFirstTimestamp":null,"deprecatedLastTimestamp":null,"deprecatedCount":2}"#
            ),
        );
    }

    #[test]
    fn a_definition_with_one_schema_moves_it_up_in_the_older_version() {
        check(
            concat!(
                r#"{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"as.b"},"#,
                r#""spec":{"group":"b","names":{"plural":"as","kind":"A"},"scope":"Cluster","versions":[{"name":"v1","#,
                r#""served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}},"#,
                r#""additionalPrinterColumns":[{"name":"S","type":"string","jsonPath":".s"}]}],"#,
                r#""conversion":{"strategy":"None"}},"status":{"conditions":null,"#,
                r#""acceptedNames":{"plural":"","kind":""},"storedVersions":null}}"#
            ),
            "apiextensions.k8s.io",
            "v1beta1",
            "CustomResourceDefinition",
            concat!(
                r#"{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1beta1","#,
                r#""metadata":{"name":"as.b"},"spec":{"group":"b","version":"v1","names":{"plural":"as","kind":"A"},"#,
                r#""scope":"Cluster","validation":{"openAPIV3Schema":{"type":"object"}},"versions":[{"name":"v1","#,
                r#""served":true,"storage":true}],"additionalPrinterColumns":[{"name":"S","type":"string","#,
                r#""JSONPath":".s"}],"conversion":{"strategy":"None"},"preserveUnknownFields":false},"#,
                r#""status":{"conditions":null,"acceptedNames":{"plural":"","kind":""},"storedVersions":null}}"#
            ),
        );
    }

    #[test]
    fn a_share_of_cpu_is_a_metric_in_version_2() {
        check(
            concat!(
                r#"{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v1","metadata":{"name":"a"},"#,
                r#""spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":3,"#,
                r#""targetCPUUtilizationPercentage":70}}"#
            ),
            "autoscaling",
            "v2",
            "HorizontalPodAutoscaler",
            concat!(
                r#"{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v2","metadata":{"name":"a"},"#,
                r#""spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":3,"metrics":[{"#,
                r#""type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","#,
                r#""averageUtilization":70}}}]},"status":{"desiredReplicas":0,"currentMetrics":null}}"#
            ),
        );
    }

    #[test]
    fn what_version_1_has_no_field_for_is_kept_in_annotations() {
        check(
            concat!(
                r#"{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v2","metadata":{"name":"a","#,
                r#""annotations":{"k":"v"}},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":3,"#,
                r#""metrics":[{"type":"Object","object":{"describedObject":{"kind":"Service","name":"s"},"#,
                r#""target":{"type":"AverageValue","value":"0","averageValue":"2"},"metric":{"name":"hits"}}},"#,
                r#"{"type":"External","external":{"metric":{"name":"q","selector":{"matchLabels":{"a":"b"}}},"#,
                r#""target":{"type":"Value","value":"30"}}},"#,
                r#"{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":70}}}],"#,
                r#""behavior":{"scaleDown":{"policies":[{"type":"Pods","value":4,"periodSeconds":15}]}}},"#,
                r#""status":{"desiredReplicas":0,"currentMetrics":[{"type":"Resource","resource":{"name":"cpu","#,
                r#""current":{"averageValue":"100m","averageUtilization":40}}}],"#,
                r#""conditions":[{"type":"AbleToScale","status":"True","lastTransitionTime":null,"reason":"R"}]}}"#
            ),
            "autoscaling",
            "v1",
            "HorizontalPodAutoscaler",
            concat!(
                r#"{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v1","metadata":{"name":"a","annotations":{"#,
                r#""autoscaling.alpha.kubernetes.io/behavior":"{\"ScaleUp\":null,\"ScaleDown\":{\"StabilizationWindowSeconds\":"#,
                r#"null,\"SelectPolicy\":null,\"Policies\":[{\"Type\":\"Pods\",\"Value\":4,\"PeriodSeconds\":15}],"#,
                r#"\"Tolerance\":null}}","#,
                r#""autoscaling.alpha.kubernetes.io/conditions":"[{\"type\":\"AbleToScale\",\"status\":\"True\","#,
                r#"\"lastTransitionTime\":null,\"reason\":\"R\"}]","#,
                r#""autoscaling.alpha.kubernetes.io/current-metrics":"[{\"type\":\"Resource\",\"resource\":{"#,
                r#"\"name\":\"cpu\",\"currentAverageUtilization\":40,\"currentAverageValue\":\"100m\"}}]","#,
                r#""autoscaling.alpha.kubernetes.io/metrics":"[{\"type\":\"Object\",\"object\":{\"target\":{"#,
                r#"\"kind\":\"Service\",\"name\":\"s\"},\"metricName\":\"hits\",\"targetValue\":\"0\","#,
                r#"\"averageValue\":\"2\"}},{\"type\":\"External\",\"external\":{\"metricName\":\"q\","#,
                r#"\"metricSelector\":{\"matchLabels\":{\"a\":\"b\"}},\"targetValue\":\"30\"}}]","#,
                r#""k":"v"}},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":3,"#,
                r#""targetCPUUtilizationPercentage":70},"status":{"currentReplicas":0,"desiredReplicas":0,"#,
                r#""currentCPUUtilizationPercentage":40}}"#
            ),
        );
    }

    #[test]
    fn an_annotation_that_is_no_json_is_dropped() {
        let schema = Schema::builtin();
        let input = concat!(
            r#"{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v1","metadata":{"annotations":{"#,
            r#""autoscaling.alpha.kubernetes.io/metrics":"[{\"type\":7}]","#,
            r#""autoscaling.alpha.kubernetes.io/behavior":"no"}}}"#
        );
        let object = decode_json(&schema, input.as_bytes(), None).unwrap().object;
        let converted = convert(&object, &schema.kind("autoscaling", "v2", "HorizontalPodAutoscaler").unwrap());
        assert!(
            converted.get_map(&["metadata", "annotations"]).is_none_or(|annotations| annotations.iter().len() == 0)
        );
        let metrics = converted.get_list(&["spec", "metrics"]).unwrap();
        assert_eq!(metrics.len(), 1, "the default alone");
        assert!(converted.get(&["spec", "behavior"]).is_none());
    }
}
