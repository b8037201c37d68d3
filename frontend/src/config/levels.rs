//! Which lines of the log are shown, by the levels that operators of Kubernetes know.
//!
//! In: `-v` and `--vmodule`. Out: for the module and severity of a line, whether it is shown. 3 shows a line for each
//! request, 4 what was decided on the way, 6 everything.

use tracing::Level;

/// From this level on each request leaves a line.
const REQUESTS: u8 = 3;
/// Modules of others that would say too much before the last level.
const NOISY: [&str; 5] = ["h2", "hyper", "rustls", "tower", "tonic"];

/// The levels of a server.
pub struct Levels {
    all: u8,
    modules: Vec<(String, u8)>,
}

impl Levels {
    pub fn new(all: u8, modules: &[(String, u8)]) -> Levels {
        Levels { all, modules: modules.to_vec() }
    }

    pub fn shows(&self, target: &str, severity: &Level) -> bool {
        let name = target.rsplit("::").next().unwrap_or(target);
        let single = self.modules.iter().find(|(pattern, _)| matches(pattern, name));
        let level = single.map_or(self.all, |(_, level)| *level);
        let first = target.split("::").next().unwrap_or(target);
        let shown = match level {
            0..=2 => Level::INFO,
            3 if target == "http" => Level::DEBUG,
            3 => Level::INFO,
            4..=5 if NOISY.iter().any(|noisy| first.starts_with(noisy)) => Level::INFO,
            4..=5 => Level::DEBUG,
            _ => Level::TRACE,
        };
        *severity <= if target == "http" && level < REQUESTS { Level::INFO } else { shown }
    }
}

/// `*` stands for any letters, `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => name.is_empty(),
        Some('*') => {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(letters.as_str(), &name[at..]))
        }
        Some(wanted) => {
            let mut rest = name.chars();
            rest.next()
                .is_some_and(|found| (wanted == '?' || wanted == found) && matches(letters.as_str(), rest.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_show_what_operators_expect() {
        let levels = |all, modules: &[(&str, u8)]| {
            Levels::new(all, &modules.iter().map(|(p, l)| ((*p).to_owned(), *l)).collect::<Vec<_>>())
        };
        for (levels, target, severity, shown) in [
            (levels(0, &[]), "frontend::wiring", Level::INFO, true),
            (levels(0, &[]), "http", Level::DEBUG, false),
            (levels(3, &[]), "http", Level::DEBUG, true),
            (levels(3, &[]), "frontend::wiring", Level::DEBUG, false),
            (levels(4, &[]), "frontend::wiring", Level::DEBUG, true),
            (levels(4, &[]), "h2::proto", Level::DEBUG, false),
            (levels(6, &[]), "h2::proto", Level::TRACE, true),
            (levels(0, &[("rb*", 4)]), "frontend::access::authz::rbac", Level::DEBUG, true),
            (levels(0, &[("rb*", 4)]), "frontend::access::authz::node", Level::DEBUG, false),
            (levels(4, &[("n?de", 0)]), "frontend::access::authz::node", Level::DEBUG, false),
        ] {
            assert_eq!(levels.shows(target, &severity), shown, "{target} {severity}");
        }
    }
}
