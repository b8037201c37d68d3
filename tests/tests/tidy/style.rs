//! One style of modules, imports and widths.

use std::collections::BTreeMap;

use crate::source::{Crate, Module};

/// As in rustfmt.toml, which wraps code and leaves comments alone.
const WIDTH_MAX: usize = 120;

pub(crate) fn faults(own: &Crate) -> Vec<String> {
    let mut found = Vec::new();
    for (path, module) in &own.modules {
        let file = format!("{}/src/{}", own.name, module.file);
        let is_folder = module.file.ends_with("/mod.rs") || path.is_empty();
        let has_files = module.children.iter().any(|child| {
            let child_path = [path.as_slice(), std::slice::from_ref(child)].concat();
            own.modules.contains_key(&child_path)
        });
        if has_files && !is_folder {
            let folder = module.file.trim_end_matches(".rs");
            found.push(format!("{file}: a module with files of its own stands in {folder}/mod.rs"));
        }
        if !module.text.starts_with("//!") {
            found.push(format!("{file}: says nothing of itself: begin with //! and what comes in, what goes out"));
        }
        found.extend(repeated_imports(module).map(|name| {
            format!("{file}: `{name}` is imported twice: one `use {name}::{{...}}` with everything in it")
        }));
        found.extend(wide_lines(module).map(|line| format!("{file}:{line}: wider than {WIDTH_MAX}: wrap the comment")));
    }
    found
}

/// Crates (or `crate`, `super`) that more than one private `use` of a file begins with.
fn repeated_imports(module: &Module) -> impl Iterator<Item = &str> {
    let mut counts = BTreeMap::new();
    for import in &module.imports {
        *counts.entry(import.as_str()).or_insert(0) += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name)
}

/// Lines that are too wide and no text: literals stay on one line, so that they can be searched for.
fn wide_lines(module: &Module) -> impl Iterator<Item = usize> {
    let wide = |line: &str| line.chars().count() > WIDTH_MAX && line.trim_start().starts_with("//");
    module.text.lines().enumerate().filter(move |(_, line)| wide(line)).map(|(at, _)| at + 1)
}
