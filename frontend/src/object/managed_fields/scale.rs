//! Owners of a workload's replicas, seen through its scale: there the one field has another name and version.

use std::borrow::Cow;

use super::{
    managers::{self, Manager},
    set::Set,
};
use crate::api::schema::{StructRef, Value};

const SCALE_VERSION: &str = "autoscaling/v1";
const REPLICAS: [&str; 2] = ["spec", "replicas"];

/// Where a version of a workload has its replicas.
#[derive(Clone, Copy, Debug)]
pub enum ReplicasPath<'a> {
    At(&'a [&'a str]),
    /// The version has no scale.
    Nowhere,
    /// No such version: its entries are dropped.
    Unknown,
}

/// The entries of a workload as those of its scale.
pub fn entries_of_scale<'a>(
    parent: &[Value],
    path_in: &dyn Fn(&str) -> ReplicasPath<'a>,
    metadata: &StructRef,
) -> Result<Option<Value>, String> {
    let mut owners = Vec::new();
    for manager in managers::decode(parent)? {
        let ReplicasPath::At(path) = path_in(&manager.api_version) else { continue };
        if manager.set.has(path) {
            let (set, api_version) = (Set::of_path(&REPLICAS), Cow::Borrowed(SCALE_VERSION));
            owners.push(Manager { set, api_version, ..manager });
        }
    }
    Ok(managers::encode(owners, metadata))
}

/// The entries of a workload after its scale was written.
pub fn entries_of_parent<'a>(
    parent: &'a [Value],
    scale: &'a [Value],
    api_version: &'a str,
    path_in: &dyn Fn(&str) -> ReplicasPath<'a>,
    metadata: &StructRef,
) -> Result<Option<Value>, String> {
    let before = managers::decode(parent)?;
    let mut scalers = managers::decode(scale)?;
    let mut owners = Vec::with_capacity(before.len() + scalers.len());
    for mut manager in before {
        match path_in(&manager.api_version) {
            ReplicasPath::Unknown => continue,
            ReplicasPath::At(path) if manager.set.has(path) => {
                match scalers.iter().position(|scaler| scaler.is(&manager)) {
                    Some(at) => drop(scalers.swap_remove(at)),
                    None => manager.set = manager.set.without_path(path),
                }
            }
            _ => {}
        }
        if !manager.set.is_empty() {
            owners.push(manager);
        }
    }
    let ReplicasPath::At(path) = path_in(api_version) else { return Ok(managers::encode(owners, metadata)) };
    for scaler in scalers.into_iter().filter(|scaler| scaler.set.has(&REPLICAS)) {
        // As in the real server, a new owner of replicas alone has no time.
        owners.push(Manager { set: Set::of_path(path), api_version: api_version.into(), time: None, ..scaler });
    }
    Ok(managers::encode(owners, metadata))
}
