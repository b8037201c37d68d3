//! Authorizers by the file of `--authorization-config`, which is followed while the server runs.
//!
//! In: the file, and the authorizers that outlive its changes. Out: the authorizers in order. A change that cannot be
//! used leaves the old ones as they are.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    Always, Authorization, Authorizer, Counted,
    webhook::{AuthorizationConfiguration, Webhook, validate},
};
use crate::{access::metrics::Metrics, config::AuthorizationMode, request::status};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file of authorizers that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--authorization-config: {path:?}: {why}")]
pub struct AuthorizationFileError {
    path: PathBuf,
    why: String,
}

/// The file, as it was read last.
pub struct AuthorizationFile {
    path: PathBuf,
    text: String,
    configuration: AuthorizationConfiguration,
    /// By their mode; the file must go on to name them.
    lasting: Vec<(AuthorizationMode, Arc<dyn Authorizer>)>,
    metrics: Metrics,
}

impl AuthorizationFile {
    pub fn open(path: PathBuf, metrics: &Metrics) -> Result<AuthorizationFile, AuthorizationFileError> {
        let read = || {
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let configuration = parse(&text, &[])?;
            Ok((text, configuration))
        };
        match read() {
            Ok((text, configuration)) => {
                Ok(AuthorizationFile { path, text, configuration, lasting: Vec::new(), metrics: metrics.clone() })
            }
            Err(why) => Err(AuthorizationFileError { path, why }),
        }
    }

    /// What must be made once: all but webhooks, which every change makes anew.
    pub fn lasting_modes(&self) -> Vec<AuthorizationMode> {
        let named = self.configuration.authorizers.iter().filter_map(|one| AuthorizationMode::named(&one.kind));
        named.filter(|mode| *mode != AuthorizationMode::Webhook).collect()
    }

    /// The authorizers, given those that last.
    pub fn start(
        &mut self,
        lasting: Vec<(AuthorizationMode, Arc<dyn Authorizer>)>,
    ) -> Result<Vec<Arc<dyn Authorizer>>, AuthorizationFileError> {
        self.lasting = lasting;
        let made = self.authorizers(&self.configuration);
        made.map_err(|why| AuthorizationFileError { path: self.path.clone(), why })
    }

    fn authorizers(&self, configuration: &AuthorizationConfiguration) -> Result<Vec<Arc<dyn Authorizer>>, String> {
        let one = |entry: &super::webhook::AuthorizerSettings| -> Result<Arc<dyn Authorizer>, String> {
            if let Some(settings) = &entry.webhook {
                return Ok(Arc::new(Webhook::of_settings(settings, &entry.name, &self.metrics)?));
            }
            let mode = AuthorizationMode::named(&entry.kind);
            if let Some((_, lasting)) = self.lasting.iter().find(|(known, _)| Some(*known) == mode) {
                return Ok(Arc::clone(lasting));
            }
            match mode {
                Some(AuthorizationMode::AlwaysAllow) => Ok(Arc::new(Always::Allow)),
                Some(AuthorizationMode::AlwaysDeny) => Ok(Arc::new(Always::Deny)),
                _ => Err(format!(
                    "authorizer type {} is not allowed if it was not enabled at initial server startup",
                    entry.kind
                )),
            }
        };
        let counted = |entry: &super::webhook::AuthorizerSettings| {
            one(entry).map(|made| Counted::around(made, &entry.kind, &entry.name, &self.metrics))
        };
        configuration.authorizers.iter().map(counted).collect()
    }

