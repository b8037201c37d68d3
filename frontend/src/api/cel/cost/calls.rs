//! What single calls may cost before an expression runs, and how large their results may be.

use super::{
    super::{
        ast::{Expr, Kind, Literal},
        cost_model::{self, AUTHORIZATION, LIST_CREATE, PATTERN, TRAVERSAL},
        types::Type,
    },
    range::{CostRange, scale},
    sizes::{Known, Sizes},
};

/// A call whose cost is asked for.
pub(super) struct Question<'q, 'e> {
    pub(super) function: &'q str,
    pub(super) overload: &'static str,
    pub(super) target: Option<&'q Known<'e>>,
    pub(super) args: &'q [Known<'e>],
    pub(super) arg_costs: &'q [CostRange],
}

pub(super) struct Answer {
    pub(super) cost: CostRange,
    pub(super) size: Option<CostRange>,
}

impl Answer {
    fn cost(cost: CostRange) -> Answer {
        Answer { cost, size: None }
    }

    fn sized(cost: CostRange, size: CostRange) -> Answer {
        Answer { cost, size: Some(size) }
    }
}

/// The longest pattern among the named formats, as it is assumed.
const FORMAT_PATTERN: f64 = 128.0;
const FORMAT_SIZE: u64 = 64;
const ONE: CostRange = CostRange::fixed(1);
/// Bytes of an address.
const ADDRESS: CostRange = CostRange { min: 4, max: 16 };

pub(super) fn estimate<'c>(sizes: &mut Sizes<'c>, expr: &Expr, question: &Question<'_, 'c>) -> Answer {
    let sum = question.arg_costs.iter().fold(CostRange::ZERO, |sum, cost| sum.plus(*cost));
    let own = of_overload(question).or_else(|| of_function(sizes, question));
    if let Some(answer) = own {
        return Answer { cost: answer.cost.plus(sum), size: answer.size };
    }
    standard(sizes, expr, question, sum)
}

impl Known<'_> {
    fn size_or_unknown(&self) -> CostRange {
        self.size.unwrap_or(CostRange::UNKNOWN)
    }

    /// A literal number, or what is assumed instead.
    fn number_or(&self, other: u64) -> u64 {
        match self.expr.map(|expr| &expr.kind) {
            Some(Kind::Literal(Literal::Int(number))) => u64::try_from(*number).unwrap_or(0),
            _ => other,
        }
    }
}

/// A list that is made anew.
fn allocated(factor: f64, size: CostRange) -> Option<Answer> {
    Some(Answer::sized(size.scaled(factor).plus(ONE).plus(CostRange::fixed(LIST_CREATE)), size))
}

/// Libraries that charge by the overload.
fn of_overload(question: &Question<'_, '_>) -> Option<Answer> {
    let (target, args) = (question.target, question.args);
    let sets = |factor: f64| match args {
        [a, b] => {
            let size = a.size_or_unknown().times(b.size_or_unknown());
            Some(Answer::cost(size.scaled(factor).plus(ONE)))
        }
        _ => None,
    };
    match question.overload {
        "list_sets_contains_list" | "list_sets_intersects_list" => sets(1.0),
        "list_sets_equivalent_list" => sets(2.0),
        "list_slice" => {
            let [start, end] = args else { return None };
            let end = end.number_or(target?.size_or_unknown().max);
            allocated(1.0, CostRange::fixed(end.wrapping_sub(start.number_or(0))))
        }
        "lists_range" => allocated(1.0, CostRange::fixed(args.first()?.number_or(u64::MAX))),
        "list_reverse" => allocated(1.0, target?.size_or_unknown()),
        "list_flatten" | "list_flatten_int" => {
            let depth = args.first().map_or(1, |depth| depth.number_or(u64::MAX));
            allocated(depth as f64, target?.size_or_unknown())
        }
        "list_distinct" => {
            let size = target?.size_or_unknown();
            allocated(2.0, size.times(size))
        }
        id if id.ends_with("_sort") => sorted(id, target?),
        id if id.ends_with("_sortByAssociatedKeys") => sorted(id, args.first()?),
        _ => None,
    }
}

fn sorted(id: &str, keys: &Known<'_>) -> Option<Answer> {
    let texts = id.starts_with("list_string_") || id.starts_with("list_bytes_");
    let size = keys.size_or_unknown();
    allocated(if texts { 2.0 + TRAVERSAL } else { 2.0 }, size.times(size))
}

