//! Types that a schema declares, with what may be in their values: fields, and the sizes that cost estimates need.
//!
//! In: what a schema says (maxLength, maxItems, required, …). Out: a [`DeclType`], for the declaration of a variable
//! and for reading trees by it. Not here: the schema itself.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::escape::{escape, is_reserved};

/// The largest body of a request; what no schema bounds is bounded by it.
pub const REQUEST_BYTES_MAX: i64 = 3 * 1024 * 1024;

/// The name of objects that have none.
pub const UNNAMED: &str = "object";

const DURATION_BYTES_MAX: i64 = 32;
const TIME_BYTES_MAX: i64 = 32;
const DATE_BYTES: i64 = 12;
const DURATION_BYTES_MIN: i64 = 3;
const TIME_BYTES_MIN: i64 = 21;
const STRING_BYTES_MIN: i64 = 2;

/// A declared type. Cheap to share: two variables of one type share one value.
#[derive(Clone, Debug)]
pub struct DeclType {
    pub kind: DeclKind,
    pub nullable: bool,
    /// Of texts, lists and maps; -1 where nothing is known, 0 where it means nothing.
    pub max_elements: i64,
    /// Of the smallest value, in JSON.
    pub min_bytes: i64,
}

#[derive(Clone, Debug)]
pub enum DeclKind {
    Dyn,
    /// A value of a type that is known only while an expression runs.
    Any,
    Quantity,
    Bool,
    Int,
    Double,
    String,
    Bytes,
    Duration,
    Date,
    Timestamp,
    /// A number or a text.
    IntOrString,
    List(Arc<DeclType>, ListKind),
    Map(Arc<DeclType>),
    Object(Object),
}

/// x-kubernetes-list-type
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    Atomic,
    Set,
    Map(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct Object {
    pub name: Cow<'static, str>,
    /// By their names in expressions, which may be escaped.
    pub fields: BTreeMap<String, Field>,
}

#[derive(Clone, Debug)]
pub struct Field {
    /// In JSON.
    pub name: String,
    pub of: Arc<DeclType>,
}

/// One property of an object's schema.
pub struct Property<'a> {
    pub name: &'a str,
    pub of: DeclType,
    pub required: bool,
    pub has_default: bool,
}

/// What a schema of type string says.
#[derive(Default)]
pub struct Text<'a> {
    pub format: &'a str,
    pub max_length: Option<i64>,
    /// The length of the longest value of its enum.
    pub longest_of_enum: Option<i64>,
}

impl DeclType {
    const fn new(kind: DeclKind, min_bytes: i64) -> DeclType {
        DeclType { kind, nullable: false, max_elements: 0, min_bytes }
    }

    const fn sized(kind: DeclKind, min_bytes: i64, max_elements: i64) -> DeclType {
        DeclType { kind, nullable: false, max_elements, min_bytes }
    }

    pub const fn dynamic() -> DeclType {
        DeclType::new(DeclKind::Dyn, 1)
    }

    /// A value of any type; a text is at most so long.
    pub const fn any(max_elements: i64) -> DeclType {
        DeclType::sized(DeclKind::Any, 1, max_elements)
    }

    pub const fn quantity() -> DeclType {
        DeclType::new(DeclKind::Quantity, 8)
    }

    pub const fn boolean() -> DeclType {
        DeclType::new(DeclKind::Bool, 4)
    }

    pub const fn integer() -> DeclType {
        DeclType::new(DeclKind::Int, 1)
    }

    pub const fn number() -> DeclType {
        DeclType::new(DeclKind::Double, 1)
    }

    /// A text of no known length.
    pub const fn text() -> DeclType {
        DeclType::new(DeclKind::String, STRING_BYTES_MIN)
    }

    pub const fn timestamp() -> DeclType {
        DeclType::new(DeclKind::Timestamp, DATE_BYTES)
    }

    pub fn string(text: &Text<'_>) -> DeclType {
        let unbounded = REQUEST_BYTES_MAX - 2;
        match text.format {
            "byte" => {
                let max = text.max_length.map_or(unbounded, |max| max.max(0));
                DeclType::sized(DeclKind::Bytes, STRING_BYTES_MIN, max)
            }
            "duration" => DeclType::sized(DeclKind::Duration, DURATION_BYTES_MIN, DURATION_BYTES_MAX),
            "date" => DeclType::sized(DeclKind::Date, DATE_BYTES, DATE_BYTES),
            "date-time" => DeclType::sized(DeclKind::Timestamp, TIME_BYTES_MIN, TIME_BYTES_MAX),
            _ => {
                let max = text.max_length.map(in_bytes).or(text.longest_of_enum).unwrap_or(unbounded);
                DeclType::sized(DeclKind::String, STRING_BYTES_MIN, max)
            }
        }
    }

