//! The table as an immutable snapshot, and the handle through which a newer one is published.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    builtin, row,
    row::{Name, Resource},
};

/// One version of a group; resources sorted by plural.
#[derive(Clone, Debug)]
pub struct GroupVersion {
    pub version: Name,
    pub resources: Vec<Arc<Resource>>,
}

/// A group with its versions, the preferred one first. The core group's name is empty.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: Name,
    pub versions: Vec<GroupVersion>,
}

impl Group {
    /// All of it is defined by custom resource definitions.
    pub fn is_custom(&self) -> bool {
        self.versions.iter().flat_map(|version| &version.resources).all(|resource| resource.custom)
    }

    pub fn version(&self, version: &str) -> Option<&GroupVersion> {
        self.versions.iter().find(|v| v.version == version)
    }
}

static GENERATIONS: AtomicU64 = AtomicU64::new(1);

/// All resources at one moment, in discovery order: built-in groups by their priority, the core group first, then
/// custom groups by name.
#[derive(Clone, Debug)]
pub struct Registry {
    groups: Vec<Group>,
    by_name: HashMap<Name, usize>,
    builtin_groups: usize,
    generation: u64,
}

impl Registry {
    /// The resources that a default server of the target version serves.
    pub fn builtin() -> Registry {
        static BUILTIN: LazyLock<Registry> = LazyLock::new(Registry::of_rows);
        Registry { generation: next_generation(), ..BUILTIN.clone() }
    }

    fn of_rows() -> Registry {
        let mut registry =
            Registry { groups: Vec::new(), by_name: HashMap::new(), builtin_groups: 0, generation: next_generation() };
        for resource in builtin::rows() {
            let group = match registry.groups.iter_mut().position(|g| g.name == resource.group) {
                Some(index) => index,
                None => {
                    registry.groups.push(Group { name: resource.group.clone(), versions: Vec::new() });
                    registry.groups.len() - 1
                }
            };
            insert(&mut registry.groups[group], Arc::new(resource));
        }
        registry.builtin_groups = registry.groups.len();
        registry.reindex();
        registry
    }

    /// This snapshot with more rows; a row of the same group, version and plural is replaced.
    pub fn with(&self, rows: impl IntoIterator<Item = Arc<Resource>>) -> Registry {
        let mut next = self.clone();
        next.generation = next_generation();
        for resource in rows {
            let index = match next.by_name.get(&resource.group) {
                Some(index) => *index,
                None => {
                    next.groups.push(Group { name: resource.group.clone(), versions: Vec::new() });
                    next.by_name.insert(resource.group.clone(), next.groups.len() - 1);
                    next.groups.len() - 1
                }
            };
            insert(&mut next.groups[index], resource);
        }
        let custom = &mut next.groups[next.builtin_groups..];
        custom.sort_by(|a, b| a.name.cmp(&b.name));
        for group in custom.iter_mut().filter(|group| group.versions.len() > 1) {
            group.versions.sort_by_key(|v| std::cmp::Reverse(version_order(&v.version)));
        }
        next.reindex();
        next
    }

    /// This snapshot without any version of a resource; groups and versions that become empty go with it.
    pub fn without(&self, group: &str, plural: &str) -> Registry {
        let mut next = self.clone();
        next.generation = next_generation();
        if let Some(&index) = next.by_name.get(group) {
            let found = &mut next.groups[index];
            for version in &mut found.versions {
                version.resources.retain(|r| r.plural != plural);
            }
            found.versions.retain(|v| !v.resources.is_empty());
            if found.versions.is_empty() {
                next.groups.remove(index);
                next.builtin_groups -= usize::from(index < next.builtin_groups);
            }
        }
        next.reindex();
        next
    }

    /// Differs between any two snapshots of a process: the key for everything derived from a snapshot and kept.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub fn group(&self, name: &str) -> Option<&Group> {
        self.by_name.get(name).map(|&i| &self.groups[i])
    }

    pub fn group_version(&self, group: &str, version: &str) -> Option<&GroupVersion> {
        self.group(group)?.version(version)
    }

    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let resources = &self.group_version(group, version)?.resources;
        resources.binary_search_by(|r| r.plural.as_ref().cmp(plural)).ok().map(|i| &resources[i])
    }

    pub fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.group_version(group, version)?.resources.iter().find(|r| r.kind == kind)
    }

    /// Every row in discovery order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.groups.iter().flat_map(|g| &g.versions).flat_map(|v| &v.resources)
    }

    /// One row for each storage prefix; where one serves the storage version, it is that.
    pub fn stored(&self) -> Vec<Arc<Resource>> {
        let mut rows: Vec<Arc<Resource>> = Vec::new();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for resource in self.iter() {
            let Some(storage) = &resource.storage else { continue };
            match seen.get(storage.prefix.as_ref()) {
                None => {
                    seen.insert(&storage.prefix, rows.len());
                    rows.push(resource.clone());
                }
                Some(&at) if storage.group == resource.group && storage.version == resource.version => {
                    rows[at] = resource.clone();
                }
                Some(_) => {}
            }
        }
        rows
    }

    fn reindex(&mut self) {
        self.by_name = self.groups.iter().enumerate().map(|(i, g)| (g.name.clone(), i)).collect();
    }
}

/// Puts a row in its place: versions in order of arrival, resources sorted by plural.
fn insert(group: &mut Group, resource: Arc<Resource>) {
    let index = match group.versions.iter().position(|v| v.version == resource.version) {
        Some(index) => index,
        None => {
            group.versions.push(GroupVersion { version: resource.version.clone(), resources: Vec::new() });
            group.versions.len() - 1
        }
    };
    let resources = &mut group.versions[index].resources;
    match resources.binary_search_by(|r| r.plural.cmp(&resource.plural)) {
        Ok(at) => resources[at] = resource,
        Err(at) => resources.insert(at, resource),
    }
}

/// Kubernetes' order of versions: v2 over v1 over v1beta2 over v1beta1 over v1alpha1 over everything else by name
/// (first wins).
fn version_order(version: &str) -> (u8, u64, u64, std::cmp::Reverse<String>) {
    let other = (0, 0, 0, std::cmp::Reverse(version.to_string()));
    let Some(rest) = version.strip_prefix('v') else { return other };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let Ok(major) = rest[..digits].parse::<u64>() else { return other };
    let none = std::cmp::Reverse(String::new());
    match &rest[digits..] {
        "" => (3, major, 0, none),
        tail => {
            let (stage, minor) = match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
                (Some(minor), _) => (2, minor),
                (_, Some(minor)) => (1, minor),
                _ => return other,
            };
            match minor.parse::<u64>() {
                Ok(minor) => (stage, major, minor, none),
                Err(_) => other,
            }
        }
    }
}

/// Whether the first version comes before the second in Kubernetes' order.
pub fn is_newer_version(version: &str, than: &str) -> bool {
    version_order(version) > version_order(than)
}

fn next_generation() -> u64 {
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}

impl GroupVersion {
    /// "v1" or "apps/v1", given the group's name.
    pub fn api_version(&self, group: &str) -> String {
        row::api_version(group, &self.version)
    }
}
