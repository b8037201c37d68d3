//! Who may come without saying who he is.

/// Requests without credentials: of all paths, of some, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anonymous {
    pub enabled: bool,
    /// The paths that such requests may be for; empty: all.
    pub paths: Vec<String>,
}

impl Anonymous {
    pub fn everywhere(enabled: bool) -> Anonymous {
        Anonymous { enabled, paths: Vec::new() }
    }

    /// What a file says, which knows more than the flag.
    pub fn of_file(settings: &super::oidc::AnonymousSettings) -> Anonymous {
        let paths = settings.conditions.iter().map(|condition| condition.path.clone()).collect();
        Anonymous { enabled: settings.enabled, paths }
    }

    pub(super) fn admits(&self, path: &str) -> bool {
        self.enabled && (self.paths.is_empty() || self.paths.iter().any(|open| open == path))
    }
}
