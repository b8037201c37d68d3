//! One row: everything the server must know of a resource besides its schema and its behaviour.

use std::borrow::Cow;

use base64::Engine as _;
use http::Method;
use sha2::{Digest as _, Sha256};

use super::selectable::{LabelRefusal, SelectableField};

/// A word of a row: static for the built-in rows, owned for those added at run time.
pub type Name = Cow<'static, str>;

/// What discovery calls a verb, in the order in which discovery lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Patch => "patch",
            Verb::Update => "update",
            Verb::Watch => "watch",
        }
    }
}

/// How objects are written to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// Where and as what objects are stored. Rows of several versions of one resource share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Below the store's root ("/registry"), with a leading and without a trailing slash: "/pods", "/services/specs",
    /// "/minions".
    pub prefix: Name,
    pub group: Name,
    pub version: Name,
    pub kind: Name,
    pub encoding: Encoding,
    /// Objects hang on a lease and vanish with it (events).
    pub leased: bool,
}

impl Storage {
    /// The key of one object below the store's root.
    pub fn key(&self, namespace: &str, name: &str) -> String {
        if namespace.is_empty() {
            format!("{}/{name}", self.prefix)
        } else {
            format!("{}/{namespace}/{name}", self.prefix)
        }
    }

    /// The prefix of all keys of a namespace, or of the whole resource when `namespace` is empty; it ends in a slash.
    pub fn key_prefix(&self, namespace: &str) -> String {
        if namespace.is_empty() { format!("{}/", self.prefix) } else { format!("{}/{namespace}/", self.prefix) }
    }

    /// What discovery publishes so that clients notice a change of the storage version.
    pub fn version_hash(&self) -> String {
        let digest = Sha256::digest(format!("{}/{}/{}", self.group, self.version, self.kind));
        base64::engine::general_purpose::STANDARD.encode(&digest[..8])
    }
}

/// What a PUT may do besides replacing the object that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Updates {
    /// A PUT to a name that does not exist creates it.
    pub may_create: bool,
    /// A PUT without resourceVersion overwrites whatever is there.
    pub may_be_unconditional: bool,
}

/// A path below a named object, with the kind that it reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    pub name: Name,
    pub group: Name,
    pub version: Name,
    pub kind: Name,
    /// As discovery lists them; a subresource that connects (exec, proxy) lists the verbs of its HTTP methods.
    pub verbs: Vec<Verb>,
    /// The methods of requests that are handed on to a kubelet, a pod or a service; empty: none are.
    pub connects: &'static [Method],
}

#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub group: Name,
    pub version: Name,
    pub kind: Name,
    pub list_kind: Name,
    pub plural: Name,
    pub singular: Name,
    pub short_names: Vec<Name>,
    pub categories: Vec<Name>,
    pub namespaced: bool,
    pub verbs: Vec<Verb>,
    /// Sorted by name.
    pub subresources: Vec<Subresource>,
    /// None for what is answered without being stored: reviews, bindings, component statuses.
    pub storage: Option<Storage>,
    pub updates: Updates,
    pub selectable_fields: Vec<SelectableField>,
    pub label_refusal: LabelRefusal,
    /// A row of a CustomResourceDefinition: its objects are unstructured.
    pub custom: bool,
}

impl Resource {
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    pub fn has_verb(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }

    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// "v1" or "apps/v1".
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// "pods" or "deployments.apps", as errors name a resource.
    pub fn group_resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }
}

pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_string() } else { format!("{group}/{version}") }
}
