//! The walk through an object: every struct meets the rules that name it, from the outside in. In: an object. Out:
//! complaints to the judge. Not here: the rules (`rules`), metadata (`meta`).

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use super::{
    check::Check,
    judge::Judge,
    place::{Nth, Place},
    rules,
};
use crate::schema::{Field, Kind, Object, Presence, Schema, Shape, Struct, StructDef, StructRef, Value};

/// One row. `at` is "core.v1.PodSpec": package without "api.", struct.
pub(super) struct Rule {
    pub(super) at: &'static str,
    pub(super) checks: &'static [(&'static str, Check)],
    /// What needs more than one field.
    pub(super) function: Option<Function>,
}

pub(super) type Function = for<'t> fn(&Place<'_, 't>, &mut Judge<'t>);

/// A row of checks alone.
pub(super) const fn rule(at: &'static str, checks: &'static [(&'static str, Check)]) -> Rule {
    Rule { at, checks, function: None }
}

/// A row with a function.
pub(super) const fn with(at: &'static str, function: Function, checks: &'static [(&'static str, Check)]) -> Rule {
    Rule { at, checks, function: Some(function) }
}

struct Plan {
    rules: Vec<&'static Rule>,
    /// What stands for a plain struct that is absent: Go has no absence there.
    empty: Struct,
    /// Slots below which something is judged.
    visit: Vec<usize>,
}

/// By the address of the built-in definition.
static PLANS: LazyLock<HashMap<usize, Plan>> = LazyLock::new(plans);

fn address(def: &StructDef) -> usize {
    std::ptr::from_ref(def).addr()
}

fn plans() -> HashMap<usize, Plan> {
    let mut structs: HashMap<usize, StructRef> = HashMap::new();
    let mut open: Vec<StructRef> = Schema::builtin().kinds().map(|kind| kind.root.clone()).collect();
    while let Some(def) = open.pop() {
        let inner: Vec<StructRef> = def.fields.iter().filter_map(Field::struct_ref).cloned().collect();
        if structs.insert(address(&def), def).is_none() {
            open.extend(inner);
        }
    }
    let mut found: HashMap<usize, Plan> = HashMap::new();
    for (at, def) in &structs {
        let name = format!("{}.{}", def.package.strip_prefix("api.").unwrap_or(&def.package), def.name);
        let rules = rules::all().filter(|rule| rule.at == name).collect();
        found.insert(*at, Plan { rules, empty: Struct::new(def), visit: Vec::new() });
    }
    // Which structs have something below them: repeated until nothing is added, since types may contain themselves.
    let mut busy: HashSet<usize> = found.iter().filter(|(_, plan)| !plan.rules.is_empty()).map(|(at, _)| *at).collect();
    loop {
        let before = busy.len();
        for (at, def) in &structs {
            if def.fields.iter().filter_map(Field::struct_ref).any(|inner| busy.contains(&address(inner))) {
                busy.insert(*at);
            }
        }
        if busy.len() == before {
            break;
        }
    }
    for (at, plan) in &mut found {
        let below = |field: &Field| field.struct_ref().is_some_and(|inner| busy.contains(&address(inner)));
        let fields = structs[at].fields.iter().enumerate();
        plan.visit = fields.filter(|(_, field)| below(field)).map(|(slot, _)| slot).collect();
    }
    found.retain(|at, _| busy.contains(at));
    found
}

/// What of an object is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All but metadata and status.
    Main,
    /// Status alone.
    Status,
}

/// Judges a part of an object by the rules of its structs.
pub(super) fn judge_object<'t>(object: &'t Object, part: Part, judge: &mut Judge<'t>) {
    let root = Place::root(object.root());
    let Some(plan) = PLANS.get(&address(root.fields.def())) else { return };
    if part == Part::Main {
        apply(&root, plan, judge);
    }
    let settled = std::mem::take(&mut judge.settled);
    for slot in &plan.visit {
        let name = &*root.fields.def().fields[*slot].name;
        let judged = match part {
            Part::Main => !matches!(name, "metadata" | "status") && !settled.contains(&name),
            Part::Status => name == "status",
        };
        if judged {
            visit_field(&root, *slot, judge);
        }
    }
}

/// Judges one struct and what is below it.
pub(super) fn visit<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(plan) = PLANS.get(&address(place.fields.def())) else { return };
    let outer = std::mem::take(&mut judge.settled);
    apply(place, plan, judge);
    let settled = std::mem::replace(&mut judge.settled, outer);
    for slot in &plan.visit {
        if !settled.contains(&&*place.fields.def().fields[*slot].name) {
            visit_field(place, *slot, judge);
        }
    }
}

fn apply<'t>(place: &Place<'_, 't>, plan: &'static Plan, judge: &mut Judge<'t>) {
    for rule in &plan.rules {
        for (field, check) in rule.checks {
            check.apply(place, field, judge);
        }
        if let Some(function) = rule.function {
            function(place, judge);
        }
    }
}

fn visit_field<'t>(place: &Place<'_, 't>, slot: usize, judge: &mut Judge<'t>) {
    let fields = place.fields;
    let field = &fields.def().fields[slot];
    let each = |nth: Nth<'t>, value: &'t Value, judge: &mut Judge<'t>| {
        if let Value::Struct(inner) = value {
            visit(&place.below(&field.name, nth, inner), judge);
        }
    };
    match fields.slot(slot) {
        Some(Value::List(items)) => items.iter().enumerate().for_each(|(at, item)| each(Nth::At(at), item, judge)),
        Some(Value::Map(map)) => map.iter().for_each(|(key, item)| each(Nth::Key(key), item, judge)),
        Some(one) => each(Nth::Only, one, judge),
        None if field.shape == Shape::One && matches!(field.presence, Presence::Always | Presence::Omit) => {
            let empty = match &field.kind {
                Kind::Struct(def) => PLANS.get(&address(def)).map(|plan| &plan.empty),
                _ => None,
            };
            if let Some(empty) = empty {
                visit(&place.below(&field.name, Nth::Only, empty), judge);
            }
        }
        None => {}
    }
}
