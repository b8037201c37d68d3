//! Which keys belong to one resource, and what part of a resource a list or a watch is about.
//!
//! A resource's keys share a prefix of one segment (`/registry/pods/`), or of two where the first is an API group (it
//! has a dot, as every custom resource's group must) or `services`. Read off the key itself, so that objects of a
//! resource that another server has just defined fall into place before this one knows of it.

/// The prefix of the key's resource, ending in a slash; None for a key outside `root` or directly in it. `root` ends in
/// a slash.
pub(super) fn resource_of<'k>(root: &str, key: &'k str) -> Option<&'k str> {
    let rest = key.strip_prefix(root)?;
    let first = rest.find('/')?;
    let segment = &rest[..first];
    let mut end = root.len() + first + 1;
    if segment == "services" || segment.contains('.') {
        end += rest[first + 1..].find('/')? + 1;
    }
    Some(&key[..end])
}

/// A part of one resource: all of it, one namespace, or one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    resource: Box<str>,
    part: Part,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    All,
    /// A key prefix that ends in a slash.
    Within(Box<str>),
    Key(Box<str>),
}

impl Scope {
    /// All of the resource at this storage prefix, whole: `/registry/pods`.
    pub fn resource(prefix: &str) -> Scope {
        Scope { resource: with_slash(prefix), part: Part::All }
    }

    pub fn namespace(prefix: &str, namespace: &str) -> Scope {
        let resource = with_slash(prefix);
        let within = format!("{resource}{namespace}/").into();
        Scope { resource, part: Part::Within(within) }
    }

    /// One object by its whole key.
    pub fn object(prefix: &str, key: &str) -> Scope {
        Scope { resource: with_slash(prefix), part: Part::Key(key.into()) }
    }

    /// The resource's prefix, ending in a slash.
    pub fn resource_prefix(&self) -> &str {
        &self.resource
    }

    /// The prefix of its keys; of one object, its key.
    pub fn key_prefix(&self) -> &str {
        match &self.part {
            Part::All => &self.resource,
            Part::Within(prefix) => prefix,
            Part::Key(key) => key,
        }
    }

    pub fn contains(&self, key: &str) -> bool {
        match &self.part {
            Part::All => key.starts_with(&*self.resource),
            Part::Within(prefix) => key.starts_with(&**prefix),
            Part::Key(own) => key == &**own,
        }
    }

    /// The keys from this one on to before the other.
    pub(super) fn bounds(&self) -> (bytes::Bytes, bytes::Bytes) {
        let start = self.key_prefix().as_bytes();
        let end = match &self.part {
            Part::Key(_) => bytes::Bytes::from([start, b"\0"].concat()),
            _ => crate::store::model::prefix_end(start),
        };
        (bytes::Bytes::copy_from_slice(start), end)
    }
}

/// The key prefix of the object's namespace, if the resource were namespaced.
pub(super) fn namespace_of<'k>(resource: &str, key: &'k str) -> Option<&'k str> {
    let slash = key.strip_prefix(resource)?.find('/')?;
    Some(&key[..resource.len() + slash + 1])
}

fn with_slash(prefix: &str) -> Box<str> {
    if prefix.ends_with('/') { prefix.into() } else { format!("{prefix}/").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read_off_the_key() {
        let cases = [
            ("/registry/pods/default/a", Some("/registry/pods/")),
            ("/registry/namespaces/a", Some("/registry/namespaces/")),
            ("/registry/services/specs/default/a", Some("/registry/services/specs/")),
            ("/registry/services/endpoints/default/a", Some("/registry/services/endpoints/")),
            ("/registry/example.com/widgets/default/a", Some("/registry/example.com/widgets/")),
            (
                "/registry/apiregistration.k8s.io/apiservices/v1.apps",
                Some("/registry/apiregistration.k8s.io/apiservices/"),
            ),
            ("/registry/ranges/servicenodeports", Some("/registry/ranges/")),
            ("/registry/health", None),
            ("/registry/example.com/odd", None),
            ("/other/pods/a", None),
        ];
        for (key, resource) in cases {
            assert_eq!(resource_of("/registry/", key), resource, "{key}");
        }
    }

    #[test]
    fn a_namespace_is_not_its_longer_neighbour() {
        let scope = Scope::namespace("/registry/pods", "a");
        assert!(scope.contains("/registry/pods/a/x"));
        assert!(!scope.contains("/registry/pods/ab/x"));
        let one = Scope::object("/registry/pods", "/registry/pods/a/x");
        assert!(one.contains("/registry/pods/a/x") && !one.contains("/registry/pods/a/xy"));
    }
}
