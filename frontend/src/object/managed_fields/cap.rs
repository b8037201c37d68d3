//! The bound of what is kept about updaters: beyond it the oldest of a version become one.

use super::{
    managers::{Manager, Operation, second},
    updater::manager,
};

/// More updaters than this are not kept apart. Appliers have no bound.
const UPDATERS_MAX: usize = 10;
const OLD_UPDATERS: &str = "ancient-changes";

pub(super) fn cap(managers: &mut Vec<Manager<'_>>) {
    let mut updaters: Vec<Manager<'_>> =
        managers.iter().filter(|manager| manager.operation == Operation::Update).cloned().collect();
    if updaters.len() <= UPDATERS_MAX {
        return;
    }
    updaters.sort_by(|a, b| {
        let key = |manager: &Manager<'_>| (second(manager).to_owned(), identifier(manager));
        key(a).cmp(&key(b))
    });
    let mut length = updaters.len();
    let mut first_of_version: Vec<Manager<'_>> = Vec::new();
    for old in updaters {
        if length <= UPDATERS_MAX {
            break;
        }
        let Some(first) = first_of_version.iter().find(|first| first.api_version == old.api_version) else {
            first_of_version.push(old);
            continue;
        };
        let bucket = manager(OLD_UPDATERS, Operation::Update, old.api_version.clone(), "");
        if !managers.iter().any(|known| known.is(&bucket))
            && let Some(known) = managers.iter_mut().find(|known| known.is(first))
        {
            known.name = bucket.name.clone();
            known.subresource = bucket.subresource.clone();
        }
        let Some(at) = managers.iter().position(|known| known.is(&old)) else { continue };
        let merged = managers.swap_remove(at);
        if let Some(known) = managers.iter_mut().find(|known| known.is(&bucket)) {
            known.set = std::mem::take(&mut known.set).union(merged.set);
            known.time = merged.time;
            length -= 1;
        }
    }
}

/// What updaters of one second are ordered by: the JSON of their entry's head.
fn identifier(manager: &Manager<'_>) -> String {
    let mut head = format!(
        "{{\"manager\":{},\"operation\":\"{}\",\"apiVersion\":{}",
        crate::request::status::go_quote(&manager.name),
        manager.operation.name(),
        crate::request::status::go_quote(&manager.api_version)
    );
    if !manager.subresource.is_empty() {
        head.push_str(&format!(",\"subresource\":{}", crate::request::status::go_quote(&manager.subresource)));
    }
    head.push('}');
    head
}
