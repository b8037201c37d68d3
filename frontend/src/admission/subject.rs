//! What expressions and webhooks are told of a request: the object as it is and was, in the version that was matched,
//! and the request itself as a value.

use super::{Attributes, matching::Matched};
use crate::{
    api::{
        registry::Resource,
        schema::{Gvk, MapValue, Object, Value},
    },
    cluster::Cluster,
    request::{User, status::ApiError},
};

/// The object as it is and was, in the version that was matched.
pub(super) struct Versions {
    pub(super) object: Option<Object>,
    pub(super) old: Option<Object>,
}

impl Versions {
    pub(super) async fn of(
        cluster: &Cluster,
        attributes: &Attributes<'_>,
        matched: &Matched,
    ) -> Result<Versions, ApiError> {
        let object = attributes.in_version(cluster, attributes.object.as_deref(), &matched.kind).await?;
        let old = attributes.in_version(cluster, attributes.old, &matched.kind).await?;
        Ok(Versions { object, old })
    }
}

/// The request as expressions see it.
pub(super) fn request(attributes: &Attributes<'_>, matched: &Matched) -> Value {
    let kind = |gvk: &Gvk| {
        record(&[("group", gvk.group.as_ref()), ("version", gvk.version.as_ref()), ("kind", gvk.kind.as_ref())])
    };
    let resource = |of: &Resource| {
        record(&[("group", of.group.as_ref()), ("version", of.version.as_ref()), ("resource", of.plural.as_ref())])
    };
    let mut fields = vec![
        ("kind", kind(&matched.kind)),
        ("resource", resource(&matched.resource)),
        ("requestKind", kind(&attributes.kind)),
        ("requestResource", resource(attributes.resource)),
        ("operation", Value::from(attributes.operation.as_str())),
        ("userInfo", user(attributes.user)),
        ("dryRun", Value::from(attributes.dry_run)),
    ];
    let texts = [
        ("subResource", attributes.subresource),
        ("requestSubResource", attributes.subresource),
        ("name", attributes.name),
        ("namespace", attributes.namespace),
    ];
    fields.extend(texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, text.into())));
    if let Some(options) = attributes.options {
        fields.push(("options", options.root().clone().into()));
    }
    map(fields)
}

fn user(user: &User) -> Value {
    let mut fields = vec![("username", Value::from(user.name.as_str()))];
    let list = |texts: &[String]| Value::from(texts.iter().map(|text| text.as_str().into()).collect::<Vec<Value>>());
    if !user.uid.is_empty() {
        fields.push(("uid", user.uid.as_str().into()));
    }
    if !user.groups.is_empty() {
        fields.push(("groups", list(&user.groups)));
    }
    if !user.extra.is_empty() {
        fields.push(("extra", map(user.extra.iter().map(|(key, values)| (key.as_str(), list(values))).collect())));
    }
    map(fields)
}

fn record(fields: &[(&str, &str)]) -> Value {
    map(fields.iter().map(|(name, value)| (*name, Value::from(*value))).collect())
}

fn map(fields: Vec<(&str, Value)>) -> Value {
    MapValue::from_entries(fields.into_iter().map(|(name, value)| (name.into(), value)).collect()).into()
}
