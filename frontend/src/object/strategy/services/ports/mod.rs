//! Ports of every node.
//!
//! Which ports are taken stands in one key of the store, a bitmap that a real server keeps too: changing it by
//! compare-and-swap is the claim, so that two servers never give out one port. Ports of Services that the cache knows
//! count as taken whatever the bitmap says.

use std::collections::BTreeSet;

use super::spec::{checks_health, has_node_ports, health_port, held_ports, node_ports, numbers, refused, text};
use crate::{
    api::schema::{Object, Value},
    cluster::Cluster,
    request::status::{ApiError, FieldError},
    store::{CreateOutcome, UpdateOutcome},
};

mod bitmap;

use bitmap::Bitmap;

const FIRST: i64 = 30000;
const LAST: i64 = 32767;
/// Ports that are given out last: they are left to those who ask for one by number.
const LOWEST: i64 = 86;
/// Random ports tried before all are tried in turn.
const GUESSES: usize = 32;
/// How often others may be faster before a client is told to try again.
const ATTEMPTS: usize = 64;
const ALLOCATED: &str = "provided port is already allocated";

fn wants_ports(service: &Object) -> bool {
    match text(service, "type") {
        "NodePort" => true,
        "LoadBalancer" => service.get_bool(&["spec", "allocateLoadBalancerNodePorts"]) != Some(false),
        _ => false,
    }
}

fn put(service: &mut Object, at: usize, node: i64) {
    let Some(Value::List(ports)) = service.get_mut(&["spec", "ports"]) else { return };
    if let Some(port) = ports.get_mut(at).and_then(Value::as_struct_mut) {
        port.set("nodePort", node);
    }
}

/// Where ports come from.
trait Source {
    /// Takes this one.
    fn take(&mut self, port: i64) -> Result<(), String>;
    /// Takes any.
    fn take_any(&mut self) -> Option<i64>;
}

fn refuse(service: &Object, at: usize, node: i64, why: String) -> Result<(), ApiError> {
    refused(service, vec![FieldError::invalid_value(format!("spec.ports[{at}].nodePort"), node, why)])
}

fn full() -> ApiError {
    ApiError::internal("failed to allocate a nodePort: range is full")
}

/// Gives ports to a Service from a source. A number that is served over several protocols gets one port for all.
fn choose(source: &mut dyn Source, service: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    let before = old.map(node_ports).unwrap_or_default();
    if has_node_ports(service) {
        let numbers = numbers(service, "port");
        let mut own: Vec<(i64, i64)> = Vec::new();
        for at in 0..numbers.len() {
            let nodes = node_ports(service);
            let node = nodes[at];
            if node != 0 {
                let known = before.contains(&node) || own.iter().any(|(_, taken)| *taken == node);
                if !known && let Err(why) = source.take(node) {
                    refuse(service, at, node, why)?;
                }
                own.push((numbers[at], node));
            } else if wants_ports(service) {
                let shared = own.iter().find(|(number, _)| *number == numbers[at]).map(|(_, node)| *node);
                let asked = (at..numbers.len()).find(|n| numbers[*n] == numbers[at] && nodes[*n] != 0);
                let node = match (old, shared, asked.map(|n| nodes[n])) {
                    (None, Some(node), _) => node,
                    (None, None, Some(node)) => {
                        if let Err(why) = source.take(node) {
                            refuse(service, at, node, why)?;
                        }
                        node
                    }
                    _ => source.take_any().ok_or_else(full)?,
                };
                own.push((numbers[at], node));
                put(service, at, node);
            }
        }
    }
    choose_health_port(source, service, old)
}

fn choose_health_port(source: &mut dyn Source, service: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    if !checks_health(service) || old.is_some_and(checks_health) {
        return Ok(());
    }
    let asked = health_port(service);
    if asked == 0 {
        let port = source.take_any().ok_or_else(full)?;
        service.set(&["spec", "healthCheckNodePort"], port);
        return Ok(());
    }
    source
        .take(asked)
        .map_err(|why| ApiError::internal(format!("failed to allocate requested HealthCheck NodePort {asked}: {why}")))
}

/// A trial run: nothing is looked up, and any port is one that no node has.
struct Trial(BTreeSet<i64>);

impl Source for Trial {
    fn take(&mut self, port: i64) -> Result<(), String> {
        if self.0.insert(port) { Ok(()) } else { Err(ALLOCATED.to_owned()) }
    }

    fn take_any(&mut self) -> Option<i64> {
        let next = self.0.last().map_or(LAST + 2, |last| last + 1);
        self.0.insert(next);
        Some(next)
    }
}

pub(super) fn try_out(service: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    choose(&mut Trial(BTreeSet::new()), service, old)
}

/// What other Services are known to have.
struct Foreseen {
    known: BTreeSet<i64>,
    taken: BTreeSet<i64>,
}

impl Source for Foreseen {
    fn take(&mut self, port: i64) -> Result<(), String> {
        in_range(port)?;
        if self.known.contains(&port) || !self.taken.insert(port) {
            return Err(ALLOCATED.to_owned());
        }
        Ok(())
    }

    fn take_any(&mut self) -> Option<i64> {
        Some(LAST + 1)
    }
}