/// Kubernetes' libraries, which charge by the name of the function.
fn of_function<'c>(sizes: &Sizes<'c>, question: &Question<'_, 'c>) -> Option<Answer> {
    let (target, args) = (question.target, question.args);
    let first = args.first();
    let text = || first.map(|arg| Answer::cost(arg.size_or_unknown().scaled(TRAVERSAL)));
    match question.function {
        "check" => Some(Answer::cost(CostRange::fixed(AUTHORIZATION))),
        name if cost_model::is_constant(name) => Some(Answer::cost(ONE)),
        "fieldSelector" | "labelSelector" => {
            let length = first?.size_or_unknown();
            let parts = length.scaled(0.5).scaled(50.0);
            Some(Answer::cost(CostRange::fixed(LIST_CREATE).plus(length.scaled(TRAVERSAL)).plus(parts)))
        }
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => Some(compared(sizes, target?)),
        "url" => first.map(|arg| {
            let size = arg.size_or_unknown();
            Answer::sized(size.scaled(TRAVERSAL), size)
        }),
        "lowerAscii" | "upperAscii" | "substring" | "trim" => {
            let size = target?.size_or_unknown();
            Some(Answer::sized(size.scaled(TRAVERSAL), size))
        }
        "replace" => replaced(target?, args),
        "split" => {
            let size = target?.size_or_unknown();
            let max = args.get(1).map_or(size.max, |limit| match limit.expr.map(|expr| &expr.kind) {
                Some(Kind::Literal(Literal::Int(limit))) => *limit as u64,
                _ => size.max,
            });
            Some(Answer::sized(size.scaled(2.0 * TRAVERSAL), CostRange { min: 0, max }))
        }
        "join" => Some(joined(sizes, target?, first)),
        "find" | "findAll" => {
            let (size, pattern) = (target?.size_or_unknown(), first?.size_or_unknown());
            let cost = size.plus(ONE).scaled(TRAVERSAL).times(pattern.scaled(PATTERN));
            Some(Answer::sized(cost, CostRange { min: 0, max: size.max }))
        }
        "ip" if question.overload == "cidr_ip" => Some(Answer::cost(ONE)),
        "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => text(),
        "ip.isCanonical" => first.map(|arg| Answer::cost(arg.size_or_unknown().scaled(2.0 * TRAVERSAL))),
        "containsIP" => {
            let cost = ADDRESS.plus(ADDRESS).scaled(TRAVERSAL);
            Some(parsed_first(cost, first?, question.overload == "cidr_contains_ip_string"))
        }
        "containsCIDR" => {
            let cost = ADDRESS.plus(ADDRESS).scaled(TRAVERSAL).plus(ADDRESS.scaled(TRAVERSAL)).plus(ONE);
            Some(parsed_first(cost, first?, question.overload == "cidr_contains_cidr_string"))
        }
        "validate" => first.map(|arg| {
            let cost = arg.size_or_unknown().scaled(TRAVERSAL).scaled(FORMAT_PATTERN * PATTERN);
            Answer::cost(cost)
        }),
        "_==_" => match args {
            [a, b] if a.of.name() == b.of.name() => equality(&a.of, b),
            _ => None,
        },
        _ => None,
    }
}

fn parsed_first(cost: CostRange, text: &Known<'_>, is_text: bool) -> Answer {
    Answer::cost(if is_text { cost.plus(text.size_or_unknown().scaled(TRAVERSAL)) } else { cost })
}

/// Of values of Kubernetes' own types.
fn equality(of: &Type, right: &Known<'_>) -> Option<Answer> {
    Some(Answer::cost(match &*of.name() {
        "net.IP" | "net.CIDR" | "kubernetes.Quantity" | "kubernetes.Semver" => ONE,
        "kubernetes.NamedFormat" => CostRange { min: 1, max: FORMAT_SIZE }.scaled(TRAVERSAL),
        "kubernetes.URL" => CostRange { min: 1, max: right.size.map_or(1, |size| size.max) }.scaled(TRAVERSAL),
        name if name.starts_with("kubernetes.authorization.") => ONE,
        _ => return None,
    }))
}

/// The elements of a list, where the declared types have them.
fn element<'c>(sizes: &Sizes<'_>, list: &Known<'c>) -> Option<Known<'c>> {
    let of = list.of.params().first().map(|of| (*of).clone())?;
    let mut path = list.path.clone();
    if !path.is_empty() {
        path.push("@items".to_owned());
    }
    let size = sizes.declared_size(&path);
    Some(Known { expr: None, path, of, size })
}

fn compared(sizes: &Sizes<'_>, target: &Known<'_>) -> Answer {
    let size = target.size_or_unknown();
    let Some(element) = element(sizes, target) else {
        // A text.
        return Answer::cost(size.scaled(TRAVERSAL));
    };
    let each = match element.of {
        Type::String | Type::Bytes => ONE.plus(element.size_or_unknown().scaled(TRAVERSAL)),
        _ => ONE,
    };
    Answer::cost(size.times(each))
}

fn replaced(target: &Known<'_>, args: &[Known<'_>]) -> Option<Answer> {
    let [old, new, ..] = args else { return None };
    let (size, old, new) = (target.size_or_unknown(), old.size_or_unknown(), new.size_or_unknown());
    let (mut count, mut kept) = (CostRange::ZERO, CostRange::ZERO);
    let divided = |size: u64, by: u64| scale(1, (size as f64 / by as f64).ceil());
    if old.min == 0 {
        count.max = size.max.saturating_add(1);
        kept.max = size.max;
    } else if new.max <= old.min {
        kept.max = size.max;
    } else {
        count.max = divided(size.max, old.min);
    }
    if old.max == 0 {
        count.min = size.min.saturating_add(1);
        kept.min = size.min;
    } else if old.max <= new.min {
        kept.min = size.min;
    } else {
        count.min = divided(size.min, old.max);
    }
    Some(Answer::sized(size.scaled(2.0 * TRAVERSAL), count.times(new).plus(kept)))
}

