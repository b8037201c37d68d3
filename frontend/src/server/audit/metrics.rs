//! Figures about audit events, under the names that Kubernetes' dashboards read.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::policy::Level;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLevel {
    level: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPlugin {
    plugin: &'static str,
}

/// Shared by all sinks of a server.
#[derive(Clone, Default)]
pub struct AuditMetrics {
    events: Counter,
    errors: Family<ByPlugin, Counter>,
    levels: Family<ByLevel, Counter>,
    rejected: Counter,
}

impl AuditMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("apiserver_audit_event", "Audit events", self.events.clone());
        registry.register("apiserver_audit_error", "Audit events that are lost, by sink", self.errors.clone());
        registry.register("apiserver_audit_level", "Requests by the level of their record", self.levels.clone());
        registry.register("apiserver_audit_requests_rejected", "Refused for want of a record", self.rejected.clone());
    }

    pub(super) fn event(&self) {
        self.events.inc();
    }

    pub(super) fn lost(&self, plugin: &'static str, events: usize) {
        self.errors.get_or_create(&ByPlugin { plugin }).inc_by(events as u64);
    }

    pub(super) fn level(&self, level: Level) {
        self.levels.get_or_create(&ByLevel { level: level.name() }).inc();
    }

    pub(super) fn rejected(&self) {
        self.rejected.inc();
    }
}
