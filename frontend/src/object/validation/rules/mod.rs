//! The rules, as rows by struct: what each field must be, and a function where fields depend on one another. One file a
//! domain. In: places. Out: complaints. Not here: the walk, metadata, what an update may not change (`updates`).

mod access;
mod autoscaling;
mod batch;
mod certificates;
mod containers;
mod limits;
mod networking;
mod pods;
mod policies;
mod resources;
mod scheduling;
mod security;
mod services;
mod status;
mod storage;
mod volumes;
mod webhooks;
mod workloads;

pub(super) use limits::finalizers;
pub(super) use networking::address_name;

use super::walk::Rule;

/// What a persistent volume can be made of.
pub(super) fn volume_sources() -> Vec<&'static str> {
    storage::SOURCES.iter().map(|(field, _)| *field).collect()
}

/// All rows.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    let files = [
        access::RULES,
        autoscaling::RULES,
        batch::RULES,
        containers::RULES,
        limits::RULES,
        networking::RULES,
        pods::RULES,
        policies::RULES,
        resources::RULES,
        scheduling::RULES,
        security::RULES,
        services::RULES,
        status::RULES,
        storage::RULES,
        volumes::RULES,
        webhooks::RULES,
        workloads::RULES,
    ];
    files.into_iter().flatten()
}