fn joined(sizes: &Sizes<'_>, list: &Known<'_>, separator: Option<&Known<'_>>) -> Answer {
    let count = list.size_or_unknown();
    let mut size = CostRange::ZERO;
    if let Some(element) = element(sizes, list) {
        size = count.times(element.size_or_unknown());
    }
    if let Some(separator) = separator {
        let between = CostRange { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
        size = size.plus(separator.size_or_unknown().times(between));
    }
    Answer::sized(size.scaled(TRAVERSAL), size)
}

/// Functions of the language itself.
fn standard<'c>(sizes: &mut Sizes<'c>, expr: &Expr, question: &Question<'_, 'c>, sum: CostRange) -> Answer {
    let (target, args) = (question.target, question.args);
    match (question.overload, args) {
        ("string_format", _) if target.is_some() => {
            Answer::cost(target.map_or(ONE, |target| target.size_or_unknown().scaled(TRAVERSAL)).plus(sum))
        }
        ("string_to_bytes", [text]) => {
            let size = text.size_or_unknown();
            let result = CostRange { min: size.min, max: size.max.wrapping_mul(4) };
            Answer::sized(size.scaled(TRAVERSAL).plus(sum), result)
        }
        ("bytes_to_string", [bytes]) => {
            let size = bytes.size_or_unknown();
            Answer::sized(size.scaled(TRAVERSAL).plus(sum), CostRange { min: size.min / 4, max: size.max })
        }
        ("strings_quote", [text]) => {
            let size = text.size_or_unknown();
            let result = CostRange { min: size.min.wrapping_add(2), max: size.max.wrapping_mul(2).wrapping_add(2) };
            Answer::sized(size.scaled(TRAVERSAL).plus(sum), result)
        }
        ("starts_with_string" | "ends_with_string", [part]) => {
            Answer::cost(part.size_or_unknown().scaled(TRAVERSAL).plus(sum))
        }
        ("in_list", [_, list]) => Answer::cost(list.size_or_unknown().scaled(1.0).plus(sum)),
        ("matches_string", [pattern]) if target.is_some() => {
            let text = target.map_or(CostRange::UNKNOWN, Known::size_or_unknown).plus(ONE).scaled(TRAVERSAL);
            Answer::cost(text.times(pattern.size_or_unknown().scaled(PATTERN)).plus(sum))
        }
        ("contains_string", [part]) if target.is_some() => {
            let text = target.map_or(CostRange::UNKNOWN, Known::size_or_unknown).scaled(TRAVERSAL);
            Answer::cost(text.times(part.size_or_unknown().scaled(TRAVERSAL)).plus(sum))
        }
        ("logical_and" | "logical_or", _) => {
            let [left, right] = question.arg_costs else { return Answer::cost(sum) };
            Answer::cost(CostRange { min: left.min, max: left.plus(*right).max })
        }
        ("conditional", [_, yes, no]) => conditional(sizes, expr, question.arg_costs, yes, no),
        ("add_string" | "add_bytes" | "add_list", [a, b]) => {
            let size = a.size_or_unknown().plus(b.size_or_unknown());
            if let (Some(a), Some(b)) = (a.expr, b.expr) {
                let entries = sizes.union_of_entries(a, b);
                sizes.set_entry_size(expr, entries);
            }
            let cost = if question.overload == "add_list" { ONE } else { size.scaled(TRAVERSAL) };
            Answer::sized(cost.plus(sum), size)
        }
        (id, [a, b]) if is_comparison(id) => {
            let max = a.size_or_unknown().max.min(b.size_or_unknown().max);
            let range = CostRange { min: u64::from(max > 0), max };
            Answer::cost(range.scaled(TRAVERSAL).plus(sum))
        }
        _ => Answer::cost(ONE.plus(sum)),
    }
}

fn is_comparison(id: &str) -> bool {
    let ordered = id.starts_with("less_") || id.starts_with("greater_");
    matches!(id, "equals" | "not_equals") || ordered && (id.ends_with("_string") || id.ends_with("_bytes"))
}

fn conditional<'c>(sizes: &mut Sizes<'c>, expr: &Expr, costs: &[CostRange], yes: &Known<'c>, no: &Known<'c>) -> Answer {
    let size = yes.size_or_unknown().union(no.size_or_unknown());
    if let (Some(yes), Some(no)) = (yes.expr, no.expr) {
        let entries = sizes.union_of_entries(yes, no);
        sizes.set_entry_size(expr, entries);
    }
    let cost = match costs {
        [condition, yes, no] => condition.plus(yes.union(*no)),
        _ => CostRange::ZERO,
    };
    Answer::sized(cost, size)
}
