//! A service that events are sent to, in lists.

use std::{path::Path, time::Duration};

use bytes::Bytes;

use crate::client::{Hook, Retries};

/// That one call may take.
const TIME: Duration = Duration::from_secs(30);

/// The service. Whatever fails is tried again a few times.
pub struct Webhook(Hook);

impl Webhook {
    /// An error tells what is wrong with the kubeconfig.
    pub fn new(kubeconfig: &Path, first_pause: Duration) -> Result<Webhook, String> {
        Ok(Webhook(Hook::open(kubeconfig, TIME, first_pause)?.retrying(Retries::Any)))
    }

    pub(super) async fn send(&self, events: &[Bytes]) -> Result<(), String> {
        let mut list = Vec::from(&br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#[..]);
        for (at, event) in events.iter().enumerate() {
            if at > 0 {
                list.push(b',');
            }
            list.extend_from_slice(event);
        }
        list.extend_from_slice(b"]}");
        self.0.ask(list.into()).await.map(drop).map_err(|error| error.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        client::stand_in::{StandIn, answer},
        server::audit::{AuditMetrics, Backend, Batching, batch::gather},
    };

    #[tokio::test]
    async fn events_are_sent_in_lists_and_again_when_that_fails() {
        let failures = AtomicU32::new(2);
        let server = StandIn::start(move |_| {
            let left = failures.load(Ordering::Relaxed);
            failures.store(left.saturating_sub(1), Ordering::Relaxed);
            answer(if left > 0 { 404 } else { 200 }, "")
        })
        .await;
        let webhook = Webhook::new(&server.kubeconfig(), Duration::from_millis(1)).unwrap();
        let (sender, events) = mpsc::channel(10);
        for n in 0..3 {
            sender.try_send(Bytes::from(format!("{{\"n\":{n}}}"))).unwrap();
        }
        drop(sender);
        let batching = Batching { batch_max: 400, wait_max: Duration::from_secs(30), ..Batching::one_by_one() };
        gather(events, Arc::new(Backend::Webhook(Box::new(webhook))), batching, AuditMetrics::default()).await;
        let asked = server.asked();
        assert_eq!(asked.len(), 3, "two failures, and the list");
        let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {},
                          "items": [{"n": 0}, {"n": 1}, {"n": 2}]});
        assert!(asked.iter().all(|asked| asked.json() == list));
    }
}
