//! What webhooks and policies are about: rules over operations and resources, and selectors over labels.
//!
//! In: the rules and selectors of an object of admissionregistration.k8s.io, compiled once. Out: whether a request is
//! matched, and as which of the equal resources of other versions. Not here: conditions in CEL.

use std::sync::Arc;

use super::{Attributes, Operation};
use crate::{
    api::{
        Api,
        registry::Resource,
        schema::{Gvk, MapValue, Object, Value},
    },
    cluster::{Cluster, ResourceName, objects::text},
    object::selector::LabelSelector,
    request::status::{ApiError, GroupResource},
};

const NAMESPACES: ResourceName<'static> = ("", "namespaces");

/// One rule: all of it must hold.
#[derive(Debug, Default)]
pub(super) struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    /// Resource and subresource.
    resources: Vec<(String, String)>,
    scope: String,
    /// Of objects; all if empty. Only policies have them.
    names: Vec<String>,
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    let list = value.child(field).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Rule {
    pub(super) fn of(value: &Value) -> Rule {
        let resources = texts(value, "resources").into_iter().map(|resource| match resource.split_once('/') {
            Some((resource, subresource)) => (resource.to_owned(), subresource.to_owned()),
            None => (resource, String::new()),
        });
        Rule {
            operations: texts(value, "operations"),
            groups: texts(value, "apiGroups"),
            versions: texts(value, "apiVersions"),
            resources: resources.collect(),
            scope: text(value, "scope").to_owned(),
            names: texts(value, "resourceNames"),
        }
    }

    fn matches(&self, attributes: &Attributes<'_>, resource: &Resource) -> bool {
        let listed = |list: &[String], wanted: &str| list.iter().any(|each| each == "*" || each == wanted);
        let is_namespaces = resource.group.is_empty() && resource.plural == "namespaces";
        let clusterwide = is_namespaces || attributes.namespace.is_empty();
        let scope = match self.scope.as_str() {
            "" | "*" => true,
            "Namespaced" => !clusterwide,
            "Cluster" => clusterwide,
            _ => false,
        };
        let covers = |(name, subresource): &(String, String)| {
            (name == "*" || *name == resource.plural) && (subresource == "*" || subresource == attributes.subresource)
        };
        scope
            && (self.names.is_empty() || self.names.iter().any(|name| name == attributes.name))
            && listed(&self.operations, attributes.operation.as_str())
            && listed(&self.groups, &resource.group)
            && listed(&self.versions, &resource.version)
            && self.resources.iter().any(covers)
    }
}

/// As what a request is matched.
#[derive(Clone, Debug)]
pub(super) struct Matched {
    pub(super) resource: Arc<Resource>,
    pub(super) kind: Gvk,
}

/// The first rule's word, in the version of the request, or else in an equal one if these count.
pub(super) fn matched(rules: &[Rule], equivalent: Equivalents, attributes: &Attributes<'_>) -> Option<Matched> {
    if rules.iter().any(|rule| rule.matches(attributes, attributes.resource)) {
        return Some(Matched { resource: Arc::clone(attributes.resource), kind: attributes.kind.clone() });
    }
    if equivalent == Equivalents::Differ {
        return None;
    }
    let others = others_of(attributes.api, attributes.resource);
    let resource = rules.iter().find_map(|rule| others.iter().find(|other| rule.matches(attributes, other)))?;
    let kind = match (attributes.subresource, resource.subresource(attributes.subresource)) {
        ("", _) => {
            Gvk { group: resource.group.clone(), version: resource.version.clone(), kind: resource.kind.clone() }
        }
        (_, Some(own)) => Gvk { group: own.group.clone(), version: own.version.clone(), kind: own.kind.clone() },
        (_, None) => return None,
    };
    Some(Matched { resource: Arc::clone(resource), kind })
}

/// Whether a resource in another version is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Equivalents {
    Match,
    Differ,
}

/// The other resources that are stored as the same.
fn others_of<'a>(api: &'a Api, resource: &Resource) -> Vec<&'a Arc<Resource>> {
    let Some(storage) = &resource.storage else { return Vec::new() };
    let same = |other: &&Arc<Resource>| {
        other.storage.as_ref().is_some_and(|own| own.prefix == storage.prefix)
            && (&other.group, &other.version) != (&resource.group, &resource.version)
    };
    api.registry.iter().filter(same).collect()
}

/// A label selector that was read once; one that cannot be read refuses what it is asked about.
#[derive(Debug)]
pub(super) struct Selector(Result<LabelSelector, String>);

impl Selector {
    pub(super) fn of(value: Option<&Value>) -> Selector {
        let Some(value) = value else { return Selector(Ok(LabelSelector::default())) };
        let labels = value.child("matchLabels").and_then(Value::as_map).into_iter().flat_map(MapValue::iter);
        let mut parts: Vec<String> =
            labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        for expression in value.child("matchExpressions").and_then(Value::as_list).unwrap_or_default() {
            let (key, values) = (text(expression, "key"), texts(expression, "values").join(","));
            parts.push(match text(expression, "operator") {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "Exists" => key.to_owned(),
                "DoesNotExist" => format!("!{key}"),
                other => return Selector(Err(format!("{other:?} is not a valid label selector operator"))),
            });
        }
        Selector(LabelSelector::parse(&parts.join(",")).map_err(|error| error.to_string()))
    }

    fn read(&self) -> Result<&LabelSelector, ApiError> {
        self.0.as_ref().map_err(ApiError::internal)
    }

    /// Whether the labels of the request's namespace, or of the namespace that it is about, are selected.
    pub(super) async fn selects_namespace(
        &self,
        cluster: &Cluster,
        attributes: &Attributes<'_>,
    ) -> Result<bool, ApiError> {
        if attributes.namespace.is_empty() && attributes.resource.plural != "namespaces" {
            return Ok(true);
        }
        let selector = self.read()?;
        if selector.is_empty() {
            return Ok(true);
        }
        let itself = attributes.resource.plural == "namespaces"
            && attributes.subresource.is_empty()
            && matches!(attributes.operation, Operation::Create | Operation::Update);
        if let Some(object) = attributes.object.as_ref().filter(|_| itself) {
            return Ok(selector.matches(|key| object.label(key)));
        }
        let name = attributes.namespace;
        let name = if name.is_empty() { attributes.name } else { name };
        match cluster.informer().find(NAMESPACES, "", name).await? {
            Some(namespace) => Ok(selector.matches(|key| namespace.label(key))),
            None => Err(ApiError::not_found(&GroupResource::new("", "namespaces"), name)),
        }
    }

    /// Whether the labels of the object, as it is or was, are selected.
    pub(super) fn selects_object(&self, object: Option<&Object>, old: Option<&Object>) -> Result<bool, ApiError> {
        let selector = self.read()?;
        // What has no metadata at all, as the options of a connect, is selected by nothing but everything.
        let selects =
            |object: &Object| object.ty().root.field("metadata").is_some() && selector.matches(|key| object.label(key));
        Ok(selector.is_empty() || object.is_some_and(selects) || old.is_some_and(selects))
    }
}
