//! An identity, as authentication found it.

/// An authenticated identity, as authorization, audit and the review APIs see it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    /// Keys in order, each with its values.
    pub extra: Vec<(String, Vec<String>)>,
}

pub const ANONYMOUS: &str = "system:anonymous";
pub const MASTERS_GROUP: &str = "system:masters";
pub const AUTHENTICATED_GROUP: &str = "system:authenticated";
pub const UNAUTHENTICATED_GROUP: &str = "system:unauthenticated";

impl User {
    pub fn anonymous() -> User {
        User { name: ANONYMOUS.into(), groups: vec![UNAUTHENTICATED_GROUP.into()], ..User::default() }
    }

    /// This server itself.
    pub fn loopback() -> User {
        User {
            name: "system:apiserver".into(),
            groups: vec![AUTHENTICATED_GROUP.into(), MASTERS_GROUP.into()],
            ..User::default()
        }
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// Whoever shows credentials is in this group too.
    pub fn with_authenticated_group(mut self) -> User {
        if self.name != ANONYMOUS && !self.is_in(AUTHENTICATED_GROUP) && !self.is_in(UNAUTHENTICATED_GROUP) {
            self.groups.push(AUTHENTICATED_GROUP.into());
        }
        self
    }
}
