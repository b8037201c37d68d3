//! Clauses of an `Accept` header, in the order in which the real server tries them.

/// One media range with its parameters.
#[derive(Debug)]
pub(super) struct Clause {
    kind: String,
    subtype: String,
    quality: f64,
    params: Vec<(String, String)>,
}

impl Clause {
    /// Whether `application/<subtype>` is in this range. Letters count as written.
    pub(super) fn matches(&self, subtype: &str) -> bool {
        match (self.kind.as_str(), self.subtype.as_str()) {
            ("*", "*") => true,
            ("application", "*") => true,
            ("application", named) => named == subtype,
            _ => false,
        }
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        // A parameter given twice: the last one wins.
        self.params.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The order of the real server: quality first, then wildcards last. It is no total order, which is why the sort
    /// below is spelled out.
    fn precedes(&self, other: &Clause) -> bool {
        self.quality > other.quality
            || (self.kind != "*" && other.kind == "*")
            || (self.subtype != "*" && other.subtype == "*")
    }
}

/// Parses a header; clauses that are not well formed are dropped.
pub(super) fn parse(header: &str) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = header.split(',').filter_map(clause).collect();
    // An insertion sort, because only it gives the real server's order for an inconsistent comparison.
    for end in 1..clauses.len() {
        let mut at = end;
        while at > 0 && clauses[at].precedes(&clauses[at - 1]) {
            clauses.swap(at, at - 1);
            at -= 1;
        }
    }
    clauses
}

fn clause(part: &str) -> Option<Clause> {
    let mut pieces = part.trim_matches(' ').split(';');
    let range = pieces.next()?;
    let (kind, subtype) = range.split_once('/').unwrap_or((range, ""));
    let kind = kind.trim_matches(' ');
    let subtype = match subtype {
        // A lone star stands for everything.
        "" if kind == "*" => "*",
        "" => return None,
        named => named,
    };
    if subtype.contains('/') {
        return None;
    }
    let mut clause = Clause {
        kind: kind.to_owned(),
        subtype: subtype.trim_matches(' ').to_owned(),
        quality: 1.0,
        params: Vec::new(),
    };
    for piece in pieces {
        let Some((name, value)) = piece.split_once('=') else { continue };
        if value.is_empty() || value.contains('=') {
            continue;
        }
        match name.trim_matches(' ') {
            "q" => clause.quality = value.parse().unwrap_or(0.0),
            name => clause.params.push((name.to_owned(), value.trim_matches(' ').to_owned())),
        }
    }
    Some(clause)
}

/// What the router in front of built-in resources accepts: `*/*` or one of the offered types by its very text.
pub(super) fn route_accepts(header: &str, offered: &[&str]) -> bool {
    if header.is_empty() {
        return true;
    }
    header.split(',').any(|part| {
        let range = part.split(';').next().unwrap_or_default().trim();
        range == "*/*" || offered.contains(&range)
    })
}
