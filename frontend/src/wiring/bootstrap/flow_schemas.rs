//! What is said of flow schemas: whether the priority level exists that each of them names.
//!
//! In: the flow schemas and priority levels of the cluster, as they change. Out: a condition in the status of each flow
//! schema, applied as a client would. Every server does the same: what another was faster with is left as it is. Not
//! here: what they do to a request.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::SelfClient;
use crate::{
    api::schema::Object,
    cluster::objects::text,
    request::status::{ApiError, Reason, go_quote},
    store::{Scope, StoreError},
};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const FOLDER: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
const DANGLING: &str = "Dangling";

const BATCH: usize = 1024;
/// After a failure, it is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Keeps the conditions of all flow schemas.
pub(crate) struct FlowSchemas(SelfClient);

impl FlowSchemas {
    pub(crate) fn new(client: SelfClient) -> FlowSchemas {
        FlowSchemas(client.named("api-priority-and-fairness-config-consumer-v1"))
    }

    /// Until the server goes down.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep()).await;
    }

    async fn keep(&self) {
        let prefix = self.0.cluster().store.prefix().to_owned();
        let scope = |plural: &str| Scope::resource(&format!("{prefix}/{plural}"));
        loop {
            if let Err(error) = self.follow(&scope("flowschemas"), &scope("prioritylevelconfigurations")).await {
                tracing::warn!(%error, "cannot follow the flow schemas");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }

    /// Returns when the events have to be taken up anew.
    async fn follow(&self, schemas: &Scope, levels: &Scope) -> Result<(), StoreError> {
        let cache = self.0.cluster().store.cache();
        let (_, mut schemas) = cache.list_then_watch(schemas)?;
        let (_, mut levels) = cache.list_then_watch(levels)?;
        loop {
            if let Err(error) = self.reconcile().await {
                tracing::warn!(%error, "cannot say of flow schemas whether their levels exist");
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            let taken = tokio::select! {
                taken = schemas.next(BATCH) => taken.is_ok(),
                taken = levels.next(BATCH) => taken.is_ok(),
            };
            if !taken {
                return Ok(());
            }
        }
    }

    async fn reconcile(&self) -> Result<(), ApiError> {
        let levels = self.0.cluster().informer().list((GROUP, "prioritylevelconfigurations"), "")?;
        let levels: HashSet<&str> = levels.iter().map(|level| level.name()).collect();
        let schemas = self.0.cluster().informer().list((GROUP, "flowschemas"), "")?;
        for schema in &schemas {
            let level = schema.get_str(&["spec", "priorityLevelConfiguration", "name"]).unwrap_or_default();
            let wanted = Verdict::of(level, levels.contains(level));
            if wanted.stands_in(schema) {
                continue;
            }
            let path = format!("{FOLDER}/{}/status", schema.name());
            match self.0.apply(&path, &wanted.applied(schema, &self.0)).await {
                Err(error) if matches!(error.reason, Reason::NotFound | Reason::Conflict) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// What is to be said of one flow schema.
struct Verdict {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn of(level: &str, exists: bool) -> Verdict {
        let (status, reason, end) =
            if exists { ("False", "Found", "it exists") } else { ("True", "NotFound", "there is no such object") };
        let conjunction = if exists { "and" } else { "but" };
        let level = go_quote(level);
        let message = format!(
            "This FlowSchema references the PriorityLevelConfiguration object named {level} {conjunction} {end}"
        );
        Verdict { status, reason, message }
    }

    fn stands_in(&self, schema: &Object) -> bool {
        let conditions = schema.get_list(&["status", "conditions"]).unwrap_or_default();
        let found = conditions.iter().find(|condition| text(condition, "type") == DANGLING);
        found.is_some_and(|found| {
            text(found, "status") == self.status
                && text(found, "reason") == self.reason
                && text(found, "message") == self.message
        })
    }

    fn applied(&self, schema: &Object, client: &SelfClient) -> Value {
        json!({
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "FlowSchema",
            "metadata": {"name": schema.name()},
            "status": {"conditions": [{
                "type": DANGLING,
                "status": self.status,
                "lastTransitionTime": client.cluster().now_text(),
                "reason": self.reason,
                "message": self.message,
            }]},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{Schema, codec};

    #[test]
    fn a_condition_is_written_where_it_says_something_new() {
        let schema = |conditions: Value| {
            let schema = json!({
                "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": "a"},
                "status": {"conditions": conditions},
            });
            codec::decode_json(&Schema::builtin(), schema.to_string().as_bytes(), None).unwrap().object
        };
        let missing = Verdict::of("gone", false);
        assert_eq!(
            missing.message,
            "This FlowSchema references the PriorityLevelConfiguration object named \"gone\" but there is no such object"
        );
        let said = json!([{"type": "Dangling", "status": "True", "reason": "NotFound", "message": missing.message}]);
        assert!(!missing.stands_in(&schema(json!([]))));
        assert!(missing.stands_in(&schema(said.clone())));
        assert!(!Verdict::of("gone", true).stands_in(&schema(said)));
    }
}
