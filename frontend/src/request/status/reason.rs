//! Why a request is refused, in a word that clients act on.

/// A `StatusReason` of the API machinery.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Reason {
    #[default]
    Unknown,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Invalid,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    UnsupportedMediaType,
    RequestEntityTooLarge,
    Expired,
    TooManyRequests,
    ServerTimeout,
    Timeout,
    InternalError,
    ServiceUnavailable,
    NotImplemented,
    /// A webhook's own.
    Other(Box<str>),
}

/// As clients read them.
static NAMES: [(Reason, &str); 19] = [
    (Reason::Unknown, ""),
    (Reason::Unauthorized, "Unauthorized"),
    (Reason::Forbidden, "Forbidden"),
    (Reason::NotFound, "NotFound"),
    (Reason::AlreadyExists, "AlreadyExists"),
    (Reason::Conflict, "Conflict"),
    (Reason::Invalid, "Invalid"),
    (Reason::BadRequest, "BadRequest"),
    (Reason::MethodNotAllowed, "MethodNotAllowed"),
    (Reason::NotAcceptable, "NotAcceptable"),
    (Reason::UnsupportedMediaType, "UnsupportedMediaType"),
    (Reason::RequestEntityTooLarge, "RequestEntityTooLarge"),
    (Reason::Expired, "Expired"),
    (Reason::TooManyRequests, "TooManyRequests"),
    (Reason::ServerTimeout, "ServerTimeout"),
    (Reason::Timeout, "Timeout"),
    (Reason::InternalError, "InternalError"),
    (Reason::ServiceUnavailable, "ServiceUnavailable"),
    (Reason::NotImplemented, "NotImplemented"),
];

impl Reason {
    pub fn as_str(&self) -> &str {
        match self {
            Reason::Other(text) => text,
            known => NAMES.iter().find(|(reason, _)| reason == known).map_or("", |(_, name)| *name),
        }
    }
}

/// For reasons that others give as text.
impl From<&str> for Reason {
    fn from(text: &str) -> Reason {
        let known = NAMES.iter().find(|(_, name)| *name == text).map(|(reason, _)| reason.clone());
        known.unwrap_or_else(|| Reason::Other(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_name_and_is_found_by_it() {
        for (reason, name) in &NAMES {
            assert_eq!((reason.as_str(), &Reason::from(*name)), (*name, reason));
        }
        assert_eq!(Reason::from("Mine").as_str(), "Mine");
    }
}
