//! The objects that policies take as parameters.

use std::sync::Arc;

use super::{
    super::matching::Selector,
    compiled::{ParamKind, ParamReference},
};
use crate::{
    api::{Api, schema::Object},
    cluster::{Cluster, Target, known_kind},
};

/// Where parameters are, in the version that a policy wants. None where it takes none.
pub(super) fn source(api: &Arc<Api>, kind: Option<&ParamKind>) -> Result<Option<Target>, String> {
    let Some(of) = kind else { return Ok(None) };
    let (group, version) = of.api_version.split_once('/').unwrap_or(("", &of.api_version));
    let found = api.registry.by_kind(group, version, &of.kind);
    let known = found.and_then(|resource| Some((resource, known_kind(&api.schema, group, version, &of.kind).ok()?)));
    let Some((resource, kind)) = known else {
        let kind = &of.kind;
        return Err(format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind}'"));
    };
    let (api, resource) = (Arc::clone(api), Arc::clone(resource));
    Ok(Some(Target { api, resource, kind, namespace: String::new(), name: String::new(), subresource: None }))
}

/// The parameters of a binding; one that is none where the policy or the binding takes none.
pub(super) async fn collect(
    cluster: &Cluster,
    source: Option<&Target>,
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
    let selector = match (reference.name.as_str(), &reference.selector) {
        ("", None) => return Err("one of name or selector must be provided".to_owned()),
        ("", selector) => selector.as_ref(),
        _ => None,
    };
    let mut found = Vec::new();
    for object in source.known_objects(cluster, namespace, &reference.name).await.map_err(|error| error.message)? {
        let selects = |selector| Selector::selects_object(selector, Some(object.as_ref()), None);
        if selector.map_or(Ok(true), selects).map_err(|error| error.message)? {
            found.push(Some(object));
        }
    }
    if found.is_empty() && reference.denies {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    Ok(found)
}
