//! What plugins need of other objects: reading them from the store, and making small values to put into an object.
//!
//! In: a context and a key below the store's prefix. Out: objects as they are stored. Not here: what plugins do with them.

use crate::{
    api::schema::{Object, Value, codec},
    cluster::Cluster,
    request::status::ApiError,
    store::Scope,
};

fn unreadable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::internal("an object that admission depends on could not be read").with_internal(error)
}

/// One object; what the cache has not seen yet is looked up in the store itself.
pub(crate) async fn read(cluster: &Cluster, below_prefix: &str) -> Result<Option<Object>, ApiError> {
    let key = format!("{}/{below_prefix}", cluster.store.prefix());
    let cached = cluster.store.cache().get(&key).ok().flatten().map(|entry| entry.stored());
    let stored = match cached {
        Some(stored) => Some(stored),
        None => cluster.store.get(&key).await.map_err(|error| unreadable(&error))?,
    };
    let decode = |bytes: &[u8]| codec::decode_stored(&cluster.schema(), bytes).map_err(|error| unreadable(&error));
    stored.map(|stored| decode(&stored.value)).transpose()
}

/// All objects of a resource, as the cache has them.
pub(crate) fn list(cluster: &Cluster, below_prefix: &str) -> Result<Vec<Object>, ApiError> {
    let scope = Scope::resource(&format!("{}/{below_prefix}", cluster.store.prefix()));
    let snapshot = cluster.store.cache().snapshot(&scope).map_err(|error| unreadable(&error))?;
    let schema = cluster.schema();
    let decode = |bytes: &[u8]| codec::decode_stored(&schema, bytes).map_err(|error| unreadable(&error));
    snapshot.iter().map(|entry| decode(entry.value())).collect()
}

/// A list as an object of this kind holds it at `path`; `spec` is the object's JSON without kind and version.
pub(crate) fn sample(like: &Object, json: &serde_json::Value, path: &[&str]) -> Result<Vec<Value>, ApiError> {
    let decoded = codec::decode_json_as(like.ty(), json.to_string().as_bytes()).map_err(|error| unreadable(&error))?;
    Ok(decoded.object.get_list(path).unwrap_or_default().to_vec())
}

/// Puts values at the end of a list that may be absent.
pub(crate) fn append(object: &mut Object, path: &[&str], values: Vec<Value>) {
    if values.is_empty() {
        return;
    }
    match object.get_mut(path) {
        Some(Value::List(list)) => list.extend(values),
        _ => drop(object.set(path, Value::List(values))),
    }
}

/// The text of a value's field; empty if absent.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.child(name).and_then(Value::as_str).unwrap_or_default()
}
