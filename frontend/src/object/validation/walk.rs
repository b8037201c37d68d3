//! The walk through an object: every struct meets the rules that name it, from the outside in. In: an object. Out:
//! the errors. Not here: the rules (`rules`), metadata (`meta`).

use std::sync::LazyLock;

use super::{
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    orders::{self, Order},
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

/// What of an object is validated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All but metadata and status.
    Main,
    /// The same without the rules of the object itself.
    Fields,
    /// Status alone.
    Status,
}

/// Validates a part of an object by the rules of its structs.
pub(super) fn validate_object<'t>(object: &'t Object, part: Part, errors: &mut ErrorList<'t>) {
    let root = FieldPath::root(object.root());
    let Some(plan) = PLANS.of(root.fields.def()) else { return };
    let begin = errors.len();
    if part == Part::Main {
        apply(&root, &plan.work, errors);
    }
    let own = errors.len() - begin;
    let skipped = std::mem::take(&mut errors.skipped);
    for slot in &plan.visit {
        let name = &*root.fields.def().fields[*slot].name;
        let is_wanted = match part {
            Part::Main | Part::Fields => !matches!(name, "metadata" | "status") && !skipped.contains(&name),
            Part::Status => name == "status",
        };
        if is_wanted {
            visit_field(&root, *slot, errors);
        }
    }
    arrange(&root, plan.work.order, begin, own, errors);
}

/// Orders what was said since `begin`, of which the first `own` were said by the struct's own rules.
fn arrange(path: &FieldPath<'_, '_>, order: Option<&Order>, begin: usize, own: usize, errors: &mut ErrorList<'_>) {
    if let Some(order) = order.filter(|_| errors.len() > begin + 1) {
        orders::arrange(order, &path.to_string(), own, errors.since(begin));
    }
}

/// Validates one struct and what is below it.
pub(super) fn visit<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(plan) = PLANS.of(path.fields.def()) else { return };
    let outer = std::mem::take(&mut errors.skipped);
    let begin = errors.len();
    apply(path, &plan.work, errors);
    let own = errors.len() - begin;
    let skipped = std::mem::replace(&mut errors.skipped, outer);
    for slot in &plan.visit {
        if !skipped.contains(&&*path.fields.def().fields[*slot].name) {
            visit_field(path, *slot, errors);
        }
    }
    arrange(path, plan.work.order, begin, own, errors);
}

fn apply<'t>(path: &FieldPath<'_, 't>, work: &'static Work, errors: &mut ErrorList<'t>) {
    for rule in &work.rules {
        for (field, check) in rule.checks {
            check.apply(path, field, errors);
        }
        if let Some(function) = rule.function {
            function(path, errors);
        }
    }
}

fn visit_field<'t>(path: &FieldPath<'_, 't>, slot: usize, errors: &mut ErrorList<'t>) {
    let fields = path.fields;
    let field = &fields.def().fields[slot];
    let each = |nth: Nth<'t>, value: &'t Value, errors: &mut ErrorList<'t>| {
        if let Value::Struct(inner) = value {
            visit(&path.below(&field.name, nth, inner), errors);
        }
    };
    match fields.slot(slot) {
        Some(Value::List(items)) => items.iter().enumerate().for_each(|(at, item)| each(Nth::Index(at), item, errors)),
        Some(Value::Map(map)) => map.iter().for_each(|(key, item)| each(Nth::Key(key), item, errors)),
        Some(one) => each(Nth::Only, one, errors),
        None if field.shape == Shape::One && matches!(field.presence, Presence::Always | Presence::Omit) => {
            let empty = match &field.kind {
                Kind::Struct(def) => PLANS.of(def).map(|plan| &plan.work.empty),
                _ => None,
            };
            if let Some(empty) = empty {
                visit(&path.below(&field.name, Nth::Only, empty), errors);
            }
        }
        None => {}
    }
}
