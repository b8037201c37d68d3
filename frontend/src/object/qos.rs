//! The class of service that a pod gets by what its containers ask for.

use crate::api::schema::{Object, Value, scalar::quantity::Quantity};

const COMPUTE: [&str; 2] = ["cpu", "memory"];

/// Guaranteed: every container limits cpu and memory, and all of them request as much as they limit; BestEffort: none
/// asks for anything. What the pod as a whole asks for counts in place of its containers.
pub fn quality_of_service(pod: &Object) -> &'static str {
    let resources: Vec<Option<&Value>> = match pod.get(&["spec", "resources"]) {
        Some(whole) => vec![Some(whole)],
        None => {
            let of = |list| pod.get_list(&["spec", list]).unwrap_or_default().iter();
            of("containers").chain(of("initContainers")).map(|container| container.child("resources")).collect()
        }
    };
    let whole = pod.get(&["spec", "resources"]).is_some();
    let mut guaranteed = true;
    let (mut requests, mut limits): ([Option<Quantity>; 2], [Option<Quantity>; 2]) = Default::default();
    for resources in resources {
        let amount = |part: &str, at: usize| -> Option<Quantity> {
            let text = resources?.at(&[part, COMPUTE[at]])?.as_str()?;
            Quantity::parse(text).ok().filter(|amount| !amount.is_zero() && !amount.is_negative())
        };
        let limited = (0..COMPUTE.len()).all(|at| amount("limits", at).is_some());
        let any_limit = resources.and_then(|r| r.child("limits")).is_some_and(|limits| !limits.is_zero());
        guaranteed &= limited || (whole && !any_limit);
        for at in 0..COMPUTE.len() {
            for (sum, part) in [(&mut requests[at], "requests"), (&mut limits[at], "limits")] {
                if let Some(more) = amount(part, at) {
                    *sum = Some(sum.map_or(more, |sum| sum.plus(&more)));
                }
            }
        }
    }
    let any = |sums: &[Option<Quantity>]| sums.iter().any(Option::is_some);
    if !any(&requests) && !any(&limits) {
        "BestEffort"
    } else if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
