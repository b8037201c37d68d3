//! ARCHITECTURE.md held against the tree: the files and folders that it names are there, and its ways through the code
//! name each file once.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Where a path begins that is not written from the root.
const FOLDERS: [&str; 7] = [
    "",
    "kine-shim/src",
    "frontend/src",
    "frontend/src/api",
    "frontend/src/object",
    "frontend/src/verbs",
    "frontend/src/admission",
];

/// `is_there` says whether a path from the root is a file or folder.
pub(crate) fn faults(text: &str, is_there: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut traced = BTreeSet::new();
    let (mut in_ways, mut way) = (false, "");
    for line in text.lines().take_while(|line| !line.starts_with("## Invariants")) {
        if line.starts_with("## ") {
            in_ways = line.starts_with("## Four ways");
        }
        if in_ways && line.starts_with("**") {
            way = line;
        }
        let mut beside: Option<PathBuf> = None;
        for name in names(line) {
            let beginnings = beside.iter().map(PathBuf::as_path).chain(FOLDERS.map(Path::new));
            // A way through the shim begins in the shim's folder, and so for the frontend.
            let own = FOLDERS.iter().filter(|folder| way.contains(&format!("`{folder}`"))).map(Path::new);
            let place = own.chain(beginnings).map(|folder| folder.join(name)).find(|path| is_there(path));
            let Some(place) = place else {
                found.push(format!("ARCHITECTURE.md: `{name}` is not there: name the file that does this now"));
                continue;
            };
            if in_ways && line.starts_with(|letter: char| letter.is_ascii_digit()) && !traced.insert(place.clone()) {
                found.push(format!("ARCHITECTURE.md: `{name}` stands in two ways: leave the second to the first"));
            }
            beside = Some(if name.ends_with(".rs") {
                place.parent().map(Path::to_owned).unwrap_or_default()
            } else {
                place
            });
        }
    }
    found
}

/// What stands in backticks and is a file of code, or a folder.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let is_path = |name: &&str| {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
        name.chars().all(fits) && (name.ends_with(".rs") || name.contains('/'))
    };
    line.split('`').skip(1).step_by(2).filter(is_path)
}
