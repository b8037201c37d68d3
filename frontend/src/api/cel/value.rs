//! Values while an expression runs. Trees of objects are looked at by reference; only what is computed is owned.
//!
//! Not here: how a tree is read (`tree`), what operators do (`library`).

use std::{borrow::Cow, fmt, net::IpAddr, ops::Deref, sync::Arc};

use super::{
    authorizer::{Authz, Decision},
    decl::ListKind,
    escape::unescape,
    opaque::{named_format::NamedFormat, quantity::Quantity, semver::Semver, url::Url},
    timestamp::Timestamp,
    tree::Tree,
};

/// Any value. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Str<'a>),
    Bytes(Arc<[u8]>),
    /// In nanoseconds.
    Duration(i64),
    Timestamp(Timestamp),
    Type(Str<'a>),
    List(List<'a>),
    Map(Map<'a>),
    Optional(Option<Arc<Val<'a>>>),
    Url(Arc<Url>),
    Quantity(Arc<Quantity>),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    Semver(Arc<Semver>),
    Format(&'static NamedFormat),
    Authz(Arc<Authz<'a>>),
    Decision(Arc<Decision>),
}

/// Why an evaluation has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// An error in the expression's own terms; `||`, `&&` and macros may absorb it.
    Failed(Cow<'static, str>),
    /// The limit of costs was reached.
    CostLimit,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::Failed(message) => f.write_str(message),
            EvalError::CostLimit => f.write_str("operation cancelled: actual cost limit exceeded"),
        }
    }
}

impl std::error::Error for EvalError {}

pub type Evaluated<'a> = Result<Val<'a>, EvalError>;

pub(super) fn fail<T>(message: impl Into<Cow<'static, str>>) -> Result<T, EvalError> {
    Err(EvalError::Failed(message.into()))
}

pub(super) fn no_such_overload<T>() -> Result<T, EvalError> {
    fail("no such overload")
}

/// A text, borrowed where it stands in a tree or in the program.
#[derive(Clone)]
pub enum Str<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl Deref for Str<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Str::Borrowed(text) => text,
            Str::Shared(text) => text,
        }
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl PartialEq for Str<'_> {
    fn eq(&self, other: &Str<'_>) -> bool {
        **self == **other
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Str<'a> {
        Str::Borrowed(text)
    }
}

impl From<String> for Str<'_> {
    fn from(text: String) -> Self {
        Str::Shared(text.into())
    }
}

