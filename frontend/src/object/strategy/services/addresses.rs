//! Addresses of the cluster's ranges.
//!
//! An address belongs to the Service whose name the IPAddress object of that address carries: making it is the claim,
//! so that two servers never give out one address. Ranges are the ServiceCIDR objects that are not on their way out;
//! where there are none yet, the ranges that the server was started with.

use std::net::IpAddr;

use ipnet::IpNet;

use super::spec::{held_addresses, is_external, is_headless, refused, set_texts, texts};
use crate::{
    api::schema::{Object, Value, codec},
    cluster::{Cluster, Target},
    request::status::{ApiError, FieldError, go_quote},
    store::{CreateOutcome, DeleteOutcome, StoreError},
};

const ALLOCATED: &str = "provided IP is already allocated";
const IP_ADDRESSES: (&str, &str) = ("networking.k8s.io", "ipaddresses");
/// Random addresses tried before all are tried in turn.
const GUESSES: usize = 32;
/// In a larger range only so many addresses are given out.
const SEARCHED_MAX: u128 = 1 << 20;

/// Families that the server was started with, the first one first.
pub(super) fn families(cluster: &Cluster) -> Vec<&'static str> {
    let mut families: Vec<&'static str> =
        cluster.settings.service_cidrs.iter().map(|range| family(range.addr())).collect();
    families.dedup();
    families
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn key(cluster: &Cluster, address: &str) -> String {
    format!("{}/ipaddresses/{address}", cluster.store.prefix())
}

/// The ranges of a family.
fn ranges(cluster: &Cluster, of: &str) -> Vec<IpNet> {
    let objects = cluster.informer().list(("networking.k8s.io", "servicecidrs"), "").unwrap_or_default();
    let open = objects.iter().filter(|object| object.deletion_timestamp().is_none());
    let listed = open.flat_map(|object| object.get_list(&["spec", "cidrs"]).unwrap_or_default());
    let parsed = listed.filter_map(Value::as_str).filter_map(|text| text.parse::<IpNet>().ok());
    let mut ranges: Vec<IpNet> = parsed.map(|range| range.trunc()).collect();
    for range in &cluster.settings.service_cidrs {
        if !ranges.contains(range) {
            ranges.insert(0, *range);
        }
    }
    ranges.retain(|range| family(range.addr()) == of);
    ranges
}

/// The first and the last address that a Service may have.
fn bounds(range: &IpNet) -> (u128, u128) {
    let base = number(range.network());
    let size = size(range);
    // The base is nobody's, and of IPv4 the last one, to which everybody listens.
    let last = if range.addr().is_ipv4() { size.saturating_sub(2) } else { size - 1 };
    (base.saturating_add(1), base.saturating_add(last.max(1)))
}

