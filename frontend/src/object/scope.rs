//! The expressions of policies and of webhooks' conditions: what they may speak of, what they must come to, and the
//! words for those that do not.
//!
//! In: an expression. Out: a program, or what is wrong with it. Not here: the values of variables (admission).

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use crate::api::cel::{
    self, DeclType, Env, Program, Type,
    decl::{ListKind, Property},
};

/// The most that one evaluation of all expressions of a policy may cost, and that of its conditions.
pub const BUDGET: u64 = 10_000_000;
pub const CONDITIONS_BUDGET: u64 = 2_500_000;

fn texts() -> DeclType {
    DeclType::list(DeclType::text(), ListKind::Atomic, None).unbounded()
}

static NAMESPACE: LazyLock<Arc<DeclType>> = LazyLock::new(|| {
    let text = DeclType::text;
    let pairs = || DeclType::map(DeclType::text(), None).unbounded();
    let condition = [
        ("status", text()),
        ("type", text()),
        ("lastTransitionTime", DeclType::timestamp()),
        ("message", text()),
        ("reason", text()),
    ];
    let condition = DeclType::record("kubernetes.NamespaceCondition", condition);
    let conditions = DeclType::list(condition, ListKind::Atomic, None).unbounded();
    let metadata = [
        ("name", text()),
        ("generateName", text()),
        ("namespace", text()),
        ("labels", pairs()),
        ("annotations", pairs()),
        ("UID", text()),
        ("creationTimestamp", DeclType::timestamp()),
        ("deletionGracePeriodSeconds", DeclType::integer()),
        ("deletionTimestamp", DeclType::timestamp()),
        ("generation", DeclType::integer()),
        ("resourceVersion", text()),
        ("finalizers", texts()),
    ];
    let fields = [
        ("metadata", DeclType::record("kubernetes.NamespaceMetadata", metadata)),
        ("spec", DeclType::record("kubernetes.NamespaceSpec", [("finalizers", texts())])),
        ("status", DeclType::record("kubernetes.NamespaceStatus", [("conditions", conditions), ("phase", text())])),
    ];
    Arc::new(DeclType::record("kubernetes.Namespace", fields))
});

/// The request, as reviews of webhooks have it, without its objects.
pub static REQUEST_TYPE: LazyLock<Arc<DeclType>> = LazyLock::new(|| Arc::new(request()));

fn request() -> DeclType {
    let kind = || record("kubernetes.GroupVersionKind", ["group", "version", "kind"]);
    let resource = || record("kubernetes.GroupVersionResource", ["group", "version", "resource"]);
    let user = DeclType::object(
        "kubernetes.UserInfo",
        [
            optional("username", DeclType::text()),
            optional("uid", DeclType::text()),
            optional("groups", texts()),
            optional("extra", DeclType::map(texts(), None).unbounded()),
        ],
    );
    DeclType::object(
        "kubernetes.AdmissionRequest",
        [
            required("kind", kind()),
            required("resource", resource()),
            optional("subResource", DeclType::text()),
            required("requestKind", kind()),
            required("requestResource", resource()),
            optional("requestSubResource", DeclType::text()),
            required("name", DeclType::text()),
            optional("namespace", DeclType::text()),
            required("operation", DeclType::text()),
            required("userInfo", user),
            optional("dryRun", DeclType::boolean()),
            optional("options", DeclType::dynamic()),
        ],
    )
}

fn record<const N: usize>(name: &'static str, fields: [&'static str; N]) -> DeclType {
    DeclType::record(name, fields.map(|field| (field, DeclType::text())))
}

fn required(name: &str, of: DeclType) -> Property<'_> {
    Property { name, of, required: true, has_default: false }
}

fn optional(name: &str, of: DeclType) -> Property<'_> {
    Property { name, of, required: false, has_default: false }
}

/// What an expression must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Truth,
    Text,
    TextOrNull,
    Anything,
}

impl Wanted {
    fn fits(self, found: &Type) -> bool {
        match self {
            Wanted::Truth => matches!(found, Type::Bool),
            Wanted::Text => matches!(found, Type::String),
            Wanted::TextOrNull => matches!(found, Type::String | Type::Null),
            Wanted::Anything => true,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Wanted::Truth => "bool",
            Wanted::Text => "string",
            Wanted::TextOrNull => "one of [string null_type]",
            Wanted::Anything => "any",
        }
    }
}

/// Why an expression is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The expression is wrong.
    Invalid(String),
    /// Its types are right, and yet it cannot run.
    Internal(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Fault::Invalid(why) | Fault::Internal(why)) = self;
        f.write_str(why)
    }
}

/// The variables that the expressions of one policy or webhook know.
#[derive(Clone, Debug)]
pub struct Scope {
    params: bool,
    authorizer: bool,
    /// Variables of the policy's own, as far as they are compiled.
    own: Option<Vec<(String, DeclType)>>,
}

impl Scope {
    pub fn new(params: bool) -> Scope {
        Scope { params, authorizer: true, own: None }
    }

    /// A policy with variables of its own.
    pub fn composed(params: bool) -> Scope {
        Scope { own: Some(Vec::new()), ..Scope::new(params) }
    }

