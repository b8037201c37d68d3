//! What other servers put into the document of version 2.
//!
//! In: a server's whole document. Out: the part of it that is about the server's own version, and the document of all
//! with that part in it. Definitions of one name that say different things stand side by side, the later one renamed.
//! Not here: asking for the documents (the wiring), and version 3, whose documents stay the other server's.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::api::registry::hash_of;

const PREFIX: &str = "#/definitions/";
const KINDS: &str = "x-kubernetes-group-version-kind";

/// The part of another server's document that is about its own version.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignV2 {
    hash: String,
    paths: Map<String, Value>,
    definitions: Map<String, Value>,
}

impl ForeignV2 {
    /// The paths below a root such as "/apis/wild.example/v1", and the definitions that they need. None where there
    /// are no such paths.
    pub fn cut(document: &Value, root: &str) -> Option<ForeignV2> {
        let below = format!("{root}/");
        let all = document["paths"].as_object()?;
        let paths: Map<String, Value> = all
            .iter()
            .filter(|(path, _)| path.starts_with(&below))
            .map(|(path, item)| (path.clone(), item.clone()))
            .collect();
        let known = document["definitions"].as_object().cloned().unwrap_or_default();
        let definitions = needed(paths.values(), &known);
        let hash = hash_of(format!("{paths:?}{definitions:?}").as_bytes());
        (!paths.is_empty()).then_some(ForeignV2 { hash, paths, definitions })
    }
}

/// The definitions that paths refer to, directly or not.
fn needed<'p>(paths: impl Iterator<Item = &'p Value>, known: &Map<String, Value>) -> Map<String, Value> {
    let (mut definitions, mut wanted) = (Map::new(), Vec::new());
    paths.for_each(|item| references(item, &mut wanted));
    while let Some(name) = wanted.pop() {
        if !definitions.contains_key(&name)
            && let Some(definition) = known.get(&name)
        {
            references(definition, &mut wanted);
            definitions.insert(name, definition.clone());
        }
    }
    definitions
}

/// The names of all definitions that a value refers to.
fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(PREFIX));
            into.extend(name.map(str::to_owned));
            fields.values().for_each(|field| references(field, into));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}

/// The hash of a document with the parts of others in it.
pub(super) fn hash(own: &str, others: &[Arc<ForeignV2>]) -> String {
    match others {
        [] => own.to_owned(),
        others => hash_of(others.iter().fold(own.to_owned(), |all, other| all + &other.hash).as_bytes()),
    }
}

/// The document with the parts of others in it. Paths that are there already stay as they are.
pub(super) fn merged(mut document: Value, others: &[Arc<ForeignV2>]) -> Value {
    for other in others {
        let is_new = |path: &String| document["paths"].get(path).is_none();
        let paths: Map<String, Value> = other
            .paths
            .iter()
            .filter(|(path, _)| is_new(path))
            .map(|(path, item)| (path.clone(), item.clone()))
            .collect();
        let more = needed(paths.values(), &other.definitions);
        let Some(definitions) = document["definitions"].as_object_mut() else { continue };
        let names = new_names(definitions, &more);
        let renamed = |mut value: Value| {
            rename(&mut value, &names);
            value
        };
        for (name, definition) in more {
            let name = names.get(&name).cloned().unwrap_or(name);
            match definitions.get_mut(&name) {
                Some(there) => add_kinds(there, &definition),
                None => drop(definitions.insert(name, renamed(definition))),
            }
        }
        if let Some(all) = document["paths"].as_object_mut() {
            all.extend(paths.into_iter().map(|(path, item)| (path, renamed(item))));
        }
    }
    document
}

/// For each definition that says something else than the one of its name: a name that is free, or is that of one that
/// says the same.
fn new_names(there: &Map<String, Value>, more: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (name, definition) in more {
        if there.get(name).is_none_or(|other| says_the_same(other, definition)) {
            continue;
        }
        let fits = |new: &String| match there.get(new) {
            Some(other) => says_the_same(other, definition),
            None => !more.contains_key(new),
        };
        names.extend((2..).map(|number| format!("{name}_v{number}")).find(fits).map(|new| (name.clone(), new)));
    }
    names
}

