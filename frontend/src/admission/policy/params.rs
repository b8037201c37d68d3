//! The objects that policies take as parameters.

use std::sync::Arc;

use super::{
    super::matching::Selector,
    compiled::{ParamKind, ParamReference},
};
use crate::{
    api::{
        Api,
        registry::Resource,
        schema::{Object, Type, convert},
    },
    cluster::{Cluster, known_kind},
};

/// Where parameters of a kind are.
pub(super) struct Source {
    resource: Arc<Resource>,
    kind: Type,
}

pub(super) fn source(api: &Api, kind: Option<&ParamKind>) -> Result<Option<Source>, String> {
    let Some(of) = kind else { return Ok(None) };
    let (group, version) = of.api_version.split_once('/').unwrap_or(("", &of.api_version));
    let found = api.registry.by_kind(group, version, &of.kind);
    let known = found.and_then(|resource| Some((resource, known_kind(&api.schema, group, version, &of.kind).ok()?)));
    let Some((resource, kind)) = known else {
        let kind = &of.kind;
        return Err(format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind}'"));
    };
    Ok(Some(Source { resource: Arc::clone(resource), kind }))
}

/// The parameters of a binding; one that is none where the policy or the binding takes none.
pub(super) fn collect(
    cluster: &Cluster,
    source: Option<&Source>,
    reference: Option<&ParamReference>,
    namespace: &str,
) -> Result<Vec<Option<Arc<Object>>>, String> {
    let (Some(source), Some(reference)) = (source, reference) else { return Ok(vec![None]) };
    let namespace = match (source.resource.namespaced, reference.namespace.as_str()) {
        (true, "") if namespace.is_empty() => {
            let why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
            return Err(why.to_owned());
        }
        (true, "") => namespace,
        (true, own) => own,
        (false, "") => "",
        (false, _) => {
            return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned());
        }
    };
    let of = (&*source.resource.group, &*source.resource.plural);
    let informer = cluster.informer();
    let found = match (reference.name.as_str(), &reference.selector) {
        ("", None) => return Err("one of name or selector must be provided".to_owned()),
        ("", Some(selector)) => {
            let selects = |object: &Arc<Object>| Selector::selects_object(selector, Some(object.as_ref()), None);
            let mut found = Vec::new();
            for object in informer.list(of, namespace).map_err(|error| error.message)? {
                if selects(&object).map_err(|error| error.message)? {
                    found.push(object);
                }
            }
            found
        }
        (name, _) => informer.get(of, namespace, name).map_err(|error| error.message)?.into_iter().collect(),
    };
    if found.is_empty() && reference.denies {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    let in_version = |object: Arc<Object>| match object.ty() == &source.kind {
        true => object,
        false => Arc::new(convert(&object, &source.kind)),
    };
    Ok(found.into_iter().map(in_version).map(Some).collect())
}
