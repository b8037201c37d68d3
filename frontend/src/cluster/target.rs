//! What a request is about: the row of its resource, the kinds it is served and stored as, and the key of the object.

use std::sync::Arc;

use crate::{
    api::{
        Api,
        custom::Definition,
        registry::{Resource, Storage, Subresource, Verb as RowVerb},
        schema::{DecodeError, Object, Schema, Type, apply_defaults, codec, convert},
    },
    cluster::Cluster,
    request::{
        info::{RequestInfo, Verb},
        status::{ApiError, GroupResource},
    },
    store::{Entry, Stored, cache::ViewId},
};

/// The target of one request, resolved against one snapshot of resources and types.
#[derive(Clone)]
pub struct Target {
    pub api: Arc<Api>,
    pub resource: Arc<Resource>,
    /// The kind that the resource has in the version of the request.
    pub kind: Type,
    /// Empty for cluster-scoped resources and over all namespaces.
    pub namespace: String,
    pub name: String,
    pub subresource: Option<Subresource>,
}

impl Target {
    /// Finds the row, or refuses as the real server's router does.
    pub fn resolve(cluster: &Cluster, info: &RequestInfo) -> Result<Target, ApiError> {
        let api = cluster.api.load();
        let registry = &api.registry;
        let Some(group) = registry.group(&info.group) else {
            return Err(ApiError::page_not_found());
        };
        // What no definition defines is not known to the router at all.
        let not_found = || if group.is_custom() { ApiError::page_not_found() } else { ApiError::resource_not_found() };
        if group.version(&info.version).is_none() {
            return Err(not_found());
        }
        let resource = registry.get(&info.group, &info.version, &info.resource).cloned().ok_or_else(not_found)?;
        let is_namespace = info.group.is_empty() && info.resource == "namespaces";
        let named = !info.name.is_empty();
        let misplaced = if resource.namespaced {
            info.namespace.is_empty() && named
        } else {
            !info.namespace.is_empty() && !is_namespace
        };
        if misplaced {
            return Err(not_found());
        }
        let no_subresource = || match resource.custom {
            true => {
                ApiError::not_found(&GroupResource::new(resource.group.clone(), resource.plural.clone()), &info.name)
            }
            false => ApiError::resource_not_found(),
        };
        let subresource = match info.subresource.as_str() {
            "" => None,
            name => Some(resource.subresource(name).cloned().ok_or_else(no_subresource)?),
        };
        let kind = known_kind(&api.schema, &resource.group, &resource.version, &resource.kind)?;
        let namespace = if resource.namespaced { info.namespace.clone() } else { String::new() };
        let target = Target { api, resource, kind, namespace, name: info.name.clone(), subresource };
        target.check_verb(info)?;
        Ok(target)
    }

    /// An object of a resource that this server knows, in the group's preferred version.
    pub fn of(
        cluster: &Cluster,
        (group, plural): (&str, &str),
        namespace: &str,
        name: &str,
    ) -> Result<Target, ApiError> {
        let api = cluster.api.load();
        let versions = api.registry.group(group).map(|group| group.versions.as_slice()).unwrap_or_default();
        let resource = versions
            .iter()
            .find_map(|version| version.resources.iter().find(|resource| resource.plural == plural))
            .cloned()
            .ok_or_else(ApiError::resource_not_found)?;
        let kind = known_kind(&api.schema, &resource.group, &resource.version, &resource.kind)?;
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Ok(Target { api, resource, kind, namespace, name, subresource: None })
    }

    /// The definition of a custom resource.
    pub fn definition(&self) -> Option<&Arc<Definition>> {
        let resource = &self.resource;
        // Most requests are about built-in resources: nothing is looked up for them.
        if resource.custom { self.api.definitions.get(&resource.group, &resource.plural) } else { None }
    }

    /// A custom resource whose definition is being deleted.
    pub fn is_ending(&self) -> bool {
        self.resource.custom && self.subresource.is_none() && !self.resource.has_verb(RowVerb::Create)
    }