    /// The same for expressions that may not ask the authorizer.
    pub fn without_authorizer(&self) -> Scope {
        Scope { authorizer: false, ..self.clone() }
    }

    fn env(&self) -> Env {
        let mut env = Env::new()
            .with("object", Type::Dyn)
            .with("oldObject", Type::Dyn)
            .declare("namespaceObject", &NAMESPACE)
            .declare("request", &REQUEST_TYPE);
        if self.params {
            env = env.with("params", Type::Dyn);
        }
        if self.authorizer {
            let check = |name: &'static str| Type::Object(name.into());
            env = env
                .with("authorizer", check("kubernetes.authorization.Authorizer"))
                .with("authorizer.requestResource", check("kubernetes.authorization.ResourceCheck"));
        }
        if let Some(own) = &self.own {
            let fields = own.iter().map(|(name, of)| (name.as_str(), of.clone()));
            env = env.declare_lazy("variables", &Arc::new(DeclType::record("kubernetes.variables", fields)));
        }
        env
    }

    pub fn compile(&self, expression: &str, wanted: Wanted) -> Result<Program, Fault> {
        self.compile_typed(expression, wanted).map(|(program, _)| program)
    }

    /// Compiles a variable of the policy's own; those after it may speak of it, though it may be wrong.
    pub fn add(&mut self, name: &str, expression: &str) -> Result<Program, Fault> {
        let compiled = self.compile_typed(expression, Wanted::Anything);
        let of = match &compiled {
            Ok((_, of)) => declared(of),
            Err(_) => DeclType::dynamic(),
        };
        self.own.get_or_insert_default().push((name.to_owned(), of));
        compiled.map(|(program, _)| program)
    }

    fn compile_typed(&self, expression: &str, wanted: Wanted) -> Result<(Program, Type), Fault> {
        let compiled = cel::compile(expression, &self.env())
            .map_err(|issues| Fault::Invalid(format!("compilation failed: {issues}")))?;
        let found = compiled.output_type().clone();
        if !wanted.fits(&found) {
            return Err(Fault::Invalid(format!("must evaluate to {} but got {found}", wanted.words())));
        }
        let program =
            compiled.program().map_err(|why| Fault::Internal(format!("program instantiation failed: {why}")))?;
        Ok((program, found))
    }
}

/// What others know of a variable with this type.
fn declared(of: &Type) -> DeclType {
    match of {
        Type::Bool => DeclType::boolean(),
        Type::Double => DeclType::number(),
        Type::Int => DeclType::integer(),
        Type::String => DeclType::text(),
        Type::Timestamp => DeclType::timestamp(),
        Type::List(of) => DeclType::list(declared(of), ListKind::Atomic, None).unbounded(),
        Type::Map(of) if matches!(of.0, Type::String) => DeclType::map(declared(&of.1), None).unbounded(),
        _ => DeclType::dynamic(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(scope: &Scope, expression: &str, wanted: Wanted) -> String {
        scope.compile(expression, wanted).err().map(|fault| fault.to_string()).unwrap_or_default()
    }

    #[test]
    fn expressions_must_come_to_what_is_wanted() {
        let scope = Scope::new(false);
        assert_eq!(fault(&scope, "object.a == 1", Wanted::Truth), "");
        assert_eq!(fault(&scope, "1", Wanted::Truth), "must evaluate to bool but got int");
        assert_eq!(fault(&scope, "[1]", Wanted::Text), "must evaluate to string but got list(int)");
        let why = "must evaluate to one of [string null_type] but got bool";
        assert_eq!(fault(&scope, "true", Wanted::TextOrNull), why);
        assert_eq!(fault(&scope, "null", Wanted::TextOrNull), "");
        let why = "compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params.a\n | ^";
        assert_eq!(fault(&scope, "params.a", Wanted::Anything), why);
        assert_eq!(fault(&Scope::new(true), "params.a == 1", Wanted::Truth), "");
        let asks = "authorizer.requestResource.check('get').allowed()";
        assert_eq!(fault(&scope, asks, Wanted::Truth), "");
        assert!(fault(&scope.without_authorizer(), asks, Wanted::Truth).starts_with("compilation failed"));
        let known = "namespaceObject.metadata.labels['a'] == request.userInfo.groups[0]";
        assert_eq!(fault(&scope, known, Wanted::Truth), "");
        assert!(
            fault(&scope, "namespaceObject.metadata.managedFields == []", Wanted::Truth).contains("undefined field")
        );
    }

    #[test]
    fn variables_know_those_before_them() {
        let mut scope = Scope::composed(false);
        assert!(scope.add("count", "object.spec.replicas + 1").is_ok());
        assert!(scope.add("wrong", "1 + 'a'").is_err());
        assert!(scope.add("text", "'a'").is_ok());
        assert_eq!(fault(&scope, "variables.count > 1 && variables.wrong", Wanted::Truth), "");
        assert_eq!(fault(&scope, "variables.text", Wanted::Truth), "must evaluate to bool but got string");
        assert!(fault(&scope, "variables.later", Wanted::Anything).contains("undefined field 'later'"));
    }
}
