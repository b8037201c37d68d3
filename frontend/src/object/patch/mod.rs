//! The three ways to describe a change: JSON patch, JSON merge patch and strategic merge patch.
//!
//! In: the JSON of an object as it is served, and a patch document. Out: the patched JSON, or a refusal in the words of
//! kube-apiserver. Not here: decoding the patched object, and the retry loop (see `verbs::patch`).

mod json;
mod merge;
mod strategic;
mod strategic_list;

pub use json::{JsonPatch, OPERATIONS_MAX};
pub use merge::merge_patch;
use serde_json::Value;
pub use strategic::strategic_merge;

/// Why a patch does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The document is not of the form that its media type promises.
    #[error("{0}")]
    Malformed(String),
    /// A well-formed patch that does not fit the object.
    #[error("{0}")]
    DoesNotApply(String),
    /// A strategic merge patch that breaks the rules of its directives: the real server has no better answer than 500.
    #[error("{0}")]
    BadDirective(String),
}

/// What strategic merge wants to know about a type. Built-in types know it, custom resources do not.
pub trait MergeInfo: Sized {
    /// The field of that JSON name: how it merges, and the type of its value (of its elements, if it is a list). An
    /// error says that there is none.
    fn field(&self, name: &str) -> Result<FieldMerge<Self>, String>;
    /// What Go calls the kind of the type: "struct", "map".
    fn kind_name(&self) -> &'static str {
        "struct"
    }
}

/// How one field merges.
pub struct FieldMerge<M> {
    /// Lists: merge element by element instead of replacing.
    pub merge: bool,
    /// Structs and lists that are replaced as a whole (`patchStrategy: replace`).
    pub replace: bool,
    /// The field of the elements that identifies them; empty for primitive elements.
    pub merge_key: String,
    /// The type of the struct or of the elements.
    pub inner: M,
}

/// Prints a JSON value as Go's `%v` prints what it decodes to: `map[a:1 b:[x y]]`.
pub fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_print).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let entries: Vec<String> = keys.into_iter().map(|k| format!("{k}:{}", go_print(&map[k]))).collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

#[cfg(test)]
mod tests;
