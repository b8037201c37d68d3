//! The walk through an object: every struct meets the rules that name it, from the outside in. In: an object. Out:
//! complaints to the judge. Not here: the rules (`rules`), metadata (`meta`).

use std::sync::LazyLock;

use super::{
    judge::Judge,
    orders::{self, Order},
    place::{Nth, Place},
    rule::Rule,
    rules,
};
use crate::api::schema::{Kind, Object, Presence, Shape, Struct, Value, plans::Plans};

struct Work {
    rules: Vec<&'static Rule>,
    /// What stands for a plain struct that is absent: Go has no absence there.
    empty: Struct,
    order: Option<&'static Order>,
}

static PLANS: LazyLock<Plans<Work>> = LazyLock::new(|| {
    Plans::new(|def, name| {
        let rules: Vec<_> = rules::all().filter(|rule| rule.at == name).collect();
        let is_any = !rules.is_empty();
        (Work { rules, empty: Struct::new(def), order: orders::find(name) }, is_any)
    })
});

/// What of an object is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All but metadata and status.
    Main,
    /// The same without the rules of the object itself.
    Fields,
    /// Status alone.
    Status,
}

/// Judges a part of an object by the rules of its structs.
pub(super) fn judge_object<'t>(object: &'t Object, part: Part, judge: &mut Judge<'t>) {
    let root = Place::root(object.root());
    let Some(plan) = PLANS.of(root.fields.def()) else { return };
    let begin = judge.errors.len();
    if part == Part::Main {
        apply(&root, &plan.work, judge);
    }
    let own = judge.errors.len() - begin;
    let settled = std::mem::take(&mut judge.settled);
    for slot in &plan.visit {
        let name = &*root.fields.def().fields[*slot].name;
        let judged = match part {
            Part::Main | Part::Fields => !matches!(name, "metadata" | "status") && !settled.contains(&name),
            Part::Status => name == "status",
        };
        if judged {
            visit_field(&root, *slot, judge);
        }
    }
    arrange(&root, plan.work.order, begin, own, judge);
}

/// Orders what was said since `begin`, of which the first `own` were said by the struct's own rules.
fn arrange(place: &Place<'_, '_>, order: Option<&Order>, begin: usize, own: usize, judge: &mut Judge<'_>) {
    if let Some(order) = order.filter(|_| judge.errors.len() > begin + 1) {
        orders::arrange(order, &place.path(""), own, &mut judge.errors[begin..]);
    }
}

/// Judges one struct and what is below it.
pub(super) fn visit<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(plan) = PLANS.of(place.fields.def()) else { return };
    let outer = std::mem::take(&mut judge.settled);
    let begin = judge.errors.len();
    apply(place, &plan.work, judge);
    let own = judge.errors.len() - begin;
    let settled = std::mem::replace(&mut judge.settled, outer);
    for slot in &plan.visit {
        if !settled.contains(&&*place.fields.def().fields[*slot].name) {
            visit_field(place, *slot, judge);
        }
    }
    arrange(place, plan.work.order, begin, own, judge);
}

fn apply<'t>(place: &Place<'_, 't>, work: &'static Work, judge: &mut Judge<'t>) {
    for rule in &work.rules {
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
                Kind::Struct(def) => PLANS.of(def).map(|plan| &plan.work.empty),
                _ => None,
            };
            if let Some(empty) = empty {
                visit(&place.below(&field.name, Nth::Only, empty), judge);
            }
        }
        None => {}
    }
}
