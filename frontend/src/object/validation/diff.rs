//! What the real server says of a change: a unified difference of both sides as indented JSON of its internal types.

use super::print::indented;
use crate::api::schema::Value;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The difference between two values, as `diff -u` without its header.
pub(super) fn of(old: Option<&Value>, new: Option<&Value>) -> String {
    of_texts(&indented(old), &indented(new))
}

/// The difference between two texts.
pub(super) fn of_texts(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut out = String::new();
    for group in groups(&edits(&old, &new)) {
        let (first, last) = (group[0], group[group.len() - 1]);
        let range = |from: usize, to: usize| match to - from {
            1 => (from + 1).to_string(),
            0 => format!("{from},0"),
            length => format!("{},{length}", from + 1),
        };
        out.push_str(&format!("@@ -{} +{} @@\n", range(first.old.0, last.old.1), range(first.new.0, last.new.1)));
        for edit in group {
            if edit.equal {
                old[edit.old.0..edit.old.1].iter().for_each(|line| out.push_str(&format!(" {line}\n")));
                continue;
            }
            old[edit.old.0..edit.old.1].iter().for_each(|line| out.push_str(&format!("-{line}\n")));
            new[edit.new.0..edit.new.1].iter().for_each(|line| out.push_str(&format!("+{line}\n")));
        }
    }
    out
}

/// A run of lines: the same on both sides, or one in place of the other.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edit {
    equal: bool,
    old: (usize, usize),
    new: (usize, usize),
}

/// The longest block that both have, then what is before and after it (Ratcliff and Obershelp, as difflib does it).
fn edits(old: &[&str], new: &[&str]) -> Vec<Edit> {
    let mut positions: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
    for (at, line) in new.iter().enumerate() {
        positions.entry(line).or_default().push(at);
    }
    // Lines that fill a long text are no anchors.
    if new.len() >= 200 {
        positions.retain(|_, at| at.len() <= new.len() / 100 + 1);
    }
    let mut blocks = Vec::new();
    let mut open = vec![(0, old.len(), 0, new.len())];
    while let Some((a, b, c, d)) = open.pop() {
        let (i, j, size) = longest(old, new, &positions, (a, b), (c, d));
        if size > 0 {
            blocks.push((i, j, size));
            open.push((a, i, c, j));
            open.push((i + size, b, j + size, d));
        }
    }
    blocks.sort_unstable();
    blocks.push((old.len(), new.len(), 0));
    let (mut i, mut j, mut found) = (0, 0, Vec::<Edit>::new());
    for (a, b, size) in blocks {
        if i < a || j < b {
            found.push(Edit { equal: false, old: (i, a), new: (j, b) });
        }
        match found.last_mut() {
            _ if size == 0 => {}
            Some(last) if last.equal && last.old.1 == a && last.new.1 == b => {
                (last.old.1, last.new.1) = (a + size, b + size);
            }
            _ => found.push(Edit { equal: true, old: (a, a + size), new: (b, b + size) }),
        }
        (i, j) = (a + size, b + size);
    }
    found
}

fn longest(
    old: &[&str],
    new: &[&str],
    positions: &std::collections::HashMap<&str, Vec<usize>>,
    (a, b): (usize, usize),
    (c, d): (usize, usize),
) -> (usize, usize, usize) {
    let mut best = (a, c, 0);
    let mut lengths: std::collections::HashMap<usize, usize> = std::collections::HashMap::new();
    for (i, line) in old.iter().enumerate().take(b).skip(a) {
        let mut next = std::collections::HashMap::new();
        for j in positions.get(line).into_iter().flatten().filter(|j| (c..d).contains(*j)) {
            let length = if *j > c { lengths.get(&(j - 1)).copied().unwrap_or(0) + 1 } else { 1 };
            next.insert(*j, length);
            if length > best.2 {
                best = (i + 1 - length, j + 1 - length, length);
            }
        }
        lengths = next;
    }
    // Lines that were no anchors may still touch the block.
    while best.0 > a && best.1 > c && old[best.0 - 1] == new[best.1 - 1] {
        best = (best.0 - 1, best.1 - 1, best.2 + 1);
    }
    while best.0 + best.2 < b && best.1 + best.2 < d && old[best.0 + best.2] == new[best.1 + best.2] {
        best.2 += 1;
    }
    best
}

/// Changes that are near one another, with the lines around them.
fn groups(edits: &[Edit]) -> Vec<Vec<Edit>> {
    let mut edits = edits.to_vec();
    if let Some(first) = edits.first_mut().filter(|edit| edit.equal) {
        let kept = (first.old.1 - first.old.0).min(CONTEXT);
        (first.old.0, first.new.0) = (first.old.1 - kept, first.new.1 - kept);
    }
    if let Some(last) = edits.last_mut().filter(|edit| edit.equal) {
        let kept = (last.old.1 - last.old.0).min(CONTEXT);
        (last.old.1, last.new.1) = (last.old.0 + kept, last.new.0 + kept);
    }
    let mut found: Vec<Vec<Edit>> = vec![Vec::new()];
    for edit in edits {
        let group = found.last_mut().expect("one group is always open");
        if edit.equal && edit.old.1 - edit.old.0 > 2 * CONTEXT {
            let end =
                Edit { equal: true, old: (edit.old.0, edit.old.0 + CONTEXT), new: (edit.new.0, edit.new.0 + CONTEXT) };
            let begin =
                Edit { equal: true, old: (edit.old.1 - CONTEXT, edit.old.1), new: (edit.new.1 - CONTEXT, edit.new.1) };
            group.push(end);
            found.push(vec![begin]);
        } else {
            group.push(edit);
        }
    }
    found.retain(|group| group.iter().any(|edit| !edit.equal));
    found
}
