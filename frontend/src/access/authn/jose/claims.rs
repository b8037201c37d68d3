//! Claims of tokens whose JSON has more than one form.

use serde::{Deserialize, Deserializer};

/// Whom a token is meant for: a text or a list of texts.
pub(in crate::access::authn) fn audiences<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::<Audience>::deserialize(from)? {
        None => Vec::new(),
        Some(Audience::One(one)) => vec![one],
        Some(Audience::Many(many)) => many,
    })
}

/// Moments are numbers, perhaps with a fraction.
pub(in crate::access::authn) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.map(|seconds| seconds as i64))
}
