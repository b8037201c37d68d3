//! How long plugins take, under the names that Kubernetes' dashboards read.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

use super::attributes::Operation;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Half {
    r#type: &'static str,
    operation: &'static str,
    rejected: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlugin {
    name: &'static str,
    r#type: &'static str,
    operation: &'static str,
    rejected: &'static str,
}

type Make = fn() -> Histogram;

/// Shared by all runs of the chain.
#[derive(Clone)]
pub(super) struct Metrics {
    halves: Family<Half, Histogram, Make>,
    plugins: Family<OfPlugin, Histogram, Make>,
}

fn times() -> Histogram {
    Histogram::new([0.005, 0.025, 0.1, 0.5, 1.0, 2.5])
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { halves: Family::new_with_constructor(times), plugins: Family::new_with_constructor(times) }
    }
}

/// The two halves of admission.
pub(super) const ADMIT: &str = "admit";
pub(super) const VALIDATE: &str = "validate";

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let name = |rest: &str| format!("apiserver_admission_{rest}_admission_duration_seconds");
        registry.register(name("step"), "Time of each half of admission", self.halves.clone());
        registry.register(name("controller"), "Time of each admission plugin", self.plugins.clone());
    }

    pub(super) fn half(&self, half: &'static str, operation: Operation, rejected: bool, time: Duration) {
        let labels = Half { r#type: half, operation: operation.as_str(), rejected: word(rejected) };
        self.halves.get_or_create(&labels).observe(time.as_secs_f64());
    }

    pub(super) fn plugin(
        &self,
        name: &'static str,
        half: &'static str,
        operation: Operation,
        rejected: bool,
        time: Duration,
    ) {
        let labels = OfPlugin { name, r#type: half, operation: operation.as_str(), rejected: word(rejected) };
        self.plugins.get_or_create(&labels).observe(time.as_secs_f64());
    }
}

fn word(rejected: bool) -> &'static str {
    if rejected { "true" } else { "false" }
}
