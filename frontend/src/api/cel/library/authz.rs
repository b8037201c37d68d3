//! Checks put to the authorizer of a request: `authorizer.group('').resource('pods').check('list').allowed()`.

use super::{
    super::{
        authorizer::{Authz, Check, Decision, Step},
        value::{Evaluated, Str, Val, fail, no_such_overload},
    },
    row::{Row, row},
};
use crate::api::schema::scalar::names;

pub(super) const ROWS: &[Row] = &[
    row(
        "authorizer_path",
        "kubernetes.authorization.Authorizer::path(string) kubernetes.authorization.PathCheck",
        path,
    ),
    row(
        "authorizer_group",
        "kubernetes.authorization.Authorizer::group(string) kubernetes.authorization.GroupCheck",
        |args| extend(args, Step::Authorizer, Step::Group, |check| &mut check.group),
    ),
    row(
        "authorizer_serviceaccount",
        "kubernetes.authorization.Authorizer::serviceAccount(string, string) kubernetes.authorization.Authorizer",
        service_account,
    ),
    row(
        "groupcheck_resource",
        "kubernetes.authorization.GroupCheck::resource(string) kubernetes.authorization.ResourceCheck",
        resource,
    ),
    row(
        "resourcecheck_subresource",
        "kubernetes.authorization.ResourceCheck::subresource(string) kubernetes.authorization.ResourceCheck",
        |args| extend(args, Step::Resource, Step::Resource, |check| &mut check.subresource),
    ),
    row(
        "resourcecheck_namespace",
        "kubernetes.authorization.ResourceCheck::namespace(string) kubernetes.authorization.ResourceCheck",
        |args| extend(args, Step::Resource, Step::Resource, |check| &mut check.namespace),
    ),
    row(
        "resourcecheck_name",
        "kubernetes.authorization.ResourceCheck::name(string) kubernetes.authorization.ResourceCheck",
        |args| extend(args, Step::Resource, Step::Resource, |check| &mut check.name),
    ),
    row(
        "authorizer_fieldselector",
        "kubernetes.authorization.ResourceCheck::fieldSelector(string) kubernetes.authorization.ResourceCheck",
        |args| extend(args, Step::Resource, Step::Resource, |check| &mut check.field_selector),
    ),
    row(
        "authorizer_labelselector",
        "kubernetes.authorization.ResourceCheck::labelSelector(string) kubernetes.authorization.ResourceCheck",
        |args| extend(args, Step::Resource, Step::Resource, |check| &mut check.label_selector),
    ),
    row(
        "pathcheck_check",
        "kubernetes.authorization.PathCheck::check(string) kubernetes.authorization.Decision",
        check,
    ),
    row(
        "resourcecheck_check",
        "kubernetes.authorization.ResourceCheck::check(string) kubernetes.authorization.Decision",
        check,
    ),
    row("decision_errored", "kubernetes.authorization.Decision::errored() bool", |args| {
        decided(args, |decision| Val::Bool(decision.error.is_some()))
    }),
    row("decision_error", "kubernetes.authorization.Decision::error() string", |args| {
        decided(args, |decision| Val::from(decision.error.clone().unwrap_or_default()))
    }),
    row("decision_allowed", "kubernetes.authorization.Decision::allowed() bool", |args| {
        decided(args, |decision| Val::Bool(decision.allowed))
    }),
    row("decision_reason", "kubernetes.authorization.Decision::reason() string", |args| {
        decided(args, |decision| Val::from(decision.reason.clone()))
    }),
];

/// The same check with one more thing said.
fn with<'a>(authz: &Authz<'a>, step: Step, say: impl FnOnce(&mut Check)) -> Evaluated<'a> {
    let mut next = Authz { step, ..authz.clone() };
    say(&mut next.check);
    Ok(Val::Authz(next.into()))
}

fn parts<'v, 'a>(args: &'v [Val<'a>], step: Step) -> Option<(&'v Authz<'a>, &'v Str<'a>)> {
    match args {
        [Val::Authz(authz), Val::Str(text)] if authz.step == step => Some((authz, text)),
        _ => None,
    }
}

fn extend<'a>(args: &[Val<'a>], from: Step, to: Step, field: fn(&mut Check) -> &mut String) -> Evaluated<'a> {
    let Some((authz, text)) = parts(args, from) else { return no_such_overload() };
    with(authz, to, |check| *field(check) = text.to_string())
}

fn path<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let Some((authz, path)) = parts(args, Step::Authorizer) else { return no_such_overload() };
    if path.trim().is_empty() {
        return fail("path must not be empty");
    }
    with(authz, Step::Path, |check| check.path = Some(path.to_string()))
}

fn resource<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let Some((authz, resource)) = parts(args, Step::Group) else { return no_such_overload() };
    if resource.trim().is_empty() {
        return fail("resource must not be empty");
    }
    with(authz, Step::Resource, |check| check.resource = resource.to_string())
}

fn service_account<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Authz(authz), Val::Str(namespace), Val::Str(name)] = args else { return no_such_overload() };
    if !names::dns_1123_subdomain(name).is_empty() {
        return fail("Invalid service account name");
    }
    if !names::dns_1123_label(namespace).is_empty() {
        return fail("Invalid service account namespace");
    }
    let account = (namespace.to_string(), name.to_string());
    with(authz, Step::Authorizer, |check| check.service_account = Some(account))
}

fn check<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Authz(authz), Val::Str(verb)] if matches!(authz.step, Step::Path | Step::Resource) => {
            let check = Check { verb: verb.to_string(), ..authz.check.clone() };
            Ok(Val::Decision(authz.of.authorize(&check).into()))
        }
        _ => no_such_overload(),
    }
}

fn decided<'a>(args: &[Val<'a>], about: fn(&Decision) -> Val<'a>) -> Evaluated<'a> {
    match args {
        [Val::Decision(decision)] => Ok(about(decision)),
        _ => no_such_overload(),
    }
}
