//! Files of the group apiserver.config.k8s.io, in which operators configure authentication and authorization.
//!
//! In: the text of a file. Out: what it says, or why it cannot be read. A field that nobody knows is an error: it may
//! be a misspelled restriction. Not here: what the fields mean.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

const GROUP: &str = "apiserver.config.k8s.io";

/// Reads a file of one kind, in any of these versions.
pub(super) fn decode<T: DeserializeOwned>(text: &str, kind: &str, versions: &[&str]) -> Result<T, String> {
    if text.is_empty() {
        return Err("empty config data".to_owned());
    }
    let mut fields: Map<String, Value> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let mut word = |name: &str| match fields.remove(name) {
        Some(Value::String(word)) => word,
        _ => String::new(),
    };
    let (api_version, found) = (word("apiVersion"), word("kind"));
    if found.is_empty() {
        return Err("Object 'Kind' is missing in the file".to_owned());
    }
    let version = api_version.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/'));
    if found != kind || !version.is_some_and(|version| versions.contains(&version)) {
        return Err(format!(
            "no kind {found:?} is registered for version {api_version:?}: this is to be {kind} of {GROUP}/{}",
            versions.join(", ")
        ));
    }
    fields.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(fields)).map_err(|error| format!("strict decoding error: {error}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        names: Vec<String>,
    }

    #[test]
    fn what_is_misspelled_is_refused() {
        let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: Settings\n";
        let decoded = |text: &str| decode::<Settings>(text, "Settings", &["v1", "v1beta1"]);
        assert_eq!(decoded(&format!("{head}names: [a]")).unwrap().names, ["a"]);
        assert_eq!(decoded(&format!("{head}names:")).unwrap(), Settings::default());
        for (text, why) in [
            (String::new(), "empty config data"),
            (format!("{head}name: [a]"), "unknown field `name`"),
            (format!("{head}names: a"), "strict decoding error"),
            ("kind: Settings".to_owned(), "no kind \"Settings\" is registered"),
            ("apiVersion: apiserver.config.k8s.io/v1".to_owned(), "Object 'Kind' is missing"),
            (head.replace("v1", "v2"), "registered for version \"apiserver.config.k8s.io/v2\""),
            (head.replace("Settings", "Other"), "no kind \"Other\""),
        ] {
            let error = decoded(&text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
