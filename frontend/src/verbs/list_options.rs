//! The options of lists, watches and collection deletes.

use super::read_at::{invalid_version, parse_revision};
use crate::{
    cluster::Target,
    object::selector::{FieldSelector, LabelSelector},
    request::{
        info::Query,
        status::{ApiError, FieldError, go_quote},
    },
};

/// How a resourceVersion is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Exact,
    NotOlderThan,
}

#[derive(Clone, Debug)]
pub(super) struct ListOptions {
    pub(super) selection: Selection,
    pub(super) limit: i64,
    pub(super) continue_token: String,
    pub(super) resource_version: String,
    pub(super) version_match: Option<Match>,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) allow_bookmarks: bool,
    pub(super) send_initial_events: Option<bool>,
}

/// Which objects of a collection are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) labels: LabelSelector,
    /// In terms of the keys of the resource's selectable fields.
    pub(super) fields: FieldSelector,
}

impl Selection {
    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl ListOptions {
    pub(super) fn parse(query: &Query, target: &Target) -> Result<ListOptions, ApiError> {
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(query.get("fieldSelector").unwrap_or_default())
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let limit = integer(query, "limit")?.unwrap_or(0);
        let timeout = integer(query, "timeoutSeconds")?;
        let mut send_initial_events = query.get("sendInitialEvents").map(|_| query.is_true("sendInitialEvents"));
        let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let (resource_version, continue_token) = (text("resourceVersion"), text("continue"));
        let mut wanted = text("resourceVersionMatch");
        // What the query says counts, not the old paths that watch without it.
        let watches = query.is_true("watch");
        let from_any = matches!(resource_version.as_str(), "" | "0");
        if watches && from_any && send_initial_events.is_none() && wanted.is_empty() {
            // A watch that names no revision has always begun with the state: it is the new way of asking for that.
            send_initial_events = Some(true);
            wanted = "NotOlderThan".to_owned();
        }
        let errors = if watches {
            watch_errors(&wanted, &continue_token, send_initial_events)
        } else {
            list_errors(&wanted, &resource_version, &continue_token, send_initial_events)
        };
        if !errors.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", errors));
        }
        let fields = known_fields(target, &fields)?;
        Ok(ListOptions {
            selection: Selection { labels, fields },
            limit,
            continue_token,
            resource_version,
            version_match: match wanted.as_str() {
                "Exact" => Some(Match::Exact),
                "NotOlderThan" => Some(Match::NotOlderThan),
                _ => None,
            },
            timeout_seconds: timeout.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0),
            allow_bookmarks: query.is_true("allowWatchBookmarks"),
            send_initial_events,
        })
    }

    /// The revision that the client names; 0: any or none.
    pub(super) fn revision(&self) -> Result<i64, String> {
        match self.resource_version.as_str() {
            "" => Ok(0),
            text => parse_revision(text).map_err(|error| invalid_version(text, &error)),
        }
    }
}

pub(super) fn integer(query: &Query, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = query.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let quoted = go_quote(text);
        let digits = text.strip_prefix('-').unwrap_or(text);
        let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let why = if all_digits { "value out of range" } else { "invalid syntax" };
        ApiError::bad_request(format!("strconv.ParseInt: parsing {quoted}: {why}"))
    })
}

const MATCH: &str = "resourceVersionMatch";

fn list_errors(wanted: &str, version: &str, token: &str, send_initial_events: Option<bool>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !wanted.is_empty() {
        if version.is_empty() {
            errors.push(FieldError::forbidden(
                MATCH,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !token.is_empty() {
            errors.push(FieldError::forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(wanted, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(MATCH, wanted, &["Exact", "NotOlderThan", ""]));
        }
        if wanted == "Exact" && version == "0" {
            errors.push(FieldError::forbidden(
                MATCH,
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if send_initial_events.is_some() {
        errors.push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    errors
}

fn watch_errors(wanted: &str, token: &str, send_initial_events: Option<bool>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if send_initial_events.is_some() && wanted != "NotOlderThan" {
        errors.push(FieldError::forbidden(
            MATCH,
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    if !wanted.is_empty() {
        if send_initial_events.is_none() {
            errors.push(FieldError::forbidden(
                MATCH,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if wanted != "NotOlderThan" {
            errors.push(FieldError::not_supported(MATCH, wanted, &["NotOlderThan"]));
        }
        if !token.is_empty() {
            errors.push(FieldError::forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    errors
}

/// Replaces labels by the keys under which values are kept, and adds the name of a path that names an object.
fn known_fields(target: &Target, fields: &FieldSelector) -> Result<FieldSelector, ApiError> {
    let known = fields.try_rename(|label| {
        target.resource.field_label(label).map(|field| field.key.to_string()).map_err(ApiError::bad_request)
    })?;
    if target.name.is_empty() {
        return Ok(known);
    }
    if known.is_empty() {
        return Ok(FieldSelector::equal("metadata.name", &target.name));
    }
    if known.required("metadata.name") != Some(target.name.as_str()) {
        return Err(ApiError::bad_request("fieldSelector metadata.name doesn't match requested name"));
    }
    Ok(known)
}
