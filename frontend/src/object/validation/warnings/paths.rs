//! Files of one volume that come to lie upon one another.

use super::{
    super::field_path::FieldPath,
    said::{Said, each, inside},
};
use crate::{
    api::schema::{Struct, Value},
    request::status::go_quote,
};

/// A file's path, and where its content comes from where a volume has several sources.
struct File {
    path: String,
    source: String,
}

impl File {
    fn shown(&self, path: &str) -> String {
        match self.source.as_str() {
            "" => go_quote(path),
            source => format!("{} ({source})", go_quote(path)),
        }
    }
}

/// Sources of files, the field that names each, and how each is called.
const SOURCES: [(&str, &str, &str); 3] =
    [("configMap", "name", "ConfigMap"), ("secret", "secretName", "Secret"), ("downwardAPI", "", "DownwardAPI")];

pub(super) fn overlapping(volume: &FieldPath<'_, '_>, said: &mut Said) {
    let name = go_quote(volume.text("name"));
    for (field, named, kind) in SOURCES {
        let Some(source) = volume.child(field).filter(|source| source.get("items").is_some()) else { continue };
        let called = called(kind, source, named);
        for overlap in overlaps(items(source, "")) {
            said.say(format!("volume {name} ({called}): overlapping paths: {overlap}"));
        }
    }
    inside(volume, &["projected"], &mut |projected| {
        let mut files = Vec::new();
        each(projected, "sources", &mut |source| {
            if source.fields.iter().next().is_none() {
                said.say(format!("volume {name} (Projected) has no sources provided"));
            }
            files.extend(projected_files(source));
        });
        for overlap in overlaps(files) {
            said.say(format!("volume {name} (Projected): overlapping paths: {overlap}"));
        }
    });
}

fn called(kind: &str, source: &Struct, named: &str) -> String {
    match named {
        "" => kind.to_owned(),
        field => format!("{kind} {}", go_quote(source.get(field).and_then(Value::as_str).unwrap_or_default())),
    }
}

fn items(source: &Struct, called: &str) -> Vec<File> {
    let items = source.get("items").and_then(Value::as_list).unwrap_or_default();
    let paths = items.iter().map(|item| item.child("path").and_then(Value::as_str).unwrap_or_default());
    paths.map(|path| File { path: path.to_owned(), source: called.to_owned() }).collect()
}

/// The files of one source of a projected volume; only the first kind of source that is given counts.
fn projected_files(source: &FieldPath<'_, '_>) -> Vec<File> {
    for (field, _, kind) in SOURCES {
        if let Some(of) = source.child(field).filter(|of| of.get("items").is_some()) {
            return items(of, &called(kind, of, if kind == "DownwardAPI" { "" } else { "name" }));
        }
    }
    match source.child("serviceAccountToken") {
        Some(token) => {
            let path = token.get("path").and_then(Value::as_str).unwrap_or_default();
            vec![File { path: path.to_owned(), source: "ServiceAccountToken".to_owned() }]
        }
        None => Vec::new(),
    }
}

fn overlaps(files: Vec<File>) -> Vec<String> {
    let mut found = Vec::new();
    let paths: Vec<&str> = files.iter().map(|file| file.path.trim_end_matches('/')).collect();
    let is_below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    for (at, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        for (before, other) in paths[..at].iter().enumerate().filter(|(_, other)| !other.is_empty()) {
            if path == other || is_below(path, other) || is_below(other, path) {
                found.push(format!("{} with {}", files[at].shown(path), files[before].shown(other)));
            }
        }
    }
    found
}
