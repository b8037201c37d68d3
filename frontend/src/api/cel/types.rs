//! Static types of expressions and their texts. In: declarations. Out: what the checker compares and error texts show.
//! Not here: unification (`unify`), values.

use std::{borrow::Cow, fmt, sync::Arc};

use super::decl::{DeclKind, DeclType};

/// A type as the checker knows it.
#[derive(Clone, Debug)]
pub enum Type {
    Dyn,
    Any,
    /// What an expression with an error has; it fits everything, so that one error is not reported twice.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    /// The type of a type; without a parameter for `type(type(x))`.
    Type(Option<Arc<Type>>),
    List(Arc<Type>),
    Map(Arc<(Type, Type)>),
    /// Without fields: optional_type, net.IP.
    Opaque(Cow<'static, str>, Arc<[Type]>),
    /// Of a library, without fields: kubernetes.URL.
    Object(Cow<'static, str>),
    /// With fields that a declaration gives.
    Declared(Arc<DeclType>),
    /// A parameter of a declared function: T in list(T).
    Param(char),
    /// A type that the checker still looks for.
    Var(usize),
}

pub(super) const OPTIONAL: &str = "optional_type";

impl Type {
    /// The type of the values of a declared type.
    pub fn of(declared: &Arc<DeclType>) -> Type {
        match &declared.kind {
            DeclKind::Dyn | DeclKind::IntOrString => Type::Dyn,
            DeclKind::Any => Type::Any,
            DeclKind::Quantity => Type::Object("kubernetes.Quantity".into()),
            DeclKind::Bool => Type::Bool,
            DeclKind::Int => Type::Int,
            DeclKind::Double => Type::Double,
            DeclKind::String => Type::String,
            DeclKind::Bytes => Type::Bytes,
            DeclKind::Duration => Type::Duration,
            DeclKind::Date | DeclKind::Timestamp => Type::Timestamp,
            DeclKind::List(of, _) => Type::list(Type::of(of)),
            DeclKind::Map(of) => Type::map(Type::String, Type::of(of)),
            DeclKind::Object(_) => Type::Declared(declared.clone()),
        }
    }

    pub fn list(element: Type) -> Type {
        Type::List(Arc::new(element))
    }

    pub fn map(key: Type, value: Type) -> Type {
        Type::Map(Arc::new((key, value)))
    }

    pub fn optional(of: Type) -> Type {
        Type::Opaque(Cow::Borrowed(OPTIONAL), Arc::new([of]))
    }

    pub fn type_of(of: Type) -> Type {
        Type::Type(Some(Arc::new(of)))
    }

    /// The name that values of this type have at run time, without parameters.
    pub fn name(&self) -> Cow<'_, str> {
        let name = match self {
            Type::Dyn => "dyn",
            Type::Any => "google.protobuf.Any",
            Type::Error => "error",
            Type::Null => "null_type",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Duration => "google.protobuf.Duration",
            Type::Timestamp => "google.protobuf.Timestamp",
            Type::Type(_) => "type",
            Type::List(_) => "list",
            Type::Map(_) => "map",
            Type::Opaque(name, _) | Type::Object(name) => name,
            Type::Declared(decl) => decl.type_name(),
            Type::Param(name) => return Cow::Owned(name.to_string()),
            Type::Var(number) => return Cow::Owned(format!("_var{number}")),
        };
        Cow::Borrowed(name)
    }

    pub fn params(&self) -> Vec<&Type> {
        match self {
            Type::Type(Some(of)) | Type::List(of) => vec![of],
            Type::Map(of) => vec![&of.0, &of.1],
            Type::Opaque(_, params) => params.iter().collect(),
            _ => Vec::new(),
        }
    }

    pub fn is_dyn(&self) -> bool {
        matches!(self, Type::Dyn | Type::Any)
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Type::Error)
    }

    /// The type in an optional.
    pub fn in_optional(&self) -> Option<&Type> {
        match self {
            Type::Opaque(name, params) if name == OPTIONAL => params.first(),
            _ => None,
        }
    }

    /// The same kind and name, parameters aside.
    pub fn same_head(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Opaque(a, p), Type::Opaque(b, q)) => a == b && p.len() == q.len(),
            (Type::Object(a), Type::Object(b)) => a == b,
            (Type::Declared(a), Type::Declared(b)) => Arc::ptr_eq(a, b),
            (Type::Param(a), Type::Param(b)) => a == b,
            (Type::Var(a), Type::Var(b)) => a == b,
            (Type::Type(a), Type::Type(b)) => a.is_some() == b.is_some(),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// Exactly the same type, parameters included.
    pub fn is_exactly(&self, other: &Type) -> bool {
        self.same_head(other)
            && self.params().into_iter().zip(other.params()).all(|(ours, theirs)| ours.is_exactly(theirs))
    }

    /// As `is_exactly`, but for the names of type variables.
    pub fn is_equivalent(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Var(_) | Type::Param(_), Type::Var(_) | Type::Param(_)) => true,
            _ => {
                self.same_head(other)
                    && self.params().into_iter().zip(other.params()).all(|(ours, theirs)| ours.is_equivalent(theirs))
            }
        }
    }

    /// As texts of compile errors show it: "timestamp", where `Display` says "google.protobuf.Timestamp".
    pub fn shown(&self) -> Shown<'_> {
        Shown(self)
    }
}

/// As messages about the result of an expression show it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Type::Param(_) | Type::Var(_) = self {
            return write!(f, "<{}>", self.name());
        }
        f.write_str(&self.name())?;
        write_params(f, self.params(), |of, f| write!(f, "{of}"))
    }
}

pub struct Shown<'a>(&'a Type);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Type::Any => f.write_str("any"),
            Type::Duration => f.write_str("duration"),
            Type::Error => f.write_str("!error!"),
            Type::Null => f.write_str("null"),
            Type::Timestamp => f.write_str("timestamp"),
            of => {
                f.write_str(&of.name())?;
                write_params(f, of.params(), |of, f| write!(f, "{}", of.shown()))
            }
        }
    }
}

fn write_params(
    f: &mut fmt::Formatter<'_>,
    params: Vec<&Type>,
    write: impl Fn(&Type, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if params.is_empty() {
        return Ok(());
    }
    f.write_str("(")?;
    for (at, param) in params.into_iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        write(param, f)?;
    }
    f.write_str(")")
}
