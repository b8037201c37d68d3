//! The rules, as rows by struct: what each field must be, and a function where fields depend on one another. One file a
//! domain. In: structs and their paths. Out: errors. Not here: the walk, metadata, what an update may not change
//! (`updates`).

mod access;
mod aggregation;
mod autoscaling;
mod batch;
pub(super) mod certificates;
mod claims;
mod containers;
pub(super) mod data;
mod device_parts;
mod device_selectors;
mod device_slices;
mod devices;
mod downward;
mod endpoints;
pub(super) mod events;
pub(super) mod job_status;
mod limits;
mod mandatory;
mod mounts;
mod networking;
mod pods;
mod policies;
mod projected;
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
pub(super) use services::service_addresses;

use super::rule::Rule;

/// All rows.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    let files = [
        access::RULES,
        aggregation::RULES,
        autoscaling::RULES,
        batch::RULES,
        certificates::RULES,
        claims::RULES,
        containers::RULES,
        data::RULES,
        device_selectors::RULES,
        device_slices::RULES,
        devices::RULES,
        downward::RULES,
        endpoints::RULES,
        events::RULES,
        job_status::RULES,
        limits::RULES,
        mandatory::RULES,
        networking::RULES,
        pods::RULES,
        policies::RULES,
        projected::RULES,
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
