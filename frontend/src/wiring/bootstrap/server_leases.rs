//! How servers on one store know of each other: each keeps a key with its address alive, as kube-apiserver does.

use std::{net::IpAddr, time::Duration};

use serde_json::json;

use crate::{
    api::schema::{Gvk, Type, codec},
    cluster::Cluster,
    store::{CreateOutcome, StoreError, UpdateOutcome},
};

/// A server that does not renew its key for this long is gone.
const LEASE_TTL: Duration = Duration::from_secs(15);

/// This server's key among those of all.
pub(crate) struct ServerLeases {
    address: IpAddr,
    folder: String,
    /// Moves with each renewal, since an identical write would be no write.
    renewals: i64,
    /// The revision of this server's last write of the key.
    written: Option<i64>,
    /// Another server has the same address: the key is then not this server's to take away.
    shared: bool,
}

/// What keeps the key from being written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the schema cannot express a server's key")]
    Schema,
    #[error("another server keeps writing this server's key")]
    Contended,
}

impl ServerLeases {
    pub(crate) fn new(cluster: &Cluster, address: IpAddr) -> ServerLeases {
        ServerLeases {
            address,
            folder: format!("{}/masterleases/", cluster.store.prefix()),
            renewals: 0,
            written: None,
            shared: false,
        }
    }

    fn key(&self) -> String {
        format!("{}{}", self.folder, self.address)
    }

    /// Makes or renews this server's key.
    pub(crate) async fn renew(&mut self, cluster: &Cluster) -> Result<(), LeaseError> {
        let key = self.key();
        for _ in 0..3 {
            let Some(stored) = cluster.store.get(&key).await? else {
                let value = self.value(cluster).ok_or(LeaseError::Schema)?;
                match cluster.store.create(&key, value, Some(LEASE_TTL)).await? {
                    CreateOutcome::Created { revision } => {
                        self.written = Some(revision);
                        return Ok(());
                    }
                    CreateOutcome::Exists => continue,
                }
            };
            self.shared |= self.written != Some(stored.mod_revision);
            if let Ok(object) = codec::decode_stored(&cluster.schema(), &stored.value) {
                self.renewals = self.renewals.max(object.generation());
            }
            let value = self.value(cluster).ok_or(LeaseError::Schema)?;
            let updated = cluster.store.update(&key, stored.mod_revision, value, Some(LEASE_TTL)).await?;
            if let UpdateOutcome::Updated { revision } = updated {
                self.written = Some(revision);
                return Ok(());
            }
        }
        Err(LeaseError::Contended)
    }

    /// The addresses of all live servers, in order.
    pub(crate) async fn addresses(&self, cluster: &Cluster) -> Result<Vec<String>, LeaseError> {
        let page = cluster.store.list(&self.folder, 0).await?;
        let address = |stored: &crate::store::Stored| {
            stored.key.as_str().strip_prefix(&self.folder).filter(|ip| ip.parse::<IpAddr>().is_ok()).map(str::to_owned)
        };
        Ok(page.items.iter().filter_map(address).collect())
    }

    /// Takes this server off the list, unless its address is another server's too: the key then expires or is renewed.
    pub(crate) async fn remove(&self, cluster: &Cluster) -> Result<(), LeaseError> {
        let key = self.key();
        let mine = cluster.store.get(&key).await?.filter(|s| !self.shared && self.written == Some(s.mod_revision));
        if let Some(stored) = mine {
            cluster.store.delete(&key, stored.mod_revision).await?;
        }
        Ok(())
    }

    fn value(&mut self, cluster: &Cluster) -> Option<bytes::Bytes> {
        self.renewals += 1;
        let document = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"generation": self.renewals},
            "subsets": [{"addresses": [{"ip": self.address}]}],
        });
        let schema = cluster.schema();
        let endpoints = Gvk::from_static("", "v1", "Endpoints");
        let kind: Type = schema.of(&endpoints)?;
        let decoded = codec::decode_json(&schema, document.to_string().as_bytes(), Some(&endpoints)).ok()?;
        Some(codec::encode_stored(&decoded.object, &kind, codec::StorageEncoding::Protobuf))
    }
}
