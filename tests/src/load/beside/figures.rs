//! What a work came to, and a row of two of them.

/// One number, its unit, and how many times better it shall be beside the original's.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    pub(super) what: &'static str,
    pub(super) value: f64,
    pub(super) better: Better,
    pub(super) wanted: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
}

pub(super) fn more(what: &'static str, value: f64, wanted: f64) -> Figure {
    Figure { what, value, better: Better::More, wanted }
}

pub(super) fn less(what: &'static str, value: f64, wanted: f64) -> Figure {
    Figure { what, value, better: Better::Less, wanted }
}

pub(super) fn head() -> String {
    format!(
        "| {:<18} | {:<22} | {:>14} | {:>10} | {:>6} | {:>6} |\n|---|---|---|---|---|---|",
        "work", "figure", "kube-apiserver", "frontend", "times", "wanted"
    )
}

/// `times`: how much better ours is.
pub(super) fn row(work: &str, theirs: &Figure, ours: &Figure) -> String {
    let times = match ours.better {
        Better::More => ours.value / theirs.value,
        Better::Less => theirs.value / ours.value,
    };
    format!(
        "| {work:<18} | {:<22} | {:>14} | {:>10} | {times:>6.1} | {:>6} |",
        ours.what,
        number(theirs.value),
        number(ours.value),
        ours.wanted
    )
}

fn number(value: f64) -> String {
    let digits = if value >= 100.0 { 0 } else { 2 };
    format!("{value:.digits$}")
}
