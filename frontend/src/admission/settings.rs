//! What an operator says about plugins: by flags, and in the file of `--admission-control-config-file`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::table::{GONE, ROWS, Row, WITHOUT_PLUGIN};
use crate::config::AdmissionFlags;

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    #[error("{flag} plugin {name:?} is unknown")]
    Unknown { flag: &'static str, name: String },
    #[error("[{0}] in enable-admission-plugins and disable-admission-plugins overlapped")]
    Overlap(String),
    #[error("admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive")]
    Exclusive,
    #[error("failed to read plugin config: unable to read admission control configuration from {path:?} [{why}]")]
    Unreadable { path: PathBuf, why: String },
    #[error("failed to read plugin config: {0}")]
    Malformed(String),
    #[error("couldn't init admission plugin {name:?}: {why}")]
    Plugin { name: &'static str, why: String },
}

/// The plugins that run, in order. Names that are gone are warned of.
pub(super) fn enabled(flags: &AdmissionFlags) -> Result<Vec<&'static Row>, AdmissionError> {
    let others = flags.enabled.len() + flags.disabled.len();
    if flags.only.is_some() && others > 0 {
        return Err(AdmissionError::Exclusive);
    }
    check("admission-control", flags.only.as_deref().unwrap_or_default())?;
    check("enable-admission-plugins", &flags.enabled)?;
    check("disable-admission-plugins", &flags.disabled)?;
    let mut both: Vec<&str> =
        flags.enabled.iter().filter(|name| flags.disabled.contains(name)).map(String::as_str).collect();
    if !both.is_empty() {
        both.sort_unstable();
        return Err(AdmissionError::Overlap(both.join(" ")));
    }
    let names = |list: &[String], row: &Row| list.iter().any(|name| name == row.name);
    let runs = |row: &&Row| match &flags.only {
        Some(only) => names(only, row),
        None if names(&flags.disabled, row) => false,
        None => row.by_default || names(&flags.enabled, row),
    };
    Ok(ROWS.iter().filter(runs).collect())
}

