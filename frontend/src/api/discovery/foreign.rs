//! Groups and versions that other servers serve, between those of this one.
//!
//! In: the rows of this server, and what aggregated servers tell of themselves. Out: all groups in the order of their
//! priorities. The order of this server's own groups stays as it is. Not here: how the servers are asked.

use std::cmp::Reverse;

use crate::api::registry::{Group, GroupVersion, Registry, group_priority, is_newer_version, priorities};

/// A version of a group that another server serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    pub group: String,
    pub version: String,
    pub group_priority: i64,
    pub version_priority: i64,
    /// The server was well when it was last asked; else what is known of it may be out of date.
    pub is_current: bool,
    /// As aggregated discovery lists them; none before the server has told them.
    pub resources: Option<serde_json::Value>,
}

pub(super) struct MergedGroup<'a> {
    pub(super) name: &'a str,
    priority: i64,
    pub(super) versions: Vec<MergedVersion<'a>>,
}

impl MergedGroup<'_> {
    /// Its place in the list of groups: of equal priorities by the name of the first APIService, which begins with the
    /// version. (Aggregated discovery goes by the names of groups.)
    pub(super) fn rank(&self) -> (Reverse<i64>, Option<String>) {
        let services = self.versions.iter().map(|version| format!("{}.{}", version.name(), self.name));
        (Reverse(self.priority), services.min())
    }
}

#[derive(Clone, Copy)]
pub(super) enum MergedVersion<'a> {
    Own(&'a Group, &'a GroupVersion),
    Foreign(&'a Foreign),
}

impl<'a> MergedVersion<'a> {
    pub(super) fn name(&self) -> &'a str {
        match self {
            MergedVersion::Own(_, version) => &version.version,
            MergedVersion::Foreign(foreign) => &foreign.version,
        }
    }

    fn priority(&self) -> i64 {
        match self {
            MergedVersion::Own(group, version) => priorities(&group.name, &version.version).1.into(),
            MergedVersion::Foreign(foreign) => foreign.version_priority,
        }
    }
}

/// All groups but the core group, the preferred versions first.
pub(super) fn merged<'a>(registry: &'a Registry, others: &'a [Foreign]) -> Vec<MergedGroup<'a>> {
    let own = registry.groups().iter().filter(|group| !group.name.is_empty());
    let mut all: Vec<MergedGroup<'a>> = own.map(of_group).collect();
    for foreign in others.iter().filter(|foreign| !foreign.group.is_empty()) {
        let at = all.iter().position(|group| group.name == foreign.group);
        let at = at.unwrap_or_else(|| {
            let priority = foreign.group_priority;
            let before = |group: &MergedGroup<'_>| (-group.priority, group.name) < (-priority, &*foreign.group);
            let at = all.iter().position(|group| !before(group)).unwrap_or(all.len());
            all.insert(at, MergedGroup { name: &foreign.group, priority, versions: Vec::new() });
            at
        });
        // A version that both serve is routed to the other server.
        let versions = &mut all[at].versions;
        versions.retain(|version| version.name() != foreign.version);
        let before = |version: &MergedVersion<'_>| {
            version.priority() > foreign.version_priority
                || version.priority() == foreign.version_priority && is_newer_version(version.name(), &foreign.version)
        };
        let place = versions.iter().position(|version| !before(version)).unwrap_or(versions.len());
        versions.insert(place, MergedVersion::Foreign(foreign));
    }
    all
}

pub(super) fn of_group(group: &Group) -> MergedGroup<'_> {
    let first = group.versions.first().map_or("", |version| &*version.version);
    MergedGroup {
        name: &group.name,
        priority: group_priority(&group.name, first).into(),
        versions: group.versions.iter().map(|version| MergedVersion::Own(group, version)).collect(),
    }
}
