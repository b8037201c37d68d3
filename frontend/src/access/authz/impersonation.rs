//! Acting as somebody else, for those who may: the `Impersonate-*` headers.

use http::{HeaderMap, HeaderName};

use super::{Attributes, Authorization, Authorizer};
use crate::{
    object::validation::names,
    request::{
        User,
        info::percent_decode,
        status::ApiError,
        user::{ANONYMOUS, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP},
    },
};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA_PREFIX: &str = "impersonate-extra-";

/// The user that a request shall be taken for. Each part of the other identity is asked for separately.
/// Their headers are taken out of the request.
pub async fn impersonate(authorization: &Authorization, user: User, headers: &mut HeaderMap) -> Result<User, ApiError> {
    let Some(wish) = Wish::read(headers)? else { return Ok(user) };
    for attributes in wish.questions(&user) {
        let decision = authorization.authorize(&attributes).await;
        if !decision.is_allowed() {
            return Err(attributes.forbidden(&decision.reason));
        }
    }
    let names: Vec<HeaderName> = headers.keys().cloned().collect();
    for name in names.iter().filter(|name| name.as_str().starts_with("impersonate-")) {
        headers.remove(name);
    }
    Ok(wish.into_user())
}

struct Wish {
    name: String,
    groups: Vec<String>,
    uid: Option<String>,
    extra: Vec<(String, Vec<String>)>,
}

impl Wish {
    fn read(headers: &HeaderMap) -> Result<Option<Wish>, ApiError> {
        let texts = |name: &str| -> Vec<String> {
            // Names may be written in any letters.
            headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect()
        };
        let name = texts(USER).into_iter().next().filter(|n| !n.is_empty());
        let groups = texts(GROUP);
        let uid = texts(UID).into_iter().next().filter(|u| !u.is_empty());
        let mut extra: Vec<(String, Vec<String>)> = Vec::new();
        for key in headers.keys() {
            if let Some(suffix) = key.as_str().strip_prefix(EXTRA_PREFIX) {
                extra.push((percent_decode(suffix).to_lowercase(), texts(key.as_str())));
            }
        }
        extra.sort();
        match name {
            Some(name) => Ok(Some(Wish { name, groups, uid, extra })),
            None if groups.is_empty() && uid.is_none() && extra.is_empty() => Ok(None),
            None => Err(without_user(&groups, &extra, uid.as_deref())),
        }
    }

    fn questions(&self, user: &User) -> Vec<Attributes> {
        let question = |resource: &str, name: &str| Attributes {
            user: user.clone(),
            verb: "impersonate".into(),
            is_resource: true,
            resource: resource.into(),
            name: name.into(),
            ..Attributes::default()
        };
        let authentication = |resource: &str, name: &str| Attributes {
            group: "authentication.k8s.io".into(),
            version: "v1".into(),
            ..question(resource, name)
        };
        let mut all = vec![match service_account(&self.name) {
            Some((namespace, name)) => Attributes { namespace: namespace.into(), ..question("serviceaccounts", name) },
            None => question("users", &self.name),
        }];
        all.extend(self.groups.iter().map(|group| question("groups", group)));
        for (key, values) in &self.extra {
            all.extend(
                values
                    .iter()
                    .map(|value| Attributes { subresource: key.clone(), ..authentication("userextras", value) }),
            );
        }
        all.extend(self.uid.iter().map(|uid| authentication("uids", uid)));
        all
    }

    fn into_user(self) -> User {
        let mut groups = self.groups;
        if let (true, Some((namespace, _))) = (groups.is_empty(), service_account(&self.name)) {
            groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
        }
        // Who is nobody is always unauthenticated; others count as authenticated unless they ask to be neither.
        let has = |group: &str| groups.iter().any(|g| g == group);
        if self.name == ANONYMOUS && !has(UNAUTHENTICATED_GROUP) {
            groups.push(UNAUTHENTICATED_GROUP.to_owned());
        } else if self.name != ANONYMOUS && !has(AUTHENTICATED_GROUP) && !has(UNAUTHENTICATED_GROUP) {
            groups.push(AUTHENTICATED_GROUP.to_owned());
        }
        User { name: self.name, uid: self.uid.unwrap_or_default(), groups, extra: self.extra }
    }
}

/// The refusal prints what was asked for as Go prints references: kind, namespace, name, uid, version, and so on.
fn without_user(groups: &[String], extra: &[(String, Vec<String>)], uid: Option<&str>) -> ApiError {
    const VERSION: &str = "authentication.k8s.io/v1";
    let mut asked: Vec<String> = groups.iter().map(|group| format!("{{Group  {group}    }}")).collect();
    for (key, values) in extra {
        asked.extend(values.iter().map(|value| format!("{{UserExtra  {value}  {VERSION}  {key}}}")));
    }
    asked.extend(uid.map(|uid| format!("{{UID  {uid}  {VERSION}  }}")));
    let message = format!("requested [{}] without impersonating a user", asked.join(" "));
    ApiError { nosniff: true, ..ApiError::bad_request(message) }
}

/// Namespace and name, if both may be such.
fn service_account(name: &str) -> Option<(&str, &str)> {
    let (namespace, name) = name.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (names::dns_1123_label(namespace).is_empty() && names::dns_1123_subdomain(name).is_empty())
        .then_some((namespace, name))
}
