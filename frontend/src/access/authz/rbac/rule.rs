//! One rule of a role: what it permits, what it covers of another rule, and how a refusal prints it.

use crate::{
    access::authz::Attributes,
    api::schema::{Object, Value},
    request::status::go_quote,
};

const ALL: &str = "*";

/// A `PolicyRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    pub groups: Vec<String>,
    pub resources: Vec<String>,
    pub urls: Vec<String>,
    pub names: Vec<String>,
    pub verbs: Vec<String>,
}

impl Rule {
    /// Everything that can be asked, as two rules: for resources and for other paths.
    pub fn everything() -> [Rule; 2] {
        let all = || vec![ALL.to_owned()];
        [
            Rule { groups: all(), resources: all(), verbs: all(), ..Rule::default() },
            Rule { urls: all(), verbs: all(), ..Rule::default() },
        ]
    }

    /// The rules of a Role or ClusterRole.
    pub fn of_role(role: &Object) -> Vec<Rule> {
        role.get_list(&["rules"]).unwrap_or_default().iter().map(Rule::read).collect()
    }

    fn read(value: &Value) -> Rule {
        Rule::of(|field| {
            let items = value.child(field).and_then(Value::as_list).unwrap_or_default();
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        })
    }

    /// A rule as JSON has it; what is no list of texts counts as absent.
    pub fn of_json(value: &serde_json::Value) -> Rule {
        Rule::of(|field| {
            let items = value[field].as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(|item| item.as_str()).map(str::to_owned).collect()
        })
    }

    fn of(texts: impl Fn(&str) -> Vec<String>) -> Rule {
        Rule {
            groups: texts("apiGroups"),
            resources: texts("resources"),
            urls: texts("nonResourceURLs"),
            names: texts("resourceNames"),
            verbs: texts("verbs"),
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({"verbs": self.verbs});
        let optional = [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("nonResourceURLs", &self.urls),
            ("resourceNames", &self.names),
        ];
        for (name, texts) in optional.into_iter().filter(|(_, texts)| !texts.is_empty()) {
            json[name] = serde_json::json!(texts);
        }
        json
    }

    /// Whether what is asked is permitted by this rule alone.
    pub fn allows(&self, asked: &Attributes) -> bool {
        if !has_or_all(&self.verbs, &asked.verb) {
            return false;
        }
        if !asked.is_resource {
            return self.urls.iter().any(|url| url == ALL || url_covers(url, &asked.path));
        }
        has_or_all(&self.groups, &asked.group)
            && self.resources.iter().any(|r| resource_matches(r, &asked.resource, &asked.subresource))
            && (self.names.is_empty() || has(&self.names, &asked.name))
    }

    /// The rule as rules of one verb and one target each.
    fn atoms(&self) -> Vec<Rule> {
        let one = |text: &String| vec![text.clone()];
        let mut atoms = Vec::new();
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    let atom =
                        Rule { groups: one(group), resources: one(resource), verbs: one(verb), ..Rule::default() };
                    match self.names.is_empty() {
                        true => atoms.push(atom),
                        false => atoms.extend(self.names.iter().map(|n| Rule { names: one(n), ..atom.clone() })),
                    }
                }
            }
        }
        for url in &self.urls {
            atoms.extend(self.verbs.iter().map(|verb| Rule { urls: one(url), verbs: one(verb), ..Rule::default() }));
        }
        atoms
    }

    /// Whether this rule permits all that an atom does.
    fn covers_atom(&self, atom: &Rule) -> bool {
        let among = |mine: &[String], its: &[String]| has(mine, ALL) || its.iter().all(|text| has(mine, text));
        among(&self.verbs, &atom.verbs)
            && among(&self.groups, &atom.groups)
            && atom.resources.iter().all(|r| covers_resource(&self.resources, r))
            && atom.urls.iter().all(|url| self.urls.iter().any(|mine| url_covers(mine, url)))
            && (self.names.is_empty() || (!atom.names.is_empty() && atom.names.iter().all(|n| has(&self.names, n))))
    }

    /// As refusals print a rule.
    fn compact(&self) -> String {
        let parts = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let shown = parts.iter().filter(|(_, texts)| !texts.is_empty());
        let shown: Vec<String> = shown.map(|(name, texts)| format!("{name}:{}", quoted_list(texts))).collect();
        format!("{{{}}}", shown.join(", "))
    }
}

/// The atoms of `wanted` that no rule of `owned` covers.
pub fn missing(owned: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let atoms = wanted.iter().flat_map(Rule::atoms);
    atoms.filter(|atom| !owned.iter().any(|rule| rule.covers_atom(atom))).collect()
}

/// Atoms printed in order, those that differ by their verb alone as one.
pub(super) fn describe(atoms: &[Rule]) -> Vec<String> {
    let mut compacted: Vec<Rule> = Vec::new();
    for atom in atoms {
        let same = |rule: &&mut Rule| {
            rule.urls.is_empty()
                && atom.urls.is_empty()
                && (&rule.groups, &rule.resources, &rule.names) == (&atom.groups, &atom.resources, &atom.names)
        };
        match compacted.iter_mut().find(same) {
            Some(rule) => rule.verbs.extend(atom.verbs.iter().cloned()),
            None => compacted.push(atom.clone()),
        }
    }
    let mut lines: Vec<String> = compacted.iter().map(Rule::compact).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// A list of texts as Go prints it with %q.
pub(in crate::access) fn quoted_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| go_quote(text).to_string()).collect();
    format!("[{}]", quoted.join(" "))
}

fn has(texts: &[String], text: &str) -> bool {
    texts.iter().any(|t| t == text)
}

fn has_or_all(texts: &[String], text: &str) -> bool {
    texts.iter().any(|t| t == ALL || t == text)
}

/// `*` is everything, `*/scale` a subresource of any resource; `pods/*` is no wildcard.
fn resource_matches(pattern: &str, resource: &str, subresource: &str) -> bool {
    if pattern == ALL {
        return true;
    }
    match pattern.split_once('/') {
        None => subresource.is_empty() && pattern == resource,
        Some((of, part)) => !subresource.is_empty() && part == subresource && (of == ALL || of == resource),
    }
}

fn covers_resource(owned: &[String], resource: &str) -> bool {
    let by_part = |part: &str| owned.iter().any(|mine| mine.strip_prefix("*/") == Some(part));
    has(owned, ALL) || has(owned, resource) || resource.split_once('/').is_some_and(|(_, part)| by_part(part))
}

fn url_covers(pattern: &str, path: &str) -> bool {
    pattern == path || (pattern.ends_with('*') && path.starts_with(pattern.trim_end_matches('*')))
}
