//! A Lease by which operators see which servers live.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::SelfClient;
use crate::request::status::ApiError;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const LABEL: &str = "apiserver.kubernetes.io/identity";
const DURATION_SECONDS: i64 = 3600;
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Leases of servers that are gone are looked for this seldom.
const COLLECT_EVERY: u32 = 360;

/// This server's Lease.
pub(crate) struct Identity {
    client: SelfClient,
    name: String,
    holder: String,
    hostname: String,
}

impl Identity {
    /// `address` tells servers on one host apart.
    pub(crate) fn new(client: SelfClient, address: &str) -> Identity {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let digest = Sha256::digest(format!("{hostname}/{address}").as_bytes());
        let name = format!("apiserver-{}", base32(&digest[..16]));
        let holder = format!("{name}_{}", uuid::Uuid::new_v4());
        Identity { client, name, holder, hostname }
    }

    /// Renews until `stop`, then takes the Lease away.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut rounds = 0_u32;
        loop {
            if let Err(error) = self.renew().await {
                tracing::warn!(%error, "cannot renew the Lease of this server");
            }
            if rounds.is_multiple_of(COLLECT_EVERY)
                && let Err(error) = self.collect().await
            {
                tracing::warn!(%error, "cannot remove the Leases of servers that are gone");
            }
            rounds = rounds.wrapping_add(1);
            if stop.run_until_cancelled(tokio::time::sleep(RENEW_EVERY)).await.is_none() {
                break;
            }
        }
        drop(self.client.delete(&format!("{LEASES}/{}", self.name)).await);
    }

    fn now(&self) -> String {
        self.client.context.cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }

    async fn renew(&self) -> Result<(), ApiError> {
        let path = format!("{LEASES}/{}", self.name);
        let spec = json!({
            "holderIdentity": self.holder, "leaseDurationSeconds": DURATION_SECONDS, "renewTime": self.now(),
        });
        match self.client.get(&path).await? {
            Some(mut found) => {
                found["spec"] = spec;
                self.client.replace(&path, &found).await
            }
            None => {
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": {
                        "name": self.name, "namespace": "kube-system",
                        "labels": {LABEL: "kube-apiserver", "kubernetes.io/hostname": self.hostname},
                    },
                    "spec": spec,
                });
                self.client.create(LEASES, &lease).await
            }
        }
    }

    /// Removes Leases that nobody renewed for as long as they last.
    async fn collect(&self) -> Result<(), ApiError> {
        let selected = format!("{LEASES}?labelSelector={LABEL}%3Dkube-apiserver");
        let list = self.client.get(&selected).await?.unwrap_or_default();
        let now = self.client.context.cluster.clock.now();
        for lease in list["items"].as_array().into_iter().flatten().filter(|lease| is_expired(lease, now)) {
            let name = lease["metadata"]["name"].as_str().unwrap_or_default();
            self.client.delete(&format!("{LEASES}/{name}")).await?;
        }
        Ok(())
    }
}

fn is_expired(lease: &Value, now: jiff::Timestamp) -> bool {
    let renewed = lease["spec"]["renewTime"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let lasts = lease["spec"]["leaseDurationSeconds"].as_i64().unwrap_or(DURATION_SECONDS);
    renewed.is_none_or(|at| at.as_second() + lasts < now.as_second())
}

/// Small letters and digits, five bits each, without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut out, mut kept, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        kept = (kept << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(LETTERS[(kept >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        out.push(char::from(LETTERS[(kept << (5 - bits)) as usize & 31]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_and_digits() {
        assert_eq!(base32(b"foobar"), "mzxw6ytboi");
        assert_eq!(base32(&[0xff; 16]).len(), 26);
    }

    #[test]
    fn a_lease_expires_when_nobody_renews_it() {
        let lease = |at: &str| json!({"spec": {"renewTime": at, "leaseDurationSeconds": 3600}});
        let now = "2026-01-01T02:00:00Z".parse().unwrap();
        assert!(!is_expired(&lease("2026-01-01T01:00:00Z"), now));
        assert!(is_expired(&lease("2026-01-01T00:59:59Z"), now));
        assert!(is_expired(&lease("soon"), now));
    }
}