#[derive(Clone, Debug)]
pub enum List<'a> {
    Owned(Arc<Vec<Val<'a>>>),
    /// Computed from a set or a list of keyed items, which it stays.
    Merged(Arc<Vec<Val<'a>>>, &'a ListKind),
    Tree(Tree<'a>),
}

impl<'a> List<'a> {
    pub fn len(&self) -> usize {
        match self {
            List::Owned(items) | List::Merged(items, _) => items.len(),
            List::Tree(tree) => tree.items().len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// None beyond the end.
    pub fn get(&self, at: usize) -> Option<Evaluated<'a>> {
        match self {
            List::Owned(items) | List::Merged(items, _) => items.get(at).cloned().map(Ok),
            List::Tree(tree) => tree.item(at),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Evaluated<'a>> + use<'a, '_> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    pub(super) fn to_vec(&self) -> Result<Vec<Val<'a>>, EvalError> {
        match self {
            List::Owned(items) | List::Merged(items, _) => Ok(items.to_vec()),
            List::Tree(_) => self.iter().collect(),
        }
    }

    pub(super) fn kind(&self) -> &'a ListKind {
        match self {
            List::Owned(_) => &ListKind::Atomic,
            List::Merged(_, kind) => kind,
            List::Tree(tree) => tree.list_kind(),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Map<'a> {
    Owned(Arc<Entries<'a>>),
    Tree(Tree<'a>),
}

/// A computed map, in the order in which its keys came.
#[derive(Clone, Debug, Default)]
pub struct Entries<'a> {
    entries: Vec<(Val<'a>, Val<'a>)>,
    index: std::collections::HashMap<Key, usize>,
    names: Names,
}

/// How expressions write the keys of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    #[default]
    AsTheyAre,
    /// `a__dash__b` finds `a-b`, as the fields of a declared type are found.
    Escaped,
}

/// What keys of maps are compared by; a whole number is one key, whatever its type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Null,
    Bool(bool),
    Number(i128),
    /// By its bits.
    Double(u64),
    Str(Box<str>),
    Bytes(Box<[u8]>),
    Duration(i64),
    Timestamp(i64, u32),
}

impl Key {
    pub(super) fn of(val: &Val<'_>) -> Option<Key> {
        Some(match val {
            Val::Null => Key::Null,
            Val::Bool(truth) => Key::Bool(*truth),
            Val::Int(number) => Key::Number(i128::from(*number)),
            Val::Uint(number) => Key::Number(i128::from(*number)),
            Val::Double(number) if number.fract() == 0.0 && number.abs() < 1e19 => Key::Number(*number as i128),
            Val::Double(number) => Key::Double(number.to_bits()),
            Val::Str(text) => Key::Str((**text).into()),
            Val::Bytes(bytes) => Key::Bytes((**bytes).into()),
            Val::Duration(nanos) => Key::Duration(*nanos),
            Val::Timestamp(at) => Key::Timestamp(at.seconds, at.nanos),
            _ => return None,
        })
    }
}

impl<'a> Entries<'a> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn named(names: Names) -> Entries<'a> {
        Entries { names, ..Entries::default() }
    }

    pub(super) fn get(&self, key: &Val<'_>) -> Option<&Val<'a>> {
        let written = match (self.names, key) {
            (Names::Escaped, Val::Str(name)) => unescape(name).map(|name| Key::Str(name.into_owned().into())),
            _ => None,
        };
        let at = *self.index.get(&written.or_else(|| Key::of(key))?)?;
        Some(&self.entries[at].1)
    }

    /// The last of equal keys stays.
    pub(super) fn set(&mut self, key: Val<'a>, value: Val<'a>) -> Result<(), EvalError> {
        let Some(index) = Key::of(&key) else { return fail("unsupported key type") };
        match self.index.get(&index) {
            Some(at) => self.entries[*at] = (key, value),
            None => {
                self.index.insert(index, self.entries.len());
                self.entries.push((key, value));
            }
        }
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Val<'a>, Val<'a>)> {
        self.entries.iter()
    }
}

impl<'a> Map<'a> {
    pub fn len(&self) -> usize {
        match self {
            Map::Owned(entries) => entries.len(),
            Map::Tree(tree) => tree.field_count(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// None where there is no such key; an error where the key cannot be one.
    pub fn find(&self, key: &Val<'_>) -> Option<Evaluated<'a>> {
        match self {
            Map::Owned(entries) => entries.get(key).cloned().map(Ok),
            Map::Tree(tree) => match key {
                Val::Str(name) => tree.field(name),
                _ if tree.is_declared() => Some(no_such_overload()),
                _ => None,
            },
        }
    }

    pub fn keys(&self) -> Vec<Val<'a>> {
        match self {
            Map::Owned(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            Map::Tree(tree) => tree.field_names().into_iter().map(Val::from).collect(),
        }
    }

    pub(super) fn entries(&self) -> Result<Vec<(Val<'a>, Val<'a>)>, EvalError> {
        match self {
            Map::Owned(entries) => Ok(entries.iter().cloned().collect()),
            // A name without a value is a null that the schema takes for absent.
            _ => self.keys().into_iter().filter_map(|key| Some(self.find(&key)?.map(|value| (key, value)))).collect(),
        }
    }
}

impl From<String> for Val<'_> {
    fn from(text: String) -> Self {
        Val::Str(text.into())
    }
}

impl<'a> From<Cow<'a, str>> for Val<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Val::from(text),
            Cow::Owned(text) => Val::from(text),
        }
    }
}

impl<'a> From<&'a str> for Val<'a> {
    fn from(text: &'a str) -> Self {
        Val::Str(text.into())
    }
}

impl<'a> From<Vec<Val<'a>>> for Val<'a> {
    fn from(items: Vec<Val<'a>>) -> Self {
        Val::List(List::Owned(Arc::new(items)))
    }
}

impl<'a> Val<'a> {
    pub fn some(value: Val<'a>) -> Val<'a> {
        Val::Optional(Some(Arc::new(value)))
    }

    pub fn none() -> Val<'a> {
        Val::Optional(None)
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Val::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Val::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The name of its type at run time.
    pub fn type_name(&self) -> &'static str {
        match self {
            Val::Null => "null_type",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Uint(_) => "uint",
            Val::Double(_) => "double",
            Val::Str(_) => "string",
            Val::Bytes(_) => "bytes",
            Val::Duration(_) => "google.protobuf.Duration",
            Val::Timestamp(_) => "google.protobuf.Timestamp",
            Val::Type(_) => "type",
            Val::List(_) => "list",
            Val::Map(_) => "map",
            Val::Optional(_) => "optional_type",
            Val::Url(_) => "kubernetes.URL",
            Val::Quantity(_) => "kubernetes.Quantity",
            Val::Ip(_) => "net.IP",
            Val::Cidr(..) => "net.CIDR",
            Val::Semver(_) => "kubernetes.Semver",
            Val::Format(_) => "kubernetes.NamedFormat",
            Val::Authz(authz) => authz.type_name(),
            Val::Decision(_) => "kubernetes.authorization.Decision",
        }
    }

    /// What size() says; None for what has none.
    pub(super) fn size(&self) -> Option<usize> {
        Some(match self {
            Val::Str(text) => text.chars().count(),
            Val::Bytes(bytes) => bytes.len(),
            Val::List(list) => list.len(),
            Val::Map(map) => map.len(),
            Val::Ip(IpAddr::V4(_)) => 4,
            Val::Ip(IpAddr::V6(_)) => 16,
            Val::Cidr(_, bits) => usize::from(bits.div_ceil(8)),
            _ => return None,
        })
    }

    /// As error texts show it, which is Go's `%v`.
    pub fn shown(&self) -> String {
        match self {
            Val::Null => "NULL_VALUE".to_owned(),
            Val::Bool(truth) => truth.to_string(),
            Val::Int(number) => number.to_string(),
            Val::Uint(number) => number.to_string(),
            Val::Double(number) => super::gofmt::general(*number),
            Val::Str(text) => text.to_string(),
            Val::Bytes(bytes) => {
                let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
                format!("[{}]", numbers.join(" "))
            }
            Val::Duration(nanos) => crate::api::schema::scalar::duration::format(*nanos),
            Val::Timestamp(at) => super::gofmt::time(*at),
            Val::Type(name) => name.to_string(),
            Val::List(list) => {
                let items: Vec<String> =
                    list.iter().map(|item| item.map_or_else(|error| error.to_string(), |item| item.shown())).collect();
                format!("[{}]", items.join(", "))
            }
            Val::Map(map) => {
                let entries = map.entries().unwrap_or_default();
                let shown: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{}: {}", key.shown(), value.shown())).collect();
                format!("{{{}}}", shown.join(", "))
            }
            Val::Optional(None) => "optional.none()".to_owned(),
            Val::Optional(Some(inner)) => format!("optional({})", inner.shown()),
            Val::Url(url) => url.text().to_owned(),
            Val::Quantity(quantity) => quantity.canonical(),
            Val::Ip(address) => address.to_string(),
            Val::Cidr(address, bits) => format!("{address}/{bits}"),
            Val::Semver(version) => version.to_string(),
            Val::Format(format) => format.name.to_owned(),
            Val::Authz(_) | Val::Decision(_) => self.type_name().to_owned(),
        }
    }

    /// Nothing in it, in the sense of optional.ofNonZeroValue.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Val::Null => true,
            Val::Bool(truth) => !truth,
            Val::Int(number) => *number == 0,
            Val::Uint(number) => *number == 0,
            Val::Double(number) => *number == 0.0,
            Val::Str(text) => text.is_empty(),
            Val::Bytes(bytes) => bytes.is_empty(),
            Val::Duration(nanos) => *nanos == 0,
            Val::Timestamp(at) => at.instant() == (Timestamp::MIN, 0),
            Val::List(List::Owned(items)) => items.is_empty(),
            Val::List(List::Merged(..)) => false,
            // Trees of declared types do not know whether they are empty, in the original.
            Val::List(List::Tree(tree)) => !tree.is_declared() && tree.items().is_empty(),
            Val::Map(Map::Tree(tree)) => !tree.is_declared() && tree.field_count() == 0,
            Val::Map(map) => map.is_empty(),
            _ => false,
        }
    }
}
