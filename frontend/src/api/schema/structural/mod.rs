//! The schema of a custom resource as a tree: what a definition's `openAPIV3Schema` says, read once.
//!
//! In: the schema as the value that a definition holds it as. Out: [`Node`]s, which the engine (fitting, defaulting)
//! and validation walk beside the values. Not here: whether a schema is allowed, and the tables made of it
//! (`api::custom`).

mod read;

use std::sync::{Arc, OnceLock};

pub use self::read::free;
use super::{scalar::pattern::Regex, tables::Merge, value::Value};

/// The type that a schema demands; `None` where it demands none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeType {
    #[default]
    None,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl NodeType {
    pub fn as_str(self) -> &'static str {
        match self {
            NodeType::None => "",
            NodeType::Object => "object",
            NodeType::Array => "array",
            NodeType::String => "string",
            NodeType::Integer => "integer",
            NodeType::Number => "number",
            NodeType::Boolean => "boolean",
        }
    }
}

/// What `additionalProperties` says.
#[derive(Clone, Debug, Default)]
pub enum Additional {
    #[default]
    Unsaid,
    Allowed,
    Forbidden,
    Each(Arc<Node>),
}

/// One rule of `x-kubernetes-validations`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    pub rule: String,
    pub message: String,
    pub message_expression: String,
    /// "FieldValueInvalid" when the definition gives none.
    pub reason: String,
    pub field_path: String,
    pub optional_old_self: Option<bool>,
}

/// A schema and everything below it.
#[derive(Debug, Default)]
pub struct Node {
    pub kind: NodeType,
    pub nullable: bool,
    pub int_or_string: bool,
    pub preserve_unknown: bool,
    pub embedded: bool,
    /// Sorted by name.
    pub properties: Box<[(Box<str>, Arc<Node>)]>,
    pub items: Option<Arc<Node>>,
    pub additional: Additional,
    pub default: Option<Value>,
    pub merge: Merge,
    pub limits: Option<Box<Limits>>,
    pub rules: Box<[Rule]>,
    /// At the root of a schema alone.
    pub published: Option<Box<Published>>,
}

/// What documents say of a kind.
#[derive(Debug)]
pub struct Published {
    /// In JSON.
    pub schema: Box<str>,
    /// Of the schema as it is written there.
    pub hash: Box<str>,
    pub plural: Box<str>,
}

/// What a schema demands of a value beyond its structure.
#[derive(Debug, Default)]
pub struct Limits {
    /// As the definition spells it; one that nobody knows is not checked.
    pub format: Box<str>,
    pub maximum: Option<f64>,
    pub exclusive_maximum: bool,
    pub minimum: Option<f64>,
    pub exclusive_minimum: bool,
    pub max_length: Option<i64>,
    pub min_length: Option<i64>,
    pub pattern: Pattern,
    pub max_items: Option<i64>,
    pub min_items: Option<i64>,
    pub unique_items: bool,
    pub multiple_of: Option<f64>,
    pub enumeration: Box<[Value]>,
    pub max_properties: Option<i64>,
    pub min_properties: Option<i64>,
    pub required: Box<[Box<str>]>,
    pub all_of: Box<[Arc<Node>]>,
    pub any_of: Box<[Arc<Node>]>,
    pub one_of: Box<[Arc<Node>]>,
    pub not: Option<Arc<Node>>,
}

/// A regular expression, compiled when it is first needed: a compiled one is large, and most are never used.
#[derive(Debug, Default)]
pub struct Pattern {
    pub text: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// None for a pattern that does not compile.
    pub fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }
}

impl Node {
    pub fn property(&self, name: &str) -> Option<&Arc<Node>> {
        let at = self.properties.binary_search_by(|(own, _)| (**own).cmp(name)).ok()?;
        Some(&self.properties[at].1)
    }

    /// The schema of a member: of the property of this name, else of any.
    pub fn member(&self, name: &str) -> Option<&Arc<Node>> {
        self.property(name).or(match &self.additional {
            Additional::Each(each) => Some(each),
            _ => None,
        })
    }

    /// A null that has to go, unless there is a default for it.
    pub fn refuses_null(&self) -> bool {
        !self.nullable
    }
}
