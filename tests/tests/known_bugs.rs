//! The table of known bugs names tests that exist.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

#[test]
fn the_table_of_known_bugs_names_tests_that_exist() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no parent")?;
    let mut functions = BTreeSet::new();
    for folder in ["kine-shim", "tests"] {
        collect(&root.join(folder), &mut functions)?;
    }
    let table = std::fs::read_to_string(root.join("tests/known-bugs.md"))?;
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| etcd") || line.starts_with("| k")).collect();
    ensure!(rows.len() > 20, "only {} rows", rows.len());
    for row in rows {
        let caught_by = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let named: Vec<&str> = caught_by.split('`').skip(1).step_by(2).collect();
        ensure!(!named.is_empty(), "nothing would catch {row}");
        for test in named {
            ensure!(functions.contains(test), "there is no test {test}: {row}");
        }
    }
    Ok(())
}

/// Every function's name below a folder.
fn collect(folder: &Path, functions: &mut BTreeSet<String>) -> Result<()> {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path)?;
                let names = text.lines().filter_map(|line| line.split_once("fn ")?.1.split(['(', '<']).next());
                functions.extend(names.map(str::to_owned));
            }
        }
    }
    Ok(())
}
