//! Discovery: what groups, versions and resources there are, derived from a snapshot of the registry.
//!
//! In: a path and what the client accepts. Out: a whole response, or the refusal. Not here: authorization, and methods
//! other than GET.

mod aggregated;
mod document;
mod foreign;
mod legacy;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::Response;

use self::document::{encode, respond, write};
pub use self::{document::Asked, foreign::Foreign};
use crate::{
    api::{Api, schema::Gvk},
    request::{
        negotiate::{self, Offer},
        status::ApiError,
    },
};

/// A page of discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// /api
    Core,
    /// /apis
    Groups,
    /// /apis/GROUP
    Group(&'a str),
    /// /api/v1 and /apis/GROUP/VERSION
    Resources { group: &'a str, version: &'a str },
}

impl<'a> Page<'a> {
    /// The page at a path, whether or not its group exists; a trailing slash changes nothing.
    pub fn at(path: &'a str) -> Option<Page<'a>> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["api"] => Some(Page::Core),
            ["apis"] => Some(Page::Groups),
            ["apis", group] => Some(Page::Group(group)),
            ["api", version] => Some(Page::Resources { group: "", version }),
            ["apis", group, version] => Some(Page::Resources { group, version }),
            _ => None,
        }
    }
}

/// Answers a GET. An unknown group is a text 404, an unknown version of a known group a Status.
pub fn answer(page: Page<'_>, api: &Api, asked: Asked<'_>) -> Result<Response<Bytes>, ApiError> {
    match page {
        Page::Core | Page::Groups => {
            if let Some(output) = aggregated::wanted(asked) {
                return aggregated::answer(page == Page::Core, api, asked, output);
            }
        }
        Page::Group(group) | Page::Resources { group, .. } => {
            let foreign = !group.is_empty() && asked.others.iter().any(|other| other.group == group);
            let known = foreign || api.registry.group(group).is_some();
            if !known || group.is_empty() && matches!(page, Page::Group(_)) {
                return Err(ApiError::page_not_found());
            }
        }
    }
    let offer = match page {
        Page::Groups | Page::Group(_) => Offer::UNROUTED_DOCUMENTS,
        Page::Core | Page::Resources { .. } => Offer::DOCUMENTS,
    };
    let output = negotiate::output(asked.headers, asked.query, &offer)?;
    let (kind, body) = match page {
        Page::Core => ("APIVersions", write(&legacy::core_versions(asked.server_address))),
        Page::Groups => ("APIGroupList", write(&legacy::groups(&api.registry, asked.others))),
        Page::Group(name) => {
            let group = legacy::group_page(&api.registry, asked.others, name).ok_or_else(ApiError::page_not_found)?;
            ("APIGroup", write(&group))
        }
        Page::Resources { group, version } => {
            let custom = api.registry.group(group).is_some_and(|group| group.is_custom());
            let missing = if custom { ApiError::page_not_found } else { ApiError::resource_not_found };
            let found = api.registry.group_version(group, version).ok_or_else(missing)?;
            ("APIResourceList", write(&legacy::resources(group, found)))
        }
    };
    let body = encode(body, &api.schema, &Gvk::from_static("", "v1", kind), output)?;
    Ok(respond(negotiate::content_type(output.media), "no-cache, private", body))
}
