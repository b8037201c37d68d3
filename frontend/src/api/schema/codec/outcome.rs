//! What comes of decoding: an object and what strict decoding would refuse, or why the bytes are none.

use crate::{
    api::schema::{object::Object, tables::Gvk},
    request::status::go_quote,
};

/// What was read, and what strict field validation would refuse.
#[derive(Debug)]
pub struct Decoded {
    pub object: Object,
    /// In the order in which kube-apiserver names them.
    pub warnings: Vec<StrictError>,
}

/// A field that was ignored. Prints as kube-apiserver's strict errors: `unknown field "spec.x"`,
/// `duplicate field "spec.y"`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrictError {
    #[error("unknown field {}", go_quote(.0))]
    UnknownField(String),
    #[error("duplicate field {}", go_quote(.0))]
    DuplicateField(String),
    /// Keys that came twice in maps of a YAML text, a line each.
    #[error("yaml: unmarshal errors:\n  {}", .0.join("\n  "))]
    RepeatedKeys(Vec<String>),
}

impl StrictError {
    /// The texts of the warnings that this is where it refuses nothing.
    pub fn warnings(&self) -> Vec<String> {
        match self {
            StrictError::RepeatedKeys(lines) => lines.clone(),
            other => vec![other.to_string()],
        }
    }
}

/// Why bytes are not an object. The texts are kube-apiserver's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No JSON: found before the kind is known.
    #[error("couldn't get version/kind; json parse error: {0}")]
    Syntax(String),
    /// No YAML, no protobuf, or nothing that could be read as an object.
    #[error("{0}")]
    Malformed(String),
    /// A value of the wrong type in an object of this kind.
    #[error("{message}")]
    Invalid { gvk: Gvk, message: String },
    #[error(
        "no kind \"{}\" is registered for version \"{}\" in scheme \"pkg/runtime/scheme.go:111\"",
        .0.kind, .0.api_version()
    )]
    UnknownKind(Gvk),
    #[error("Object 'Kind' is missing in '{0}'")]
    MissingKind(String),
    #[error("Object 'apiVersion' is missing in '{0}'")]
    MissingVersion(String),
}

impl DecodeError {
    pub(super) fn of_kind(self, gvk: &Gvk) -> DecodeError {
        match self {
            DecodeError::Malformed(message) => DecodeError::Invalid { gvk: gvk.clone(), message },
            other => other,
        }
    }

    /// The message of the 400 that kube-apiserver answers where it expected `kind`.
    pub fn refusal(&self, kind: &str, body: &[u8]) -> String {
        let gvk = match self {
            DecodeError::Invalid { gvk, .. } | DecodeError::UnknownKind(gvk) => gvk,
            _ => {
                let summary = summary(body);
                return format!("the object provided is unrecognized (must be of type {kind}): {self} ({summary})");
            }
        };
        format!("{} in version {:?} cannot be handled as a {kind}: {self}", gvk.kind, gvk.version)
    }
}

/// The beginning of a body, as text when it may be JSON.
fn summary(body: &[u8]) -> String {
    const LENGTH_MAX: usize = 30;
    let head = &body[..body.len().min(LENGTH_MAX)];
    let shown = match body.first() {
        None => return "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(head).into_owned(),
        Some(_) => head.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > LENGTH_MAX { shown + " ..." } else { shown }
}

/// The strict errors as kube-apiserver joins them: `strict decoding error: unknown field "spec.x", ...`.
pub fn strict_message(warnings: &[StrictError]) -> String {
    let texts: Vec<String> = warnings.iter().map(StrictError::to_string).collect();
    format!("strict decoding error: {}", texts.join(", "))
}

/// What the bytes say, completed by what the request expects.
pub(super) fn effective_gvk(
    api_version: &str,
    kind: &str,
    default: Option<&Gvk>,
    bytes: &[u8],
) -> Result<Gvk, DecodeError> {
    let Some((group, version)) = Gvk::split_api_version(api_version) else {
        return Err(DecodeError::Malformed(format!("unexpected GroupVersion string: {api_version}")));
    };
    let mut gvk = Gvk::new(group, version, kind);
    if let Some(default) = default {
        if kind.is_empty() {
            gvk.kind = default.kind.clone();
        }
        if version.is_empty() && (group.is_empty() || group == default.group) {
            gvk.group = default.group.clone();
            gvk.version = default.version.clone();
        }
    }
    let text = || String::from_utf8_lossy(bytes).into_owned();
    match (gvk.kind.is_empty(), gvk.version.is_empty()) {
        (true, _) => Err(DecodeError::MissingKind(text())),
        (_, true) => Err(DecodeError::MissingVersion(text())),
        _ => Ok(gvk),
    }
}
