//! What kube-apiserver fills in at every decode. `rules` holds rows: a struct's name, the values of unset fields, and a
//! named function where a value depends on others; the engine walks an object and applies them from the outside in.
//! Beside defaults proper these are the traces that kube-apiserver's internal types leave at every decode (older names
//! mirrored, kinds of embedded objects filled in).
//! Not here: what a create or an update strategy fills in (uid, cluster IPs).

mod autoscaling;
mod custom;
mod pods;
mod rule;
mod rules;
mod services;
mod settled;
mod untouched;
mod workloads;

pub use pods::container_sums;
pub use settled::is_settled;

use std::sync::LazyLock;

use self::rule::{Default, Rule, each, is_set, text};
use super::{
    object::{Object, set_in_struct},
    plans::Plans,
    scalar::quantity::Quantity,
    tables::{Field, Kind, Presence, Shape},
    value::{Struct, Value},
};

/// What is to be done in one struct.
struct Work {
    rules: Vec<&'static Rule>,
    /// Slots of resource lists, which are rounded to milli.
    round: Vec<usize>,
}

static PLANS: LazyLock<Plans<Work>> = LazyLock::new(|| {
    Plans::new(|def, name| {
        let rules: Vec<_> = rules::RULES.iter().filter(|rule| rule.at == name).collect();
        // Groups without defaults of their own do not round.
        let rounds = name.starts_with("core.v1.");
        let is_resources =
            |field: &Field| rounds && field.kind == Kind::Quantity && field.go_type.ends_with("ResourceList");
        let round: Vec<_> = (0..def.fields.len()).filter(|slot| is_resources(&def.fields[*slot])).collect();
        let is_any = !rules.is_empty() || !round.is_empty();
        (Work { rules, round }, is_any)
    })
});

/// Fills in defaults in place.
pub fn apply_defaults(object: &mut Object) {
    if object.ty().custom.is_some() {
        return custom::visit(object.root_mut());
    }
    visit(object.root_mut());
}

fn visit(target: &mut Struct) {
    let Some(plan) = PLANS.of(target.def()) else { return };
    for rule in &plan.work.rules {
        if let Some(function) = rule.function {
            function(target);
        }
        for (path, default) in rule.values {
            set_if_unset(target, path, default);
        }
    }
    let (def, slots) = target.parts_mut();
    for slot in &plan.visit {
        visit_field(&def.fields[*slot], &mut slots[*slot]);
    }
    for slot in &plan.work.round {
        if let Some(Value::Map(map)) = &mut slots[*slot] {
            map.iter_mut().for_each(|(_, value)| round_to_milli(value));
        }
    }
}

fn visit_field(field: &Field, slot: &mut Option<Value>) {
    match (slot.as_mut(), field.shape) {
        (Some(Value::Struct(inner)), _) => visit(inner),
        (Some(Value::List(items)), _) => items.iter_mut().filter_map(Value::as_struct_mut).for_each(visit),
        (Some(Value::Map(map)), _) => map.iter_mut().filter_map(|(_, item)| item.as_struct_mut()).for_each(visit),
        // A plain struct is there even when nothing was given for it.
        (None, Shape::One) if matches!(field.presence, Presence::Always | Presence::Omit) => {
            if let Kind::Struct(def) = &field.kind {
                let mut inner = Struct::new(def);
                visit(&mut inner);
                *slot = (!inner.is_empty()).then(|| inner.into());
            }
        }
        _ => {}
    }
}

fn round_to_milli(value: &mut Value) {
    // Only a fraction or a suffix below milli can need it.
    let Some(text) = value.as_str().filter(|text| text.ends_with(['n', 'u']) || text.contains(['.', 'e', 'E'])) else {
        return;
    };
    if let Ok(quantity) = Quantity::parse(text) {
        let rounded = quantity.round_up_to_milli();
        if rounded != quantity {
            *value = Value::from(rounded.canonical());
        }
    }
}

fn set_if_unset(target: &mut Struct, path: &[&str], default: &Default) {
    let unset = match target.get(path[0]) {
        None => true,
        Some(first) => match first.at(&path[1..]) {
            Some(Value::List(items)) => items.is_empty(),
            Some(_) => false,
            None => true,
        },
    };
    if !unset {
        return;
    }
    let value = match default {
        Default::Text(text) => Value::from(*text),
        Default::Number(number) => Value::from(*number),
        Default::Truth(truth) => Value::from(*truth),
        Default::Texts(texts) => Value::List(texts.iter().map(|text| Value::from(*text)).collect()),
        Default::Empty => {
            let field = path.iter().try_fold(None::<&Field>, |at, name| match at {
                None => target.def().field(name).map(Some),
                Some(field) => field.struct_ref()?.field(name).map(Some),
            });
            match field.flatten().and_then(Field::struct_ref) {
                Some(def) => Struct::new(def).into(),
                None => return,
            }
        }
    };
    set_in_struct(target, path, value);
}

#[cfg(test)]
mod tests {
    use crate::api::schema::{
        Schema, apply_defaults,
        codec::{decode_json, encode_json},
    };

    fn check(input: &str, expected: &str) {
        let mut object = decode_json(&Schema::builtin(), input.as_bytes(), None).unwrap().object;
        apply_defaults(&mut object);
        let mut out = Vec::new();
        encode_json(&object, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let once = object.clone();
        apply_defaults(&mut object);
        assert_eq!(object, once, "applied twice");
    }

    #[test]
    fn a_pod_is_filled_from_the_outside_in() {
        check(
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"volumes":[{"name":"v"}],
                "containers":[{"name":"c","image":"nginx","resources":{"limits":{"cpu":"100u"}},
                "ports":[{"containerPort":80}]}]}}"#,
            concat!(
                r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"volumes":[{"name":"v","#,
                r#""emptyDir":{}}],"containers":[{"name":"c","image":"nginx","ports":[{"containerPort":80,"#,
                r#""protocol":"TCP"}],"resources":{"limits":{"cpu":"1m"},"requests":{"cpu":"1m"}},"#,
                r#""terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","#,
                r#""imagePullPolicy":"Always"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"#,
                r#""dnsPolicy":"ClusterFirst","securityContext":{},"schedulerName":"default-scheduler","#,
                r#""enableServiceLinks":true},"status":{}}"#
            ),
        );
    }

    #[test]
    fn plain_structs_that_were_not_given_are_filled_too() {
        check(
            r#"{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":"a"}}"#,
            concat!(
                r#"{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":"a"},"#,
                r#""spec":{"resources":{},"volumeMode":"Filesystem"},"status":{"phase":"Pending"}}"#
            ),
        );
    }

    #[test]
    fn a_service_takes_its_target_port_and_policies() {
        check(
            r#"{"kind":"Service","apiVersion":"v1","metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}}"#,
            concat!(
                r#"{"kind":"Service","apiVersion":"v1","metadata":{"name":"a"},"spec":{"ports":[{"protocol":"TCP","#,
                r#""port":80,"targetPort":80}],"type":"ClusterIP","sessionAffinity":"None","#,
                r#""internalTrafficPolicy":"Cluster"},"status":{"loadBalancer":{}}}"#
            ),
        );
    }
}