fn size(range: &IpNet) -> u128 {
    1u128.checked_shl(u32::from(range.max_prefix_len() - range.prefix_len())).unwrap_or(u128::MAX)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// Addresses without their leading zeros and, mapped into IPv6, as what they are.
fn parse(address: &str) -> Option<IpAddr> {
    crate::object::validation::parse_address(address)
}

fn not_given(service: &Object, address: &str, why: &str) -> ApiError {
    let shown = texts(service, "clusterIPs").into_iter().map(go_quote).collect::<Vec<_>>().join(",");
    let detail = format!("failed to allocate IP {address}: {why}");
    let error = FieldError::invalid_value("spec.clusterIPs", format!("[{shown}]"), detail);
    refused(service, vec![error]).err().unwrap_or_else(ApiError::resource_not_found)
}

fn out_of(range: &IpNet, address: IpAddr) -> String {
    format!("the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}")
}

/// Which addresses are to be taken: family, address asked for ("" for any), and where it stands in the list.
fn wanted(service: &Object, old: Option<&Object>) -> Vec<(String, String, usize)> {
    if is_external(service) || is_headless(service) {
        return Vec::new();
    }
    let addresses = texts(service, "clusterIPs");
    let families = texts(service, "ipFamilies");
    let first = match old {
        None => 0,
        Some(old) if is_external(old) => 0,
        Some(old) if is_headless(old) => return Vec::new(),
        // Only a second family is new; what has changed besides was refused.
        Some(old) if texts(old, "ipFamilies").len() == 1 && families.len() == 2 => 1,
        Some(_) => return Vec::new(),
    };
    let each = families.iter().enumerate().skip(first);
    each.map(|(at, family)| ((*family).to_owned(), addresses.get(at).map_or("", |a| *a).to_owned(), at)).collect()
}

fn put(service: &mut Object, at: usize, address: &str) {
    let mut addresses: Vec<String> = texts(service, "clusterIPs").into_iter().map(str::to_owned).collect();
    addresses.resize(addresses.len().max(at + 1), String::new());
    address.clone_into(&mut addresses[at]);
    set_texts(service, "clusterIPs", addresses.iter().map(String::as_str));
    if at == 0 {
        service.set(&["spec", "clusterIP"], address);
    }
}

/// A trial run: addresses asked for must be in a range, and any address is the range's own.
pub(super) fn try_out(cluster: &Cluster, service: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    for (family, asked, at) in wanted(service, old) {
        let ranges = ranges(cluster, &family);
        let Some(range) = ranges.first() else { return Err(full()) };
        if asked.is_empty() {
            put(service, at, &range.network().to_string());
            continue;
        }
        let Some(address) = parse(&asked) else { continue };
        let within = |range: &IpNet| {
            let (first, last) = bounds(range);
            range.contains(&address) && (first..=last).contains(&number(address))
        };
        if !ranges.iter().any(within) {
            return Err(not_given(service, &asked, &out_of(range, address)));
        }
        put(service, at, &asked);
    }
    Ok(())
}

/// Refuses addresses that others are known to have. The real server takes addresses before it validates anything
/// else, so that its error is about them.
pub(super) fn foresee(cluster: &Cluster, service: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    let owner = (service.namespace().to_owned(), service.name().to_owned());
    for (_, asked, _) in wanted(service, old) {
        let Some(address) = parse(&asked) else { continue };
        let known = cluster.informer().get(IP_ADDRESSES, "", &address.to_string())?;
        if known.is_some_and(|known| !is_owned_by(&known, &owner)) {
            return Err(not_given(service, &asked, ALLOCATED));
        }
    }
    Ok(())
}

fn full() -> ApiError {
    ApiError::internal("failed to allocate a serviceIP: range is full")
}

/// Takes what is missing; what is taken is written into the Service and into `taken`.
pub(super) async fn take(
    cluster: &Cluster,
    target: &Target,
    service: &mut Object,
    old: Option<&Object>,
    taken: &mut Vec<String>,
) -> Result<(), ApiError> {
    for (family, asked, at) in wanted(service, old) {
        let ranges = ranges(cluster, &family);
        if asked.is_empty() {
            let address = take_any(cluster, target, &ranges, taken).await?;
            put(service, at, &address);
            continue;
        }
        take_one(cluster, target, service, &ranges, &asked, taken).await?;
        put(service, at, &asked);
    }
    Ok(())
}

async fn take_one(
    cluster: &Cluster,
    target: &Target,
    service: &Object,
    ranges: &[IpNet],
    asked: &str,
    taken: &mut Vec<String>,
) -> Result<(), ApiError> {
    let Some(address) = parse(asked) else { return Ok(()) };
    let within = |range: &IpNet| {
        let (first, last) = bounds(range);
        range.contains(&address) && (first..=last).contains(&number(address))
    };
    if !ranges.iter().any(within) {
        return Err(not_given(service, asked, "the provided network does not match the current range"));
    }
    let name = address.to_string();
    if make(cluster, target, &name, taken).await? || is_own(cluster, target, &name).await {
        return Ok(());
    }
    Err(not_given(service, asked, ALLOCATED))
}

async fn take_any(
    cluster: &Cluster,
    target: &Target,
    ranges: &[IpNet],
    taken: &mut Vec<String>,
) -> Result<String, ApiError> {
    for range in ranges {
        let (first, last) = bounds(range);
        let count = (last - first + 1).min(SEARCHED_MAX);
        // The lowest addresses are left to those who ask for one by number.
        let reserved = lowest(range).min(count - 1);
        let guesses = (0..GUESSES).map(|_| rand::random_range(reserved..count));
        for offset in guesses.chain(reserved..count).chain(0..reserved) {
            let name = match range.addr() {
                IpAddr::V4(_) => IpAddr::V4(u32::try_from(first + offset).unwrap_or(u32::MAX).into()),
                IpAddr::V6(_) => IpAddr::V6((first + offset).into()),
            }
            .to_string();
            let known = cluster.store.cache().get(&key(cluster, &name)).is_ok_and(|entry| entry.is_some());
            if !known && make(cluster, target, &name, taken).await? {
                return Ok(name);
            }
        }
    }
    Err(full())
}

/// How many of a range's lowest addresses are given out last.
fn lowest(range: &IpNet) -> u128 {
    let size = size(range);
    if size < 16 { 0 } else { (size / 16).clamp(16, 256) }
}

/// Takes one address by making its object; false if somebody has it.
async fn make(cluster: &Cluster, target: &Target, address: &str, taken: &mut Vec<String>) -> Result<bool, ApiError> {
    let unavailable = |error: &dyn std::fmt::Display| {
        ApiError::internal("failed to allocate a serviceIP: the address could not be stored").with_internal(error)
    };
    let row = target.api.registry.get("networking.k8s.io", "v1", "ipaddresses").cloned();
    let kind = target.api.schema.kind("networking.k8s.io", "v1", "IPAddress");
    let (Some(resource), Some(kind)) = (row, kind) else { return Err(unavailable(&"no IPAddress kind")) };
    let mut object = Object::new(&kind);
    object.set_name(address);
    object.set_uid(&uuid::Uuid::new_v4().to_string());
    object.set_creation_timestamp(&cluster.now_text());
    let family = if address.contains(':') { "IPv6" } else { "IPv4" };
    object.set_label("ipaddress.kubernetes.io/ip-family", family);
    object.set_label("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io");
    let owner = [("resource", "services"), ("namespace", &target.namespace), ("name", &target.name)];
    for (field, value) in owner {
        object.set(&["spec", "parentRef", field], value);
    }
    let addresses = Target { resource, kind, namespace: String::new(), name: address.to_owned(), ..target.clone() };
    let bytes = addresses.encode(&object)?;
    match cluster.store.create(&key(cluster, address), bytes, None).await.map_err(|error| unavailable(&error))? {
        CreateOutcome::Created { .. } => {
            taken.push(address.to_owned());
            Ok(true)
        }
        CreateOutcome::Exists => Ok(false),
    }
}

fn is_owned_by(address: &Object, (namespace, name): &(String, String)) -> bool {
    let part = |field| address.get_str(&["spec", "parentRef", field]);
    part("namespace") == Some(namespace) && part("name") == Some(name)
}

/// The address may have been made for this very Service by another server that did not get further.
async fn is_own(cluster: &Cluster, target: &Target, address: &str) -> bool {
    let owner = (target.namespace.clone(), target.name.clone());
    let Ok(Some(stored)) = cluster.store.get(&key(cluster, address)).await else { return false };
    target.decode_any(&stored).is_ok_and(|object| is_owned_by(&object, &owner))
}

/// How often others may change an address while it is freed.
const ATTEMPTS: usize = 8;

/// Frees an address, if it still is this Service's and no Service of that name holds it: two servers that were asked
/// for one Service at once share its address, and whoever came second must not free it.
pub(super) async fn give_back(cluster: &Cluster, address: &str, owner: &(String, String)) {
    for _ in 0..ATTEMPTS {
        match try_to_free(cluster, address, owner).await {
            Ok(Freed::Yes) => return,
            Ok(Freed::Again) => {}
            Err(error) => return tracing::warn!(address, %error, "an address stays taken"),
        }
    }
    tracing::warn!(address, "an address stays taken: it was changed by others each time");
}

enum Freed {
    /// Or it is not for us to free.
    Yes,
    Again,
}

async fn try_to_free(cluster: &Cluster, address: &str, owner: &(String, String)) -> Result<Freed, StoreError> {
    let key = key(cluster, &parse(address).map_or_else(|| address.to_owned(), |address| address.to_string()));
    let Some(stored) = cluster.store.get(&key).await? else { return Ok(Freed::Yes) };
    let owned = codec::decode_stored(&cluster.schema(), &stored.value).is_ok_and(|object| is_owned_by(&object, owner));
    if !owned || is_held(cluster, address, owner).await? {
        return Ok(Freed::Yes);
    }
    Ok(match cluster.store.delete(&key, stored.mod_revision).await? {
        DeleteOutcome::Deleted { .. } => Freed::Yes,
        DeleteOutcome::Changed(_) => Freed::Again,
    })
}

/// Whether the Service of this name, as it is stored, has the address.
async fn is_held(cluster: &Cluster, address: &str, (namespace, name): &(String, String)) -> Result<bool, StoreError> {
    let key = format!("{}/services/specs/{namespace}/{name}", cluster.store.prefix());
    let Some(stored) = cluster.store.get(&key).await? else { return Ok(false) };
    // One that cannot be read may have it.
    let service = codec::decode_stored(&cluster.schema(), &stored.value);
    Ok(service.map_or(true, |service| held_addresses(&service).iter().any(|held| parse(held) == parse(address))))
}
