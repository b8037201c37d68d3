//! The older documents: APIVersions, APIGroupList, APIGroup and APIResourceList. Fields stand in the order of the
//! original.

use serde::Serialize;

use super::foreign::{Foreign, MergedGroup, merged};
use crate::api::registry::{GroupVersion, Name, Registry, Resource, Subresource, Verb};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiVersions<'a> {
    kind: &'static str,
    versions: [&'static str; 1],
    #[serde(rename = "serverAddressByClientCIDRs")]
    server_addresses: [ServerAddress<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerAddress<'a> {
    #[serde(rename = "clientCIDR")]
    client_cidr: &'static str,
    server_address: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupList<'a> {
    kind: &'static str,
    api_version: &'static str,
    groups: Vec<GroupEntry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    name: &'a str,
    versions: Vec<VersionEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_version: Option<VersionEntry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionEntry<'a> {
    group_version: String,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceList<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    group_version: String,
    resources: Vec<ResourceEntry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceEntry<'a> {
    name: String,
    singular_name: &'a str,
    namespaced: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    kind: &'a str,
    verbs: Vec<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'a [Name],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'a [Name],
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_version_hash: Option<String>,
}

pub(super) fn core_versions(server_address: &str) -> ApiVersions<'_> {
    ApiVersions {
        kind: "APIVersions",
        versions: ["v1"],
        server_addresses: [ServerAddress { client_cidr: "0.0.0.0/0", server_address }],
    }
}

pub(super) fn groups<'a>(registry: &'a Registry, others: &'a [Foreign]) -> GroupList<'a> {
    let mut groups = merged(registry, others);
    groups.sort_by_cached_key(MergedGroup::rank);
    let groups = groups.iter().map(entry).collect();
    GroupList { kind: "APIGroupList", api_version: "v1", groups }
}

/// A group on a page of its own names its kind.
pub(super) fn group_page<'a>(registry: &'a Registry, others: &'a [Foreign], name: &str) -> Option<GroupEntry<'a>> {
    let group = merged(registry, others).into_iter().find(|group| group.name == name)?;
    Some(GroupEntry { kind: Some("APIGroup"), api_version: Some("v1"), ..entry(&group) })
}

fn entry<'a>(group: &MergedGroup<'a>) -> GroupEntry<'a> {
    let versions = group.versions.iter().map(|version| version.name());
    let entries = |version| VersionEntry { group_version: format!("{}/{version}", group.name), version };
    GroupEntry {
        kind: None,
        api_version: None,
        name: group.name,
        preferred_version: versions.clone().next().map(entries),
        versions: versions.map(entries).collect(),
    }
}

pub(super) fn resources<'a>(group: &str, version: &'a GroupVersion) -> ResourceList<'a> {
    let mut resources = Vec::new();
    for resource in &version.resources {
        resources.push(resource_entry(resource));
        resources.extend(resource.subresources.iter().map(|s| subresource_entry(resource, s)));
    }
    ResourceList {
        kind: "APIResourceList",
        // The original leaves it out for the core group alone.
        api_version: (!group.is_empty()).then_some("v1"),
        group_version: version.api_version(group),
        resources,
    }
}

fn resource_entry(resource: &Resource) -> ResourceEntry<'_> {
    ResourceEntry {
        name: resource.plural.to_string(),
        singular_name: &resource.singular,
        namespaced: resource.namespaced,
        group: "",
        version: "",
        kind: &resource.kind,
        verbs: names(&resource.verbs),
        short_names: &resource.short_names,
        categories: &resource.categories,
        storage_version_hash: resource.storage.as_ref().map(|s| s.version_hash()),
    }
}

fn subresource_entry<'a>(resource: &'a Resource, subresource: &'a Subresource) -> ResourceEntry<'a> {
    let own = subresource.group == resource.group && subresource.version == resource.version;
    ResourceEntry {
        name: format!("{}/{}", resource.plural, subresource.name),
        singular_name: "",
        namespaced: resource.namespaced,
        group: if own { "" } else { &subresource.group },
        version: if own { "" } else { &subresource.version },
        kind: &subresource.kind,
        verbs: names(&subresource.verbs),
        short_names: &[],
        categories: &[],
        storage_version_hash: None,
    }
}

pub(super) fn names(verbs: &[Verb]) -> Vec<&'static str> {
    verbs.iter().map(|v| v.as_str()).collect()
}