/// Refuses ports asked for that others are known to have, before anything else is validated.
pub(super) fn foresee(cluster: &Cluster, service: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    let before = old.map(held_ports).unwrap_or_default();
    if held_ports(service).is_subset(&before) {
        return Ok(());
    }
    let mut source = Foreseen { known: known(cluster, service), taken: BTreeSet::new() };
    choose(&mut source, &mut service.clone(), old)
}

fn in_range(port: i64) -> Result<(), String> {
    if (FIRST..=LAST).contains(&port) {
        return Ok(());
    }
    Err(format!("provided port is not in the valid range. The range of valid ports is {FIRST}-{LAST}"))
}

/// The ports of the cluster.
struct Shared<'a> {
    bitmap: &'a mut Bitmap,
    /// Ports of Services, whatever the bitmap says.
    known: &'a BTreeSet<i64>,
    taken: BTreeSet<i64>,
}

impl Shared<'_> {
    fn is_free(&self, port: i64) -> bool {
        !self.bitmap.has(port - FIRST) && !self.known.contains(&port)
    }

    fn mark(&mut self, port: i64) {
        self.bitmap.set(port - FIRST);
        self.taken.insert(port);
    }
}

impl Source for Shared<'_> {
    fn take(&mut self, port: i64) -> Result<(), String> {
        in_range(port)?;
        if !self.is_free(port) {
            return Err(ALLOCATED.to_owned());
        }
        self.mark(port);
        Ok(())
    }

    fn take_any(&mut self) -> Option<i64> {
        let guesses = (0..GUESSES).map(|_| rand::random_range(FIRST + LOWEST..=LAST));
        let all = guesses.chain(FIRST + LOWEST..=LAST).chain(FIRST..FIRST + LOWEST);
        let port = all.into_iter().find(|port| self.is_free(*port))?;
        self.mark(port);
        Some(port)
    }
}

fn key(cluster: &Cluster) -> String {
    format!("{}/ranges/servicenodeports", cluster.store.prefix())
}

/// Changes the bitmap until the change is stored. `change` may run again, and tells whether there is something to
/// store.
async fn edit<T>(
    cluster: &Cluster,
    mut change: impl FnMut(&mut Bitmap) -> Result<(T, bool), ApiError>,
) -> Result<T, ApiError> {
    let fault = |error: crate::store::StoreError| {
        ApiError::internal("failed to allocate a nodePort: the ports could not be read or stored").with_internal(error)
    };
    let mut stored = cluster.store.get(&key(cluster)).await.map_err(fault)?;
    for _ in 0..ATTEMPTS {
        let mut bitmap = stored.as_ref().map_or_else(Bitmap::default, |stored| Bitmap::decode(&stored.value));
        let (outcome, changed) = change(&mut bitmap)?;
        if !changed {
            return Ok(outcome);
        }
        let bytes = bitmap.encode(&format!("{FIRST}-{LAST}"));
        let newer = match &stored {
            Some(stored) => {
                match cluster.store.update(&key(cluster), stored.mod_revision, bytes, None).await.map_err(fault)? {
                    UpdateOutcome::Updated { .. } => return Ok(outcome),
                    UpdateOutcome::Changed(newer) => newer,
                }
            }
            None => match cluster.store.create(&key(cluster), bytes, None).await.map_err(fault)? {
                CreateOutcome::Created { .. } => return Ok(outcome),
                CreateOutcome::Exists => cluster.store.get(&key(cluster)).await.map_err(fault)?,
            },
        };
        stored = newer;
    }
    Err(ApiError::internal("failed to allocate a nodePort: too many others take ports at once"))
}

/// Takes what is missing; what is taken is written into the Service and into `taken`.
pub(super) async fn take(
    cluster: &Cluster,
    service: &mut Object,
    old: Option<&Object>,
    taken: &mut BTreeSet<i64>,
) -> Result<(), ApiError> {
    if !has_node_ports(service) && !checks_health(service) {
        return Ok(());
    }
    let known = known(cluster, service);
    let (chosen, ports) = edit(cluster, |bitmap| {
        let mut chosen = service.clone();
        let mut source = Shared { bitmap, known: &known, taken: BTreeSet::new() };
        choose(&mut source, &mut chosen, old)?;
        let changed = !source.taken.is_empty();
        Ok(((chosen, source.taken), changed))
    })
    .await?;
    *service = chosen;
    *taken = ports;
    Ok(())
}

/// Ports of all other Services.
fn known(cluster: &Cluster, service: &Object) -> BTreeSet<i64> {
    let services = cluster.informer().list(("", "services"), "").unwrap_or_default();
    let others = services.iter().filter(|s| s.name() != service.name() || s.namespace() != service.namespace());
    others.flat_map(|service| held_ports(service)).collect()
}

/// Frees ports.
pub(super) async fn give_back(cluster: &Cluster, ports: &BTreeSet<i64>) {
    let freed = edit(cluster, |bitmap| {
        let held: Vec<i64> = ports.iter().map(|port| port - FIRST).filter(|at| bitmap.has(*at)).collect();
        held.iter().for_each(|at| bitmap.clear(*at));
        Ok(((), !held.is_empty()))
    });
    if let Err(error) = freed.await {
        tracing::warn!(?ports, cause = error.internal, "node ports stay taken");
    }
}
