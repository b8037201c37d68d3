//! Figures about webhooks, under the names that Kubernetes' dashboards read. A webhook's name is a label: their number
//! is that of webhooks that were configured.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    name: String,
    r#type: &'static str,
    operation: &'static str,
    rejected: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    name: String,
    r#type: &'static str,
    operation: &'static str,
    code: u16,
    rejected: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejection {
    name: String,
    r#type: &'static str,
    operation: &'static str,
    error_type: &'static str,
    rejection_code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailOpen {
    name: String,
    r#type: &'static str,
}

/// Shared by all webhooks of a server. What the original counts without `_total` in its name is a gauge here, since the
/// exposition puts that word behind the names of counters.
#[derive(Clone)]
pub(in crate::admission) struct Metrics {
    durations: Family<Call, Histogram>,
    requests: Family<Answered, Counter>,
    rejections: Family<Rejection, Gauge>,
    fail_open: Family<FailOpen, Gauge>,
}

const BUCKETS: [f64; 8] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0];
const PREFIX: &str = "apiserver_admission_webhook";

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            requests: Family::default(),
            rejections: Family::default(),
            fail_open: Family::default(),
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Passed,
    /// Refused by the webhook, with this code.
    Refused(u16),
    /// Not asked, and refused therefore.
    FailedClosed,
    /// Not asked, and let pass all the same.
    FailedOpen,
}

impl Metrics {
    pub(in crate::admission) fn register(&self, registry: &mut Registry) {
        let name = |rest: &str| format!("{PREFIX}_{rest}");
        registry.register(name("admission_duration_seconds"), "Time of webhook calls", self.durations.clone());
        registry.register(name("request"), "Webhook calls", self.requests.clone());
        registry.register(name("rejection_count"), "Requests refused for a webhook", self.rejections.clone());
        registry.register(name("fail_open_count"), "Failed calls that were ignored", self.fail_open.clone());
    }

    pub(super) fn called(&self, name: &str, kind: &'static str, operation: &'static str, time: Duration, ended: Ended) {
        let rejected = match ended {
            Ended::Passed | Ended::FailedOpen => "false",
            Ended::Refused(_) | Ended::FailedClosed => "true",
        };
        let code = match ended {
            Ended::Passed => 200,
            Ended::Refused(code) => code,
            Ended::FailedClosed | Ended::FailedOpen => 503,
        };
        let name = name.to_owned();
        let call = Call { name: name.clone(), r#type: kind, operation, rejected };
        self.durations.get_or_create(&call).observe(time.as_secs_f64());
        self.requests.get_or_create(&Answered { name: name.clone(), r#type: kind, operation, code, rejected }).inc();
        let error_type = match ended {
            Ended::Refused(_) => "no_error",
            Ended::FailedClosed => "calling_webhook_error",
            Ended::FailedOpen => {
                self.fail_open.get_or_create(&FailOpen { name, r#type: kind }).inc();
                return;
            }
            Ended::Passed => return,
        };
        let rejection = Rejection { name, r#type: kind, operation, error_type, rejection_code: code };
        self.rejections.get_or_create(&rejection).inc();
    }
}
