//! Who makes a request: by client certificate, by bearer token, or nobody in particular.
//!
//! In: headers and the verified certificates of the connection. Out: a [`User`], or the 401 of the real server.
//! Not here: what the user may do (authz).

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
}
