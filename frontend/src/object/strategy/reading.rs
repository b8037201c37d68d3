//! Objects as the real server has them once it has read them: what its internal version keeps in another form has gone
//! through that form. Not here: defaults.

use super::templates;
use crate::api::schema::{Object, convert};

/// Brings an object that was just decoded and defaulted into that form; or says why it has none.
pub fn settle(object: &mut Object) -> Result<(), String> {
    let gvk = object.gvk();
    match (&*gvk.group, &*gvk.version, &*gvk.kind) {
        ("apps", "v1", "DaemonSet") => templates::settle(object),
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => {
            if let Some(stored) = convert::as_stored(object) {
                *object = convert::convert(&stored, &object.ty().clone());
            }
            Ok(())
        }
        ("autoscaling", "v2", "HorizontalPodAutoscaler") => {
            convert::drop_round_trip(object);
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{Schema, codec};

    fn read(json: &str) -> Result<Object, String> {
        let mut object = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap().object;
        settle(&mut object).map(|()| object)
    }

    #[test]
    fn a_daemon_set_counts_its_templates_in_an_annotation() {
        const NAME: &str = "deprecated.daemonset.template.generation";
        let set = |annotations: &str| {
            read(&format!(
                r#"{{"kind":"DaemonSet","apiVersion":"apps/v1","metadata":{{"name":"a","annotations":{annotations}}}}}"#
            ))
        };
        assert_eq!(set("{}").unwrap().annotation(NAME), Some("0"));
        assert_eq!(set(&format!(r#"{{"{NAME}":"7"}}"#)).unwrap().annotation(NAME), Some("7"));
        let refused = set(&format!(r#"{{"{NAME}":"1-2"}}"#)).unwrap_err();
        assert_eq!(refused, r#"strconv.ParseInt: parsing "1-2": invalid syntax"#);
    }

    #[test]
    fn an_autoscaler_keeps_no_annotation_of_another_version() {
        let with = |version: &str| {
            read(&format!(
                r#"{{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/{version}","metadata":{{"name":"a","annotations":
                {{"autoscaling.alpha.kubernetes.io/scale-up-tolerance":"x","kept":"y"}}}},"spec":{{"maxReplicas":1}}}}"#
            ))
        };
        for version in ["v1", "v2"] {
            let object = with(version).unwrap();
            assert_eq!(object.annotations().collect::<Vec<_>>(), [("kept", "y")], "{version}");
        }
    }
}
