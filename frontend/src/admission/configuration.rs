//! A plugin's own part of the configuration file.

use serde::Deserialize;

/// A plugin's configuration as its type; `versions` and `kind` are what it may say that it is.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(text: &str, versions: &[&str], kind: &str) -> Result<T, String> {
    let mut document: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let found = |name: &str| document.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let (found_version, found_kind) = (found("apiVersion"), found("kind"));
    if found_kind != kind || !versions.contains(&found_version.as_str()) {
        return Err(format!("no kind {found_kind:?} is registered for version {found_version:?}"));
    }
    if let Some(map) = document.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    serde_json::from_value(document).map_err(|error| error.to_string())
}
