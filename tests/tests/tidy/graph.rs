//! Which module uses which: names are followed through re-exports to the file that defines them.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Crate, Words};

/// How far re-exports are followed.
const STEPS_MAX: usize = 12;

/// The modules that each module uses, with the names by which it mentions them.
pub(crate) type Arrows = BTreeMap<Words, BTreeMap<Words, BTreeSet<String>>>;

pub(crate) fn arrows(own: &Crate) -> Arrows {
    let mut arrows = Arrows::new();
    for (at, module) in &own.modules {
        let uses = arrows.entry(at.clone()).or_default();
        for path in &module.mentioned {
            if let Some(target) = home(own, at, path, STEPS_MAX).filter(|target| target != at) {
                uses.entry(target).or_default().extend(path.last().cloned());
            }
        }
    }
    arrows
}

/// The module that defines what a path names, seen from a module. None for other crates and for modules themselves.
fn home(own: &Crate, at: &Words, path: &[String], steps: usize) -> Option<Words> {
    let (first, rest) = path.split_first()?;
    let module = own.modules.get(at)?;
    match first.as_str() {
        "crate" => below(own, Vec::new(), rest, steps),
        "self" => below(own, at.clone(), rest, steps),
        "super" => {
            let mut parent = at.clone();
            parent.pop()?;
            match rest.first().map(String::as_str) {
                Some("super") => home(own, &parent, rest, steps),
                _ => below(own, parent, rest, steps),
            }
        }
        name if module.children.contains(name) => below(own, at.clone(), path, steps),
        name => {
            let meaning =
                module.names.get(name).filter(|meaning| meaning.first() != Some(first) || meaning.len() > 1)?;
            let whole = [meaning.as_slice(), rest].concat();
            steps.checked_sub(1).and_then(|steps| home(own, at, &whole, steps))
        }
    }
}

fn below(own: &Crate, mut at: Words, path: &[String], steps: usize) -> Option<Words> {
    let mut rest = path;
    while let Some((first, behind)) = rest.split_first() {
        let module = own.modules.get(&at)?;
        // A function may have the name of a module.
        let leads_on = module.children.contains(first) && !behind.is_empty();
        if module.defined.contains(first) && !leads_on {
            return Some(at);
        }
        if module.children.contains(first) {
            at.push(first.clone());
            rest = behind;
            continue;
        }
        if let Some(meaning) = module.names.get(first) {
            let whole = [meaning.as_slice(), behind].concat();
            return home(own, &at, &whole, steps.checked_sub(1)?);
        }
        let steps = steps.checked_sub(1)?;
        return module.globs.iter().find_map(|glob| {
            let whole = [glob.as_slice(), rest].concat();
            home(own, &at, &whole, steps)
        });
    }
    None
}

fn shown(path: &Words) -> String {
    if path.is_empty() { "lib".to_owned() } else { path.join("::") }
}

/// Groups of modules that use each other in a circle, but for those that are allowed, each as a whole.
pub(crate) fn circles(own: &Crate, allowed: &[(&[&str], &str)]) -> Vec<String> {
    let arrows = arrows(own);
    let mut found = Vec::new();
    for members in groups(&arrows) {
        let names: Vec<String> = members.iter().map(|each| shown(each)).collect();
        if allowed.iter().any(|(group, _)| names == *group) {
            continue;
        }
        let ties: Vec<String> = arrows
            .iter()
            .filter(|(from, _)| members.contains(from))
            .flat_map(|(from, to)| to.iter().filter(|(to, _)| members.contains(to)).map(move |to| (from, to)))
            .map(|(from, (to, names))| format!("    {} -> {} {names:?}", shown(from), shown(to)))
            .collect();
        found.push(format!(
            "{}: {} use each other in a circle: move what both need down into a module of its own\n{}",
            own.name,
            names.join(", "),
            ties.join("\n")
        ));
    }
    found
}

/// Allowed groups that are not, or no longer, circles.
pub(crate) fn open_circles(all: &[Crate], allowed: &[(&[&str], &str)]) -> Vec<String> {
    let arrows: Vec<Arrows> = all.iter().map(arrows).collect();
    let circles: Vec<Vec<String>> =
        arrows.iter().flat_map(groups).map(|group| group.into_iter().map(shown).collect()).collect();
    let stale = allowed.iter().filter(|(group, _)| !circles.iter().any(|circle| circle == group));
    stale.map(|(group, _)| format!("{} is no circle (any more): take it out of RECURSIONS", group.join(", "))).collect()
}

/// The modules that use each other in circles.
fn groups(arrows: &Arrows) -> BTreeSet<BTreeSet<&Words>> {
    let reach: BTreeMap<&Words, BTreeSet<&Words>> = arrows.keys().map(|from| (from, reached(arrows, from))).collect();
    let circle = |from| reach[from].iter().copied().filter(|to| reach[to].contains(from)).collect();
    arrows.keys().map(circle).filter(|circle: &BTreeSet<&Words>| circle.len() > 1).collect()
}

fn reached<'a>(arrows: &'a Arrows, from: &'a Words) -> BTreeSet<&'a Words> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for to in arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to) {
                open.push(to);
            }
        }
    }
    reached
}

/// Uses of a room by one that lies further inwards. `rooms` are top-level modules, innermost first.
pub(crate) fn arrows_outwards(own: &Crate, rooms: &[&str]) -> Vec<String> {
    let place = |path: &Words| path.first().and_then(|room| rooms.iter().position(|each| each == room));
    let arrows = arrows(own);
    let pairs = arrows.iter().flat_map(|(from, to)| to.keys().map(move |to| (from, to)));
    let outwards = pairs.filter(|(from, to)| matches!((place(from), place(to)), (Some(a), Some(b)) if a < b));
    outwards
        .map(|(from, to)| {
            format!(
                "{}: {} uses {}, a room further out: move the shared type inwards",
                own.name,
                shown(from),
                shown(to)
            )
        })
        .collect()
}
