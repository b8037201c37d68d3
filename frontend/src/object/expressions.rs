//! What expressions about admission may speak of.
//!
//! Out: the [`Env`] that an object's rules compile its expressions against, and that admission compiles them against
//! once more to run them. Not here: the values of a request (`admission`).

use std::sync::{Arc, LazyLock};

use crate::api::cel::{
    self, DeclType, Env, Type,
    decl::{ListKind, Property},
};

pub const AUTHORIZER: &str = "authorizer";
pub const NAMESPACE_OBJECT: &str = "namespaceObject";
pub const OBJECT: &str = "object";
pub const OLD_OBJECT: &str = "oldObject";
pub const REQUEST: &str = "request";
pub const REQUEST_RESOURCE: &str = "authorizer.requestResource";

/// The request, as reviews of webhooks have it, without its objects.
pub static REQUEST_TYPE: LazyLock<Arc<DeclType>> = LazyLock::new(|| Arc::new(request()));

/// For conditions under which a webhook is asked.
pub static CONDITIONS: LazyLock<Env> = LazyLock::new(|| {
    Env::new()
        .with(OBJECT, Type::Dyn)
        .with(OLD_OBJECT, Type::Dyn)
        .with(NAMESPACE_OBJECT, Type::Dyn)
        .declare(REQUEST, &REQUEST_TYPE)
        .with(AUTHORIZER, Type::Object("kubernetes.authorization.Authorizer".into()))
        .with(REQUEST_RESOURCE, Type::Object("kubernetes.authorization.ResourceCheck".into()))
});

/// A condition that is ready to run, or what is wrong with it.
pub fn compile_condition(expression: &str, env: &Env) -> Result<cel::Program, String> {
    let compiled = cel::compile(expression, env).map_err(|issues| format!("compilation failed: {issues}"))?;
    if !matches!(compiled.output_type(), Type::Bool | Type::Any) {
        return Err("must evaluate to bool".to_owned());
    }
    compiled.program().map_err(|why| format!("program instantiation failed: {why}"))
}

fn request() -> DeclType {
    let texts = || DeclType::list(DeclType::text(), ListKind::Atomic, None).unbounded();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_told_from_other_expressions() {
        for good in [
            "true",
            "object.data.fail == 'x'",
            "request.userInfo.username != 'a' && request.dryRun",
            "authorizer.group('').resource('pods').check('get').allowed()",
            "authorizer.requestResource.check('get').allowed()",
        ] {
            assert!(compile_condition(good, &CONDITIONS).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("object.a", "must evaluate to bool"),
            ("1", "must evaluate to bool"),
            ("request.nothing == ''", "compilation failed: ERROR: <input>:1:8: undefined field 'nothing'"),
        ] {
            let said = compile_condition(bad, &CONDITIONS).err().unwrap_or_default();
            assert!(said.starts_with(why), "{bad}: {said}");
        }
    }
}
