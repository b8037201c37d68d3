//! What scenario tests and the load tool share: a throw-away PostgreSQL, processes of ours with their certificates,
//! and the words that say a test could not run here. Nothing here links the two programs: they are run as an operator
//! runs them.

pub mod aggregated;
pub mod bench;
pub mod caller;
pub mod cluster;
pub mod converter;
pub mod differ;
pub mod faults;
pub mod https;
pub mod kubectl;
pub mod kubelet;
pub mod load;
pub mod pki;
pub mod plain;
pub mod pooler;
pub mod postgres;
pub mod process;
pub mod rest;
pub mod stand_in;
pub mod upgrade;

/// Says loudly that a case did not run and why; the test command counts these lines.
pub fn skipped(case: &str, reason: &str) {
    println!("SKIPPED {case}: {reason}");
}

/// The first of `names` that is an executable file, taking `variable` (an absolute path) before PATH.
pub fn find_program(variable: &str, names: &[&str]) -> Option<std::path::PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    names.iter().find_map(|name| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file()))
}