    fn check_verb(&self, info: &RequestInfo) -> Result<(), ApiError> {
        let connects = self.subresource.as_ref().map_or(&[][..], |subresource| subresource.connects);
        if !connects.is_empty() && !info.verb_via_path {
            return if connects.contains(&info.method) { Ok(()) } else { Err(ApiError::method_not_allowed()) };
        }
        let verb = match info.verb {
            Verb::Get => RowVerb::Get,
            Verb::List => RowVerb::List,
            Verb::Watch => RowVerb::Watch,
            Verb::Create => RowVerb::Create,
            Verb::Update => RowVerb::Update,
            Verb::Patch => RowVerb::Patch,
            Verb::Delete => RowVerb::Delete,
            Verb::DeleteCollection => RowVerb::DeleteCollection,
            // The old way of proxying has no routes any more.
            Verb::Proxy => return Err(ApiError::resource_not_found()),
            Verb::None | Verb::Http => return Err(ApiError::method_not_allowed()),
        };
        // What is only created has no place with a name.
        let is_created_only = self.resource.storage.is_none() && !self.resource.has_verb(RowVerb::Get);
        if is_created_only && self.subresource.is_none() && !self.name.is_empty() {
            return Err(ApiError::resource_not_found());
        }
        let allowed = match &self.subresource {
            Some(subresource) => subresource.verbs.contains(&verb),
            None => self.resource.has_verb(verb),
        };
        // Objects are created, and collections deleted, in one namespace only, and only without a name.
        let has_names =
            [RowVerb::Get, RowVerb::Update, RowVerb::Patch, RowVerb::Delete].iter().any(|v| self.resource.has_verb(*v));
        if !self.name.is_empty() && self.subresource.is_none() && !has_names {
            return Err(ApiError::resource_not_found());
        }
        let everywhere = self.resource.namespaced && self.namespace.is_empty();
        let nowhere = matches!(verb, RowVerb::Create | RowVerb::DeleteCollection) && everywhere;
        let unnamed = matches!(verb, RowVerb::Update | RowVerb::Patch) && self.name.is_empty();
        let named_create = verb == RowVerb::Create && self.subresource.is_none() && !self.name.is_empty();
        // The verb of an old watch path stands in the path, whatever the method.
        let head = info.method == http::Method::HEAD || (info.verb_via_path && info.method != http::Method::GET);
        if self.resource.custom && everywhere && !matches!(verb, RowVerb::List | RowVerb::Watch) {
            return Err(ApiError::page_not_found());
        }
        if self.resource.custom && unnamed {
            return Err(ApiError::bad_request("name must be provided"));
        }
        // The name in the path is nothing to a create of a custom resource.
        let named_create = named_create && !self.resource.custom;
        // What ends refuses new objects later, by name.
        let allowed = allowed || self.is_ending() && matches!(verb, RowVerb::Create | RowVerb::Update | RowVerb::Patch);
        if !allowed && self.resource.custom && !head {
            return Err(ApiError::method_not_supported(&self.group_resource(), verb.as_str()));
        }
        if !allowed || nowhere || named_create || unnamed || head {
            Err(ApiError::method_not_allowed())
        } else {
            Ok(())
        }
    }