    /// Follows the file. Runs until it is dropped.
    pub async fn keep(mut self, authorization: &Authorization) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.changed() {
                Ok(None) => {}
                Ok(Some(authorizers)) => {
                    authorization.replace(authorizers);
                    self.metrics.authorization_reloaded(true);
                    tracing::info!("reloaded authz config");
                }
                Err(why) => {
                    self.metrics.authorization_reloaded(false);
                    tracing::error!(why, path = %self.path.display(), "reloading authorization config");
                }
            }
        }
    }

    /// New authorizers, if the file says other than before.
    fn changed(&mut self) -> Result<Option<Vec<Arc<dyn Authorizer>>>, String> {
        let text = std::fs::read_to_string(&self.path).map_err(|error| error.to_string())?;
        if text == self.text {
            return Ok(None);
        }
        self.text = text;
        let required: Vec<AuthorizationMode> = self.lasting.iter().map(|(mode, _)| *mode).collect();
        let configuration = parse(&self.text, &required)?;
        if configuration == self.configuration {
            return Ok(None);
        }
        let authorizers = self.authorizers(&configuration)?;
        self.configuration = configuration;
        Ok(Some(authorizers))
    }
}

fn parse(text: &str, required: &[AuthorizationMode]) -> Result<AuthorizationConfiguration, String> {
    let configuration = AuthorizationConfiguration::parse(text)
        .map_err(|why| format!("failed to load AuthorizationConfiguration from file: {why}"))?;
    if let Some(why) = status::aggregate(&validate(&configuration)) {
        return Err(why);
    }
    let mut errors = Vec::new();
    for one in configuration.authorizers.iter().filter(|one| one.kind != "Webhook") {
        let expected = one.kind.to_ascii_lowercase();
        if one.name != expected {
            errors.push(format!("expected name {expected} for authorizer {} instead of {}", one.kind, one.name));
        }
    }
    let named = |mode: &&AuthorizationMode| !configuration.authorizers.iter().any(|one| one.kind == mode.name());
    let mut missing: Vec<&str> = required.iter().filter(named).map(|mode| mode.name()).collect();
    if !missing.is_empty() {
        missing.sort_unstable();
        errors.push(format!("missing required types: [{}]", missing.join(" ")));
    }
    super::aggregate(errors).map_or(Ok(configuration), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::authz::{Attributes, Verdict},
        client::stand_in::{StandIn, answer},
    };

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n";

    #[test]
    fn files_are_validated() {
        let rbac = "{type: RBAC, name: rbac}";
        let hook = |rest: &str| {
            format!(
                "{{type: Webhook, name: w, webhook: {{timeout: 3s, subjectAccessReviewVersion: v1, failurePolicy: Deny, \
                 connectionInfo: {{type: KubeConfigFile, kubeConfigFile: /proc/self/exe}}{rest}}}}}"
            )
        };
        let good = hook("");
        for (list, why) in [
            (rbac.to_owned(), ""),
            (good.clone(), ""),
            (format!("{good}, {}, {rbac}", good.replace("name: w", "name: x")), ""),
            (String::new(), "authorizers: Required value: at least one authorization mode must be defined"),
            ("{name: a}".to_owned(), "authorizers[0].type: Required value"),
            (
                "{type: Odd, name: a}".to_owned(),
                "authorizers[0].type: Unsupported value: \"Odd\": supported values: \"ABAC\", \"AlwaysAllow\", \"AlwaysDeny\", \"Node\", \"RBAC\", \"Webhook\"",
            ),
            (format!("{rbac}, {rbac}"), "authorizers[1].type: Duplicate value: \"RBAC\""),
            (format!("{good}, {good}"), "authorizers[1].name: Duplicate value: \"w\""),
            ("{type: RBAC, name: other}".to_owned(), "expected name rbac for authorizer RBAC instead of other"),
            (
                "{type: RBAC, name: A_b}".to_owned(),
                "authorizers[0].name: Invalid value: \"A_b\": authorizer name is invalid",
            ),
            (
                "{type: Webhook, name: w}".to_owned(),
                "authorizers[0].webhook: Required value: required when type=Webhook",
            ),
            (
                good.replace("Webhook, name: w", "RBAC, name: rbac"),
                "authorizers[0].webhook: Invalid value: \"non-null\": may only be specified when type=Webhook",
            ),
            (good.replace("timeout: 3s", "timeout: 0s"), "authorizers[0].timeout: Required value"),
            (
                good.replace("timeout: 3s", "timeout: 31s"),
                "authorizers[0].timeout: Invalid value: \"31s\": must be > 0s and <= 30s",
            ),
            (
                good.replace("Version: v1", "Version: v2"),
                "authorizers[0].subjectAccessReviewVersion: Unsupported value: \"v2\": supported values: \"v1\", \"v1beta1\"",
            ),
            (
                good.replace("Policy: Deny", "Policy: Allow"),
                "authorizers[0].failurePolicy: Unsupported value: \"Allow\": supported values: \"NoOpinion\", \"Deny\"",
            ),
            (
                good.replace("/proc", "proc"),
                "authorizers[0].connectionInfo.kubeConfigFile: Invalid value: \"proc/self/exe\": must be an absolute path",
            ),
            (good.replace("/proc/self/exe", "/nowhere/x"), "error loading file"),
            (good.replace("/proc/self/exe", "/proc/self"), "must be a regular file"),
            (
                hook(", matchConditions: [{expression: 'true'}]"),
                "authorizers[0].matchConditionSubjectAccessReviewVersion: Required value: required if match conditions are specified",
            ),
            (
                hook(", matchConditionSubjectAccessReviewVersion: v1, matchConditions: [{expression: request.user}]"),
                "authorizers[0].matchConditions[0].expression: Invalid value: \"request.user\": must evaluate to bool but got string",
            ),
            (
                hook(
                    ", matchConditionSubjectAccessReviewVersion: v1, matchConditions: [{expression: request.name == ''}]",
                ),
                "compilation failed: ERROR: <input>:1:8: undefined field 'name'",
            ),
        ] {
            let found = parse(&format!("{HEAD}authorizers: [{list}]"), &[]).err().unwrap_or_default();
            match why {
                "" => assert_eq!(found, "", "{list}"),
                why => assert!(found.contains(why), "{list}: {found}"),
            }
        }
        let missing = parse(&format!("{HEAD}authorizers: [{rbac}]"), &[AuthorizationMode::Node]).unwrap_err();
        assert_eq!(missing, "missing required types: [Node]");
    }

    #[tokio::test]
    async fn a_changed_file_counts() {
        let server = StandIn::start(|_| answer(200, r#"{"status":{"allowed":true}}"#)).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authorization.yaml");
        let deny = "{type: AlwaysDeny, name: alwaysdeny}";
        let hook = format!(
            "{{type: Webhook, name: w, webhook: {{timeout: 3s, subjectAccessReviewVersion: v1, failurePolicy: Deny, \
             connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {}}}}}}}",
            server.kubeconfig().display()
        );
        let write = |list: String| std::fs::write(&path, format!("{HEAD}authorizers: [{list}]")).unwrap();
        write(deny.to_owned());
        let mut file = AuthorizationFile::open(path.clone(), &Metrics::default()).unwrap();
        assert_eq!(file.lasting_modes(), [AuthorizationMode::AlwaysDeny]);
        let authorizers = file.start(vec![(AuthorizationMode::AlwaysDeny, Arc::new(Always::Deny))]).unwrap();
        let authorization = Authorization::new(authorizers);
        let verdict =
            async |authorization: &Authorization| authorization.authorize(&Attributes::default()).await.verdict;
        assert_eq!(verdict(&authorization).await, Verdict::NoOpinion);
        assert!(file.changed().unwrap().is_none());
        write(format!("{hook}, {deny}"));
        authorization.replace(file.changed().unwrap().unwrap());
        assert_eq!(verdict(&authorization).await, Verdict::Allow);
        for (bad, why) in [
            (hook, "missing required types: [AlwaysDeny]"),
            (
                format!("{deny}, {{type: RBAC, name: rbac}}"),
                "authorizer type RBAC is not allowed if it was not enabled",
            ),
        ] {
            write(bad);
            assert!(file.changed().err().unwrap().contains(why), "{why}");
        }
    }
}
