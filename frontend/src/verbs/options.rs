//! The options of a write, read from the query: dryRun, fieldManager, fieldValidation, force.

use http::HeaderMap;

use crate::{
    api::schema::{Object, Schema},
    object::validation,
    request::{
        info::Query,
        status::{ApiError, FieldError},
    },
};

/// What to do with fields that no schema knows and with repeated ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Options of create, update and patch.
#[derive(Clone, Debug)]
pub(super) struct WriteOptions {
    pub(super) dry_run: bool,
    pub(super) field_validation: FieldValidation,
    /// Who writes: as it calls itself, or else by its User-Agent.
    pub(super) field_manager: String,
    /// An apply takes what others own.
    pub(super) force: bool,
    /// What the query says of both, word by word.
    given_manager: String,
    given_validation: String,
}

/// Which options object refusals name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptionsKind {
    Create,
    Update,
    Patch { apply: bool },
}

impl OptionsKind {
    fn name(self) -> &'static str {
        match self {
            OptionsKind::Create => "CreateOptions",
            OptionsKind::Update => "UpdateOptions",
            OptionsKind::Patch { .. } => "PatchOptions",
        }
    }
}

const META_GROUP: &str = "meta.k8s.io";

impl WriteOptions {
    pub(super) fn parse(query: &Query, headers: &HeaderMap, kind: OptionsKind) -> Result<WriteOptions, ApiError> {
        let mut errors = Vec::new();
        let manager = query.get("fieldManager").unwrap_or_default();
        if let OptionsKind::Patch { apply } = kind {
            if apply && manager.is_empty() {
                errors.push(FieldError::required("fieldManager", "is required for apply patch"));
            }
            if !apply && query.get("force").is_some() {
                errors.push(FieldError::forbidden("force", "may not be specified for non-apply patch"));
            }
        }
        errors.extend(validation::field_manager(manager, "fieldManager"));
        let dry_run = dry_run(query.all("dryRun"), &mut errors);
        let validation = query.get("fieldValidation").unwrap_or_default();
        let field_validation = match validation {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                errors.push(FieldError::not_supported("fieldValidation", other, &["", "Ignore", "Strict", "Warn"]));
                FieldValidation::Warn
            }
        };
        if errors.is_empty() {
            let field_manager = match manager {
                "" => {
                    let agent = headers.get(http::header::USER_AGENT);
                    name_of_agent(agent.map_or(&[], |agent| agent.as_bytes()))
                }
                name => name.to_owned(),
            };
            let force = query.get("force").is_some_and(is_true);
            let (given_manager, given_validation) = (manager.to_owned(), validation.to_owned());
            return Ok(WriteOptions {
                dry_run,
                field_validation,
                field_manager,
                force,
                given_manager,
                given_validation,
            });
        }
        Err(ApiError::invalid(META_GROUP, kind.name(), "", errors))
    }

    /// As an options object of this kind, which admission shows.
    pub(super) fn to_object(&self, schema: &Schema, kind: &str) -> Option<Object> {
        let mut object = Object::new(&schema.kind(META_GROUP, "v1", kind)?);
        if self.dry_run {
            object.set(&["dryRun"], vec!["All".into()]);
        }
        for (field, given) in [("fieldManager", &self.given_manager), ("fieldValidation", &self.given_validation)] {
            if !given.is_empty() {
                object.set(&[field], given.as_str());
            }
        }
        Some(object)
    }
}

/// How a query says yes: anything that does not say no.
fn is_true(text: &str) -> bool {
    !matches!(text.to_lowercase().as_str(), "0" | "false")
}

/// Only `All` is a dry run; anything else is refused by name.
pub(super) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut Vec<FieldError>) -> bool {
    let values: Vec<&str> = values.collect();
    if values.iter().any(|v| *v != "All") {
        let printed = serde_json::to_string(&values).unwrap_or_default();
        errors.push(FieldError {
            kind: crate::request::status::FieldErrorKind::NotSupported,
            field: "dryRun".to_owned(),
            bad_value: Some(printed),
            detail: "supported values: \"All\"".to_owned(),
        });
    }
    !values.is_empty()
}

/// The name of a client that gives none: what its User-Agent has in front of the first slash, as far as it can be
/// printed.
fn name_of_agent(user_agent: &[u8]) -> String {
    const LENGTH_MAX: usize = 128;
    let text = String::from_utf8_lossy(user_agent);
    let mut name = String::new();
    for c in text.split('/').next().unwrap_or_default().chars().filter(|c| crate::request::status::is_printable(*c)) {
        if name.len() + c.len_utf8() > LENGTH_MAX {
            break;
        }
        name.push(c);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_named_by_its_first_word() {
        let long = "x".repeat(200);
        for (agent, name) in [
            ("kubectl/v1.35.4 (linux/amd64) kubernetes/abc", "kubectl"),
            ("a b\tc", "a bc"),
            ("", ""),
            ("/x", ""),
            (long.as_str(), &"x".repeat(128)),
        ] {
            assert_eq!(name_of_agent(agent.as_bytes()), name, "{agent}");
        }
    }
}