    pub fn int_or_string(max_length: Option<i64>) -> DeclType {
        DeclType::sized(DeclKind::IntOrString, 1, max_length.map_or(REQUEST_BYTES_MAX - 2, in_bytes))
    }

    pub fn list(of: DeclType, kind: ListKind, max_items: Option<i64>) -> DeclType {
        let max = max_items.map_or((REQUEST_BYTES_MAX - 2) / (of.min_bytes + 1), |max| max.max(0));
        DeclType::sized(DeclKind::List(Arc::new(of), kind), 2, max)
    }

    pub fn map(of: DeclType, max_properties: Option<i64>) -> DeclType {
        // Beside the value a key, its quotes, a colon and a comma.
        let max = max_properties.map_or((REQUEST_BYTES_MAX - 2) / (of.min_bytes + 6), |max| max.max(0));
        DeclType::sized(DeclKind::Map(Arc::new(of)), 2, max)
    }

    /// Gives names to objects that have none: that of the root, and below it the path from there.
    pub fn named(mut self, name: &str) -> DeclType {
        self.name_objects(name);
        self
    }

    fn name_objects(&mut self, name: &str) {
        // A type that is shared already has its names.
        let below = |of: &mut Arc<DeclType>, step: &str| {
            if let Some(of) = Arc::get_mut(of) {
                of.name_objects(&format!("{name}.{step}"));
            }
        };
        match &mut self.kind {
            DeclKind::List(of, _) => below(of, "@idx"),
            DeclKind::Map(of) => below(of, "@elem"),
            DeclKind::Object(object) if object.name == UNNAMED => {
                object.name = Cow::Owned(name.to_owned());
                object.fields.iter_mut().for_each(|(field, of)| below(&mut of.of, field));
            }
            _ => {}
        }
    }

    /// A list or map of no known size.
    pub fn unbounded(mut self) -> DeclType {
        self.max_elements = -1;
        self
    }

    pub fn nullable(mut self) -> DeclType {
        self.nullable = true;
        self
    }

    /// Properties whose names no escape can express are not seen by expressions.
    pub fn object<'a>(
        name: impl Into<Cow<'static, str>>,
        properties: impl IntoIterator<Item = Property<'a>>,
    ) -> DeclType {
        let mut min_bytes = 2;
        let mut fields = BTreeMap::new();
        for property in properties {
            let Property { name, of, required, has_default } = property;
            if required && !has_default {
                min_bytes += name.len() as i64 + of.min_bytes + 4;
            }
            if let Some(escaped) = escape(name) {
                fields.insert(escaped.into_owned(), Field { name: name.to_owned(), of: Arc::new(of) });
            }
        }
        DeclType::new(DeclKind::Object(Object { name: name.into(), fields }), min_bytes)
    }

    /// An object of fields that are all required, as the variables of admission have them.
    pub fn record<'a>(name: &'static str, fields: impl IntoIterator<Item = (&'a str, DeclType)>) -> DeclType {
        let property = |(name, of)| Property { name, of, required: true, has_default: false };
        DeclType::object(name, fields.into_iter().map(property))
    }

    pub fn type_name(&self) -> &str {
        match &self.kind {
            DeclKind::Object(object) => &object.name,
            _ => UNNAMED,
        }
    }

    /// What is in a list or map.
    pub fn element(&self) -> Option<&Arc<DeclType>> {
        match &self.kind {
            DeclKind::List(of, _) | DeclKind::Map(of) => Some(of),
            _ => None,
        }
    }

    /// The field of a name as expressions write it; reserved words need no escape there.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let DeclKind::Object(object) = &self.kind else { return None };
        let reserved = || is_reserved(name).then(|| object.fields.get(&format!("__{name}__"))).flatten();
        object.fields.get(name).or_else(reserved)
    }

    /// How many of the whole value fit into one request: the bound of nested repetitions.
    pub fn max_cardinality(&self) -> u64 {
        (REQUEST_BYTES_MAX / (self.min_bytes + 1)).unsigned_abs()
    }
}

/// maxLength counts code points, of up to four bytes.
fn in_bytes(code_points: i64) -> i64 {
    code_points.max(0).saturating_mul(4)
}
