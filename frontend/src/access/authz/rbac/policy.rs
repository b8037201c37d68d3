//! Bindings by whom they are for, so that a decision looks only at those of the user who asks.
//!
//! In: role and binding objects. Out: for a user, the bindings that apply. Not here: keeping them current (`mod`).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::Rule;
use crate::{
    api::schema::{Object, Value},
    request::{User, status::go_quote},
};

/// The roles and bindings of one namespace, or of the cluster.
#[derive(Default)]
pub(super) struct Policy {
    pub(super) roles: HashMap<String, Vec<Rule>>,
    pub(super) bindings: Bindings,
}

impl Policy {
    pub(super) fn read(roles: &[Arc<Object>], bindings: &[Arc<Object>]) -> Policy {
        let roles = roles.iter().map(|role| (role.name().to_owned(), Rule::of_role(role))).collect();
        Policy { roles, bindings: Bindings::read(bindings) }
    }
}

/// Bindings by the names of their subjects.
#[derive(Default)]
pub(super) struct Bindings {
    users: HashMap<String, Vec<Arc<Binding>>>,
    groups: HashMap<String, Vec<Arc<Binding>>>,
}

/// A RoleBinding or ClusterRoleBinding.
pub(super) struct Binding {
    name: String,
    /// Empty for a ClusterRoleBinding.
    namespace: String,
    pub(super) role_kind: String,
    pub(super) role: String,
    subjects: Vec<Subject>,
}

struct Subject {
    kind: String,
    name: String,
    /// As written, for messages.
    namespace: String,
}

impl Bindings {
    fn read(objects: &[Arc<Object>]) -> Bindings {
        let mut bindings = Bindings::default();
        for object in objects {
            let binding = Arc::new(Binding::read(object));
            for subject in &binding.subjects {
                let (index, key) = match subject.kind.as_str() {
                    "User" => (&mut bindings.users, subject.name.clone()),
                    "Group" => (&mut bindings.groups, subject.name.clone()),
                    "ServiceAccount" => match subject.account_namespace(&binding.namespace) {
                        "" => continue,
                        namespace => {
                            (&mut bindings.users, format!("system:serviceaccount:{namespace}:{}", subject.name))
                        }
                    },
                    _ => continue,
                };
                let listed = index.entry(key).or_default();
                if !listed.last().is_some_and(|last| Arc::ptr_eq(last, &binding)) {
                    listed.push(Arc::clone(&binding));
                }
            }
        }
        bindings
    }

    /// The bindings that apply to a user, each once even where it names the user in several ways.
    pub(super) fn of<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Arc<Binding>> {
        let named = self.users.get(&user.name).into_iter().flatten();
        let all = named.chain(user.groups.iter().filter_map(|group| self.groups.get(group)).flatten());
        let mut seen = HashSet::new();
        all.filter(move |binding| seen.insert(Arc::as_ptr(binding)))
    }
}

impl Binding {
    fn read(object: &Object) -> Binding {
        let text = |value: &Value, field: &str| -> String {
            value.child(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let subjects = object.get_list(&["subjects"]).unwrap_or_default().iter().map(|subject| Subject {
            kind: text(subject, "kind"),
            name: text(subject, "name"),
            namespace: text(subject, "namespace"),
        });
        Binding {
            name: object.name().to_owned(),
            namespace: object.namespace().to_owned(),
            role_kind: object.get_str(&["roleRef", "kind"]).unwrap_or_default().to_owned(),
            role: object.get_str(&["roleRef", "name"]).unwrap_or_default().to_owned(),
            subjects: subjects.collect(),
        }
    }

    /// Why a user is allowed something: this binding, its role, and the first subject that is the user.
    pub(super) fn reason(&self, user: &User) -> String {
        let applies = |subject: &&Subject| match subject.kind.as_str() {
            "User" => subject.name == user.name,
            "Group" => user.is_in(&subject.name),
            _ => {
                let account = user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
                account == Some((subject.account_namespace(&self.namespace), subject.name.as_str()))
            }
        };
        let subject = self.subjects.iter().find(applies).map(|s| s.describe(&self.namespace)).unwrap_or_default();
        let (kind, name) = match self.namespace.as_str() {
            "" => ("ClusterRoleBinding", self.name.clone()),
            namespace => ("RoleBinding", format!("{}/{namespace}", self.name)),
        };
        format!(
            "RBAC: allowed by {kind} {} of {} {} to {subject}",
            go_quote(&name),
            self.role_kind,
            go_quote(&self.role)
        )
    }
}

impl Subject {
    /// A service account without a namespace is one of the binding's.
    fn account_namespace<'a>(&'a self, of_binding: &'a str) -> &'a str {
        if self.namespace.is_empty() { of_binding } else { &self.namespace }
    }

    fn describe(&self, of_binding: &str) -> String {
        let name = match self.kind.as_str() {
            "ServiceAccount" => format!("{}/{}", self.name, self.account_namespace(of_binding)),
            _ => self.name.clone(),
        };
        format!("{} {}", self.kind, go_quote(&name))
    }
}