fn check(flag: &'static str, names: &[String]) -> Result<(), AdmissionError> {
    for name in names {
        if let Some((_, instead)) = GONE.iter().find(|(gone, _)| gone == name) {
            tracing::warn!("--{flag}: the plugin {name} is not part of Kubernetes any more: {instead}");
        } else if !ROWS.iter().any(|row| row.name == name) && !WITHOUT_PLUGIN.contains(&name.as_str()) {
            return Err(AdmissionError::Unknown { flag, name: name.clone() });
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AdmissionConfiguration {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    plugins: Vec<PluginConfiguration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginConfiguration {
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    configuration: Option<serde_json::Value>,
}

/// Plugins whose configuration may stand in the file by itself, as it did before there was a format for all.
const UNVERSIONED: [(&str, &str); 2] =
    [("imagePolicy", "ImagePolicyWebhook"), ("podNodeSelectorPluginConfig", "PodNodeSelector")];

/// The parts of the configuration file.
#[derive(Debug, Default)]
pub(super) struct Configs(Vec<PluginConfiguration>);

impl Configs {
    pub(super) fn read(flags: &AdmissionFlags, rows: &[&Row]) -> Result<Configs, AdmissionError> {
        let Some(path) = &flags.config_file else { return Ok(Configs::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| AdmissionError::Unreadable { path: path.clone(), why: error.to_string() })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Configs::parse(&text, path, base, rows)
    }

    fn parse(text: &str, path: &Path, base: &Path, rows: &[&Row]) -> Result<Configs, AdmissionError> {
        let malformed = |why: &dyn std::fmt::Display| AdmissionError::Malformed(why.to_string());
        let document: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| malformed(&error))?;
        if document.get("kind").is_none() {
            let alone = UNVERSIONED.iter().filter(|(key, _)| document.get(key).is_some());
            let plugins: Vec<PluginConfiguration> = alone
                .filter(|(_, name)| rows.iter().any(|row| row.name == *name))
                .map(|(_, name)| PluginConfiguration {
                    name: (*name).to_owned(),
                    path: path.to_string_lossy().into_owned(),
                    configuration: None,
                })
                .collect();
            if !plugins.is_empty() {
                return Ok(Configs(plugins));
            }
            return Err(malformed(&"Object 'Kind' is missing"));
        }
        let mut file: AdmissionConfiguration = serde_json::from_value(document).map_err(|error| malformed(&error))?;
        let known = matches!(file.api_version.as_str(), "apiserver.config.k8s.io/v1" | "apiserver.k8s.io/v1alpha1");
        if !known || file.kind != "AdmissionConfiguration" {
            let (kind, version) = (&file.kind, &file.api_version);
            return Err(malformed(&format!("no kind {kind:?} is registered for version {version:?}")));
        }
        for plugin in file.plugins.iter_mut().filter(|plugin| !plugin.path.is_empty()) {
            plugin.path = base.join(&plugin.path).to_string_lossy().into_owned();
        }
        Ok(Configs(file.plugins))
    }

    /// The text of a plugin's own configuration.
    pub(super) fn of(&self, name: &str) -> Result<Option<String>, AdmissionError> {
        let Some(plugin) = self.0.iter().find(|plugin| plugin.name == name) else { return Ok(None) };
        if let Some(configuration) = &plugin.configuration {
            return Ok(Some(configuration.to_string()));
        }
        if plugin.path.is_empty() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&plugin.path);
        text.map(Some)
            .map_err(|error| AdmissionError::Unreadable { path: plugin.path.clone().into(), why: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(only: &[&str], enabled: &[&str], disabled: &[&str]) -> AdmissionFlags {
        let owned = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        AdmissionFlags {
            only: Some(owned(only)).filter(|only| !only.is_empty()),
            enabled: owned(enabled),
            disabled: owned(disabled),
            ..AdmissionFlags::default()
        }
    }

    fn names(flags: &AdmissionFlags) -> Result<Vec<&'static str>, String> {
        enabled(flags).map(|rows| rows.iter().map(|row| row.name).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_turn_plugins_on_and_off_and_never_change_their_order() {
        let all = names(&flags(&[], &[], &[])).unwrap();
        assert!(all.contains(&"PodSecurity") && !all.contains(&"NodeRestriction"));
        let some = names(&flags(&[], &["NodeRestriction", "AlwaysPullImages"], &["PodSecurity"])).unwrap();
        assert!(!some.contains(&"PodSecurity"));
        let at = |name: &str| some.iter().position(|each| *each == name).unwrap();
        assert!(at("ServiceAccount") < at("NodeRestriction") && at("NodeRestriction") < at("AlwaysPullImages"));
        assert_eq!(names(&flags(&["Priority", "LimitRanger"], &[], &[])).unwrap(), ["LimitRanger", "Priority"]);
        let none = AdmissionFlags { only: Some(Vec::new()), ..AdmissionFlags::default() };
        assert!(names(&none).unwrap().is_empty());
    }

    #[test]
    fn names_that_cannot_be_are_refused_and_old_ones_are_let_pass() {
        for (flags, error) in [
            (flags(&[], &["Nope"], &[]), "enable-admission-plugins plugin \"Nope\" is unknown"),
            (flags(&[], &[], &["Nope"]), "disable-admission-plugins plugin \"Nope\" is unknown"),
            (flags(&["Nope"], &[], &[]), "admission-control plugin \"Nope\" is unknown"),
            (
                flags(&[], &["Priority"], &["Priority"]),
                "[Priority] in enable-admission-plugins and disable-admission-plugins overlapped",
            ),
            (
                flags(&["Priority"], &["Priority"], &[]),
                "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive",
            ),
        ] {
            assert_eq!(names(&flags), Err(error.to_owned()));
        }
        let old = flags(&[], &["PodSecurityPolicy"], &["PersistentVolumeLabel", "LimitPodHardAntiAffinityTopology"]);
        assert_eq!(names(&old), names(&flags(&[], &[], &[])));
    }

    #[test]
    fn the_file_holds_configurations_or_names_their_files() {
        let rows: Vec<&Row> = ROWS.iter().collect();
        let parse = |text: &str| Configs::parse(text, Path::new("/etc/a.yaml"), Path::new("/etc"), &rows);
        let whole = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n\
                     - name: EventRateLimit\n  configuration: {limits: []}\n- name: ResourceQuota\n  path: q.yaml\n";
        let configs = parse(whole).unwrap();
        assert_eq!(configs.of("EventRateLimit").unwrap().as_deref(), Some("{\"limits\":[]}"));
        assert!(configs.of("ResourceQuota").unwrap_err().to_string().contains("/etc/q.yaml"));
        assert_eq!(configs.of("Priority").unwrap(), None);
        let old = parse("podNodeSelectorPluginConfig: {a: b}\n").unwrap();
        assert!(old.of("PodNodeSelector").unwrap_err().to_string().contains("/etc/a.yaml"));
        assert!(parse("apiVersion: v1\nkind: Pod\n").is_err());
        assert!(parse(&whole.replace("path:", "paht:")).is_err());
    }
}