/// But for the kinds that they are of.
fn says_the_same(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else { return one == other };
    let counted = |of: &Map<String, Value>| of.len() - usize::from(of.contains_key(KINDS));
    counted(one) == counted(other) && one.iter().all(|(name, value)| name == KINDS || other.get(name) == Some(value))
}

fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && let Some(new) = reference.strip_prefix(PREFIX).and_then(|name| names.get(name))
            {
                *reference = format!("{PREFIX}{new}");
            }
            fields.values_mut().for_each(|field| rename(field, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

/// A definition that several servers share is of the kinds of all, in their order.
fn add_kinds(there: &mut Value, definition: &Value) {
    let Some(more) = definition[KINDS].as_array() else { return };
    let mut kinds = there[KINDS].as_array().cloned().unwrap_or_default();
    let before = kinds.len();
    kinds.extend(more.iter().filter(|kind| !kinds.contains(kind)).cloned().collect::<Vec<_>>());
    if kinds.len() > before && there.is_object() {
        let text = |kind: &Value, field: &str| kind[field].as_str().unwrap_or_default().to_owned();
        kinds.sort_by_key(|kind| format!("{}/{}.{}", text(kind, "group"), text(kind, "version"), text(kind, "kind")));
        there[KINDS] = kinds.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn theirs() -> Value {
        json!({
            "paths": {
                "/apis/": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/Groups"}}}}},
                "/apis/wild.example/v1/beasts": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/Beast"}}}}},
            },
            "definitions": {
                "Groups": {"type": "object"},
                "Beast": {"properties": {"metadata": {"$ref": "#/definitions/Meta"}, "options": {"$ref": "#/definitions/Options"}}},
                "Meta": {"type": "object", "properties": {"theirs": {"type": "string"}}},
                "Options": {"type": "object", KINDS: [{"group": "wild.example", "version": "v1", "kind": "Options"}]},
            },
        })
    }

    #[test]
    fn of_another_document_its_own_paths_and_what_they_need_are_taken() {
        let cut = ForeignV2::cut(&theirs(), "/apis/wild.example/v1").unwrap();
        assert_eq!(cut.paths.keys().collect::<Vec<_>>(), ["/apis/wild.example/v1/beasts"]);
        assert_eq!(cut.definitions.len(), 3);
        assert!(ForeignV2::cut(&theirs(), "/apis/wild.example/v2").is_none());
        for garbage in [json!(null), json!([]), json!({"paths": 1}), json!({"paths": {"/apis/wild.example/v1/x": 5}})] {
            let cut = ForeignV2::cut(&garbage, "/apis/wild.example/v1");
            assert!(cut.is_none_or(|cut| cut.definitions.is_empty()), "{garbage}");
        }
    }

    #[test]
    fn definitions_that_differ_are_renamed_and_equal_ones_are_shared() {
        let cut = Arc::new(ForeignV2::cut(&theirs(), "/apis/wild.example/v1").unwrap());
        let own = json!({"paths": {"/api/": {}}, "definitions": {
            "Meta": {"type": "object"},
            "Options": {"type": "object", KINDS: [{"group": "", "version": "v1", "kind": "Options"}]},
        }});
        let whole = merged(own, &[Arc::clone(&cut), cut]);
        let definitions = whole["definitions"].as_object().unwrap();
        let mut names: Vec<&String> = definitions.keys().collect();
        names.sort();
        assert_eq!(names, ["Beast", "Meta", "Meta_v2", "Options"]);
        assert_eq!(definitions["Beast"]["properties"]["metadata"]["$ref"], "#/definitions/Meta_v2");
        assert_eq!(definitions["Options"][KINDS].as_array().unwrap().len(), 2);
        assert_eq!(whole["paths"].as_object().unwrap().len(), 2);
    }
}
