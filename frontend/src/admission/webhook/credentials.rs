//! What webhooks are shown: the plugins' parts of the configuration file name a kubeconfig.
//!
//! In: the part of one plugin. Out: the connections of its webhooks, or why the file is none.

use std::path::PathBuf;

use serde::Deserialize;

use super::super::configuration::decode;
use crate::{client::Credentials, cluster::Webhooks};

/// The plugin's part of the configuration file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct WebhookAdmission {
    kube_config_file: PathBuf,
}

/// `config` is the plugin's part of the configuration file.
pub(super) fn webhooks(config: Option<&str>) -> Result<Webhooks, String> {
    let Some(config) = config else { return Ok(Webhooks::default()) };
    let (kind, versions) = match config.contains("WebhookAdmissionConfiguration") {
        true => ("WebhookAdmissionConfiguration", &["apiserver.config.k8s.io/v1"]),
        false => ("WebhookAdmission", &["apiserver.config.k8s.io/v1alpha1"]),
    };
    let WebhookAdmission { kube_config_file: path } = decode(config, versions, kind)?;
    if path.as_os_str().is_empty() {
        return Ok(Webhooks::default());
    }
    if !path.is_absolute() {
        return Err(format!("kubeConfigFile {} must be an absolute path", path.display()));
    }
    Ok(Webhooks::showing(Credentials::read(&path)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::stand_in::{StandIn, answer},
        cluster::Endpoint,
    };

    #[tokio::test]
    async fn webhooks_are_shown_what_the_file_says() {
        let server = StandIn::start(|_| answer(200, "{}")).await;
        let file = server.kubeconfig();
        let config = format!(
            "{{\"apiVersion\":\"apiserver.config.k8s.io/v1\",\"kind\":\"WebhookAdmissionConfiguration\",\
             \"kubeConfigFile\":{:?}}}",
            file.display().to_string()
        );
        let clients = webhooks(Some(&config)).unwrap();
        let shown = clients.shown(&Endpoint::Url("https://anywhere/x".to_owned())).unwrap();
        assert_eq!(shown.authorization.unwrap(), "Bearer shown");
        let relative = config.replace(&file.display().to_string(), "relative");
        assert!(webhooks(Some(&relative)).err().unwrap().contains("must be an absolute path"));
        assert!(webhooks(Some(&config.replace("/v1", "/v9"))).is_err());
    }
}
