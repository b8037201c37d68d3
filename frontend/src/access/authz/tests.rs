use super::*;
use crate::request::user::AUTHENTICATED_GROUP;

fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.into(), groups: groups.iter().map(|g| (*g).into()).collect(), ..User::default() }
}

fn path(user: User, verb: &str, path: &str) -> Attributes {
    Attributes { user, verb: verb.into(), path: path.into(), ..Attributes::default() }
}

async fn is_allowed(attributes: &Attributes) -> bool {
    Authorization::builtin().check(attributes).await.is_ok()
}

#[tokio::test]
async fn anonymous_sees_health_and_version_alone() {
    for open in ["/healthz", "/livez", "/readyz", "/version"] {
        assert!(is_allowed(&path(User::anonymous(), "get", open)).await, "{open}");
    }
    for closed in ["/", "/api", "/apis", "/metrics", "/openapi/v3", "/healthz/etcd"] {
        assert!(!is_allowed(&path(User::anonymous(), "get", closed)).await, "{closed}");
    }
    assert!(!is_allowed(&path(User::anonymous(), "post", "/version")).await);
}

#[tokio::test]
async fn the_authenticated_may_discover_and_ask_about_themselves() {
    let alice = || user("alice", &[AUTHENTICATED_GROUP]);
    assert!(is_allowed(&path(alice(), "get", "/apis/apps/v1")).await);
    assert!(!is_allowed(&path(alice(), "get", "/metrics")).await);
    let review = Attributes {
        user: alice(),
        verb: "create".into(),
        is_resource: true,
        group: "authorization.k8s.io".into(),
        resource: "selfsubjectaccessreviews".into(),
        ..Attributes::default()
    };
    assert!(is_allowed(&review).await);
}

#[tokio::test]
async fn refusals_say_who_what_and_where() {
    let attributes = Attributes {
        user: user("alice", &[AUTHENTICATED_GROUP]),
        verb: "get".into(),
        is_resource: true,
        namespace: "x".into(),
        group: "apps".into(),
        resource: "deployments".into(),
        subresource: "scale".into(),
        name: "d".into(),
        ..Attributes::default()
    };
    let error = Authorization::builtin().check(&attributes).await.unwrap_err();
    assert_eq!(
        error.message,
        "deployments.apps \"d\" is forbidden: User \"alice\" cannot get resource \"deployments/scale\" in API group \"apps\" in the namespace \"x\""
    );
    let error = Authorization::builtin().check(&path(User::anonymous(), "get", "/api")).await.unwrap_err();
    assert_eq!(error.message, "forbidden: User \"system:anonymous\" cannot get path \"/api\"");
}

fn headers(pairs: &[(&'static str, &str)]) -> http::HeaderMap {
    pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap())).collect()
}

#[tokio::test]
async fn masters_may_act_as_others_and_nobody_else() {
    let authorization = Authorization::builtin();
    let wish =
        headers(&[("impersonate-user", "joe"), ("impersonate-group", "devs"), ("impersonate-extra-scopes", "view")]);
    let joe = impersonate(&authorization, user("root", &["system:masters"]), &wish).await.unwrap();
    assert_eq!(
        (joe.name.as_str(), joe.groups.as_slice()),
        ("joe", &["devs".to_owned(), AUTHENTICATED_GROUP.to_owned()][..])
    );
    assert_eq!(joe.extra, [("scopes".to_owned(), vec!["view".to_owned()])]);
    let error = impersonate(&authorization, user("alice", &[AUTHENTICATED_GROUP]), &wish).await.unwrap_err();
    assert_eq!(
        error.message,
        "users \"joe\" is forbidden: User \"alice\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
    let account = headers(&[("impersonate-user", "system:serviceaccount:ns1:sa1")]);
    let error = impersonate(&authorization, user("alice", &[AUTHENTICATED_GROUP]), &account).await.unwrap_err();
    assert!(error.message.starts_with("serviceaccounts \"sa1\" is forbidden"), "{}", error.message);
}

#[tokio::test]
async fn a_group_alone_cannot_be_impersonated() {
    let wish = headers(&[("impersonate-group", "a"), ("impersonate-uid", "u")]);
    let root = user("root", &["system:masters"]);
    let error = impersonate(&Authorization::builtin(), root.clone(), &wish).await.unwrap_err();
    assert_eq!(error.code, 400);
    assert_eq!(
        error.message,
        "requested [{Group  a    } {UID  u  authentication.k8s.io/v1  }] without impersonating a user"
    );
    let nobody = headers(&[("impersonate-user", "")]);
    assert_eq!(impersonate(&Authorization::builtin(), root.clone(), &nobody).await.unwrap(), root);
}