    /// The same resource with another name, for objects met on the way.
    pub fn with_name(&self, name: &str) -> Target {
        Target { name: name.to_owned(), ..self.clone() }
    }

    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.resource.group.clone(), self.resource.plural.clone())
    }

    /// The group in which objects are stored, by which some refusals name their kind.
    pub fn stored_group(&self) -> &str {
        self.resource.storage.as_ref().map_or(&*self.resource.group, |storage| &*storage.group)
    }

    /// The row's group and plural, for tables of behaviour.
    pub fn row(&self) -> (&str, &str) {
        (&self.resource.group, &self.resource.plural)
    }

    pub fn storage(&self) -> Result<&Storage, ApiError> {
        self.resource.storage.as_ref().ok_or_else(ApiError::method_not_allowed)
    }

    /// The key of the object in the store.
    pub fn key(&self, cluster: &Cluster) -> Result<String, ApiError> {
        Ok(format!("{}{}", cluster.store.prefix(), self.key_below_prefix()?))
    }

    /// The same without the prefix of all keys: errors of dry runs show that, since they do not come from the store.
    pub fn key_below_prefix(&self) -> Result<String, ApiError> {
        let messages = segment_errors(&self.name);
        if !messages.is_empty() {
            return Err(ApiError::bad_request(format!("Name parameter invalid: {:?}: {messages}", self.name)));
        }
        self.check_namespace()?;
        Ok(self.storage()?.key(&self.namespace, &self.name))
    }

    /// A namespace that a path would resolve names no part of the store.
    pub fn check_namespace(&self) -> Result<(), ApiError> {
        match self.namespace.as_str() {
            "." | ".." => {
                let key = self.storage()?.key(&self.namespace, "");
                Err(ApiError::unknown(format!("invalid key: {:?}", key.trim_end_matches('/'))))
            }
            _ => Ok(()),
        }
    }

    /// The kind whose bytes are stored.
    pub fn stored_kind(&self) -> Result<Type, ApiError> {
        let storage = self.storage()?;
        known_kind(&self.api.schema, &storage.group, &storage.version, &storage.kind)
    }

    /// The object that the store holds, as it is served: converted, defaulted, with its resourceVersion. Where a
    /// webhook converts, ask [`Target::read`].
    pub fn decode(&self, stored: &Stored) -> Result<Object, ApiError> {
        self.decode_bytes(&stored.value, stored.mod_revision)
    }

    /// The same from bytes and a revision; revision 0 (a dry run) leaves the resourceVersion out.
    pub fn decode_bytes(&self, bytes: &[u8], revision: i64) -> Result<Object, ApiError> {
        let stored = self.decode_stored(bytes)?;
        let mut object = convert(&stored, &self.kind);
        if !self.resource.custom {
            apply_defaults(&mut object);
        }
        Ok(at_revision(object, revision))
    }

    /// A custom resource is defaulted by the version that it is stored in, and by no other.
    pub(super) fn decode_stored(&self, bytes: &[u8]) -> Result<Object, ApiError> {
        let mut stored = codec::decode_stored(&self.api.schema, bytes).map_err(|error| undecodable(&error))?;
        if self.resource.custom {
            apply_defaults(&mut stored);
        }
        Ok(stored)
    }

    /// The object of a view.
    pub fn decode_view(&self, view: &Entry) -> Result<Object, ApiError> {
        if !view.is_converted() {
            return self.decode_bytes(view.value(), view.mod_revision());
        }
        let object = codec::decode_stored(&self.api.schema, view.value()).map_err(|error| undecodable(&error))?;
        Ok(at_revision(object, view.mod_revision()))
    }

    /// As what entries of the cache are seen; none: as what they are.
    pub fn view_id(&self) -> Option<ViewId> {
        let definition = self.definition()?;
        let at = definition.versions.iter().position(|version| version.name == self.resource.version)?;
        Some(ViewId { definition: definition.state, version: u32::try_from(at).ok()? })
    }

    /// An object of any kind, as it is stored.
    pub fn decode_any(&self, stored: &Stored) -> Result<Object, ApiError> {
        codec::decode_stored(&self.api.schema, &stored.value).map_err(|error| undecodable(&error))
    }

    /// The bytes under which an object is stored.
    pub fn encode(&self, object: &Object) -> Result<bytes::Bytes, ApiError> {
        let storage = self.storage()?;
        let encoding = match storage.encoding {
            crate::api::registry::Encoding::Protobuf => codec::StorageEncoding::Protobuf,
            crate::api::registry::Encoding::Json => codec::StorageEncoding::Json,
        };
        Ok(codec::encode_stored(object, &self.stored_kind()?, encoding))
    }
}

/// Why a name cannot be a segment of a path; empty: it can.
fn segment_errors(name: &str) -> String {
    match name {
        "." | ".." => format!("may not be '{name}'"),
        _ => {
            let found = ['/', '%'].into_iter().filter(|letter| name.contains(*letter));
            found.map(|letter| format!("may not contain '{letter}'")).collect::<Vec<_>>().join(";")
        }
    }
}

fn at_revision(mut object: Object, revision: i64) -> Object {
    if revision > 0 {
        object.set_resource_version(&revision.to_string());
    }
    object
}

pub(super) fn undecodable(error: &DecodeError) -> ApiError {
    ApiError::internal("unable to decode an object in the store").with_internal(error)
}

pub(crate) fn known_kind(schema: &Schema, group: &str, version: &str, kind: &str) -> Result<Type, ApiError> {
    schema.kind(group, version, kind).ok_or_else(|| {
        ApiError::internal(format!("no kind \"{kind}\" is registered for version \"{group}/{version}\""))
    })
}
