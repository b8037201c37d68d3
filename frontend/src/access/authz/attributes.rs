//! What is asked of authorization, and the 403 that says it was refused.

use crate::{
    object::selector::{FieldSelector, FieldTerm, LabelSelector, Requirement},
    request::{
        Request, User,
        info::Verb,
        status::{ApiError, GroupResource, Reason, go_quote},
    },
};

/// What is asked. The review APIs build these from a body, the pipeline from a request.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    pub user: User,
    pub verb: String,
    pub is_resource: bool,
    pub namespace: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
    /// For what is no resource.
    pub path: String,
    pub field_selector: Selector<FieldTerm>,
    pub label_selector: Selector<Requirement>,
}

/// What is selected of a collection, as far as it could be understood. All terms hold, so that leaving one out asks for
/// more, not less.
#[derive(Clone, Debug)]
pub struct Selector<T> {
    pub terms: Vec<T>,
    pub error: Option<String>,
}

impl<T> Default for Selector<T> {
    fn default() -> Self {
        Selector { terms: Vec::new(), error: None }
    }
}

impl Selector<FieldTerm> {
    pub fn of_fields(text: &str) -> Self {
        match FieldSelector::parse(text) {
            Ok(selector) => Selector { terms: selector.terms().to_vec(), error: None },
            Err(error) => Selector { terms: Vec::new(), error: Some(error.to_string()) },
        }
    }
}

impl Selector<Requirement> {
    pub fn of_labels(text: &str) -> Self {
        match LabelSelector::parse(text) {
            Ok(selector) => Selector { terms: selector.requirements().to_vec(), error: None },
            Err(error) => Selector { terms: Vec::new(), error: Some(error.to_string()) },
        }
    }
}

impl Attributes {
    pub fn of_request(user: &User, request: &Request) -> Attributes {
        let info = &request.info;
        // Selectors count where a collection is asked for.
        let selected = |name: &str| match info.verb {
            Verb::List | Verb::Watch | Verb::DeleteCollection if !info.verb_via_path => request.query.non_empty(name),
            _ => None,
        };
        Attributes {
            user: user.clone(),
            verb: info.verb_name(),
            is_resource: info.is_resource,
            namespace: info.namespace.clone(),
            group: info.group.clone(),
            version: info.version.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            name: info.authorized_name().to_owned(),
            path: info.path.clone(),
            field_selector: selected("fieldSelector").map(Selector::of_fields).unwrap_or_default(),
            label_selector: selected("labelSelector").map(Selector::of_labels).unwrap_or_default(),
        }
    }

    /// Whether only objects are asked for whose field has this value.
    pub fn selects(&self, field: &str, value: &str) -> bool {
        self.field_selector.terms.iter().any(|term| !term.negated && term.field == field && term.value == value)
    }

    /// The 403, with what the user tried in it.
    pub fn forbidden(&self, reason: &str) -> ApiError {
        let mut why = self.sentence().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        if !reason.is_empty() {
            why = format!("{why}: {reason}");
        }
        let resource = match self.is_resource {
            true => GroupResource::new(self.group.clone(), self.resource.clone()),
            false => GroupResource::default(),
        };
        let name = if self.is_resource { self.name.as_str() } else { "" };
        ApiError { nosniff: true, ..ApiError::forbidden(&resource, name, why) }
    }

    /// The fault where nobody forbids it and somebody could not be asked.
    pub fn undecided(&self, error: &str) -> ApiError {
        let text = format!("Internal Server Error: {}: {error}", go_quote(&self.path));
        ApiError { plain_text: true, nosniff: true, ..ApiError::new(500, Reason::InternalError, text) }
    }

    fn sentence(&self) -> String {
        let user = go_quote(&self.user.name);
        if !self.is_resource {
            return format!("User {user} cannot {} path {}", self.verb, go_quote(&self.path));
        }
        let resource = match self.subresource.as_str() {
            "" => self.resource.clone(),
            subresource => format!("{}/{subresource}", self.resource),
        };
        let scope = match self.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", go_quote(namespace)),
        };
        let (resource, group) = (go_quote(&resource), go_quote(&self.group));
        format!("User {user} cannot {} resource {resource} in API group {group} {scope}", self.verb)
    }
}
