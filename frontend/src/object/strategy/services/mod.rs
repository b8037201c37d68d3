//! Services: what they take from others, and what their fields mean to one another.
//!
//! A write of a Service goes through here twice. [`begin`] comes before everything else: it completes addresses,
//! families and ports from what the Service has had, and refuses what the cluster cannot give. [`claim`] comes last: it
//! takes what is left open, and what was asked for. In between the object is validated like any other.

mod addresses;
mod fields;
mod ports;
mod spec;

use std::collections::BTreeSet;

use spec::{held_addresses, held_ports, is_external};

use crate::{
    api::schema::Object,
    cluster::{Cluster, Target},
    request::status::ApiError,
};

pub(super) use fields::drop_fields_of_other_types as changed;

/// What was taken for an object that is not stored yet, and what it gives up once it is. Travels with the object to the
/// store, whose answer decides: a dropped value would leave addresses to nobody.
#[must_use = "claims are committed, undone or kept by the answer of the store"]
#[derive(Debug, Default)]
pub struct Claims {
    taken: Share,
    to_release: Share,
    /// Whose they are: namespace and name of the Service.
    owner: (String, String),
}

/// Addresses and node ports.
#[derive(Debug, Default)]
struct Share {
    addresses: Vec<String>,
    ports: BTreeSet<i64>,
}

impl Share {
    async fn give_back(&self, cluster: &Cluster, owner: &(String, String)) {
        for address in &self.addresses {
            addresses::give_back(cluster, address, owner).await;
        }
        if !self.ports.is_empty() {
            ports::give_back(cluster, &self.ports).await;
        }
    }
}

impl Claims {
    /// The object is stored: what it had before is free.
    pub async fn commit(self, cluster: &Cluster) {
        self.to_release.give_back(cluster, &self.owner).await;
    }

    /// The object is not stored: what was taken for it is free.
    pub async fn undo(self, cluster: &Cluster) {
        self.taken.give_back(cluster, &self.owner).await;
    }

    /// Nobody knows whether the object is stored: everything stays as it is.
    pub fn keep(self) {}
}

/// Completes a Service from what it has had, and refuses what the cluster has not.
pub(super) fn begin(
    cluster: &Cluster,
    service: &mut Object,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<(), ApiError> {
    if let Some(old) = old {
        fields::keep_what_was_given(service, old);
    }
    fields::settle_addresses(service, old);
    fields::settle_families(&addresses::families(cluster), service, old)?;
    // A trial run takes nothing, and so finds nothing taken.
    if dry_run {
        return Ok(());
    }
    addresses::foresee(cluster, service, old)?;
    ports::foresee(cluster, service, old)
}

/// Takes what an object needs, writing it into the object.
pub(super) async fn claim(
    cluster: &Cluster,
    target: &Target,
    service: &mut Object,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<Claims, ApiError> {
    let owner = (target.namespace.clone(), service.name().to_owned());
    let mut claims = Claims { owner, ..Claims::default() };
    if is_external(service) {
        service.remove(&["spec", "internalTrafficPolicy"]);
    }
    let taken = if dry_run {
        addresses::try_out(cluster, service, old).and_then(|()| ports::try_out(service, old))
    } else {
        take(cluster, target, service, old, &mut claims.taken).await
    };
    if let Err(refusal) = taken {
        claims.undo(cluster).await;
        return Err(refusal);
    }
    if let Some(old) = old.filter(|_| !dry_run) {
        let kept = held_addresses(service);
        claims.to_release.addresses = held_addresses(old).into_iter().filter(|ip| !kept.contains(ip)).collect();
        claims.to_release.ports = held_ports(old).difference(&held_ports(service)).copied().collect();
    }
    Ok(claims)
}

async fn take(
    cluster: &Cluster,
    target: &Target,
    service: &mut Object,
    old: Option<&Object>,
    taken: &mut Share,
) -> Result<(), ApiError> {
    addresses::take(cluster, target, service, old, &mut taken.addresses).await?;
    ports::take(cluster, service, old, &mut taken.ports).await
}

/// What a removed object gives up.
pub(super) fn claims_of(target: &Target, service: &Object) -> Claims {
    Claims {
        taken: Share::default(),
        to_release: Share { addresses: held_addresses(service), ports: held_ports(service) },
        owner: (target.namespace.clone(), service.name().to_owned()),
    }
}
