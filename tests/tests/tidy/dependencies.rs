//! The table of dependencies in ARCHITECTURE.md, held against the code.
//!
//! Its last column names in backticks the files or folders that may import a crate; "all" allows every place, and
//! "all but" every place besides those named.

use std::collections::BTreeSet;

use crate::source::Crate;

struct Row {
    names: Vec<String>,
    all: bool,
    places: Vec<String>,
}

pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn parse(text: &str) -> Table {
        let lines = text.lines().skip_while(|line| !line.starts_with("## Dependencies")).skip(1);
        let rows = lines.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
        Table(rows.skip(1).filter_map(row).collect())
    }

    pub(crate) fn faults(&self, own: &Crate) -> Vec<String> {
        let mut found = Vec::new();
        for module in own.modules.values() {
            let place = format!("{}/src/{}", own.name, module.file);
            let used: BTreeSet<&String> = module.mentioned.iter().filter_map(|path| path.first()).collect();
            for name in used.into_iter().filter(|name| own.dependencies.contains(name)) {
                let rows: Vec<&Row> = self.0.iter().filter(|row| row.names.contains(name)).collect();
                if rows.is_empty() {
                    found.push(format!("{place}: `{name}` stands in no row of ARCHITECTURE.md's dependencies"));
                } else if !rows.iter().any(|row| row.allows(&place)) {
                    found.push(format!("{place}: `{name}` may not be imported here, says ARCHITECTURE.md"));
                }
            }
        }
        found
    }
}

impl Row {
    fn allows(&self, place: &str) -> bool {
        self.all != self.places.iter().any(|allowed| place.starts_with(allowed.as_str()))
    }
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [names, _, who] = cells.as_slice() else { return None };
    let words = names.split([',', '(', ')', '/']).map(|name| name.trim().replace('-', "_"));
    let places = who.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some(Row { names: words.filter(|name| !name.is_empty()).collect(), all: who.starts_with("all"), places })
}
