use std::sync::Arc;

use futures::future::BoxFuture;

use super::*;
use crate::request::{User, user::AUTHENTICATED_GROUP};

fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.into(), groups: groups.iter().map(|g| (*g).into()).collect(), ..User::default() }
}

/// Says of itself what it was made with.
struct Says(Decision);

impl Authorizer for Says {
    fn authorize<'a>(&'a self, _: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move { self.0.clone() })
    }
}

fn chain(decisions: &[Decision]) -> Authorization {
    Authorization::new(decisions.iter().map(|d| Arc::new(Says(d.clone())) as Arc<dyn Authorizer>).collect())
}

fn question() -> Attributes {
    Attributes {
        user: user("alice", &[AUTHENTICATED_GROUP]),
        verb: "get".into(),
        is_resource: true,
        namespace: "x".into(),
        group: "apps".into(),
        resource: "deployments".into(),
        subresource: "scale".into(),
        name: "d".into(),
        path: "/apis/apps/v1/namespaces/x/deployments/d/scale".into(),
        ..Attributes::default()
    }
}

#[tokio::test]
async fn the_first_opinion_decides_and_silence_refuses() {
    let (allow, deny, silent) = (Decision::allow("a"), Decision::deny("d"), Decision::no_opinion("s"));
    let failed = Decision { error: Some("e".into()), ..Decision::no_opinion("") };
    let cases: [(&[Decision], Result<&str, &str>); 6] = [
        (&[], Err(")")),
        (&[silent.clone(), allow.clone(), deny.clone()], Ok("a")),
        (&[deny.clone(), allow.clone()], Err(": d")),
        (&[silent.clone(), silent.clone()], Err(": s\ns")),
        (&[failed.clone(), allow], Ok("a")),
        (&[failed.clone(), failed], Err("deployments/d/scale\": e")),
    ];
    for (decisions, expected) in cases {
        match (chain(decisions).check(&question()).await, expected) {
            (Ok(reason), Ok(wanted)) => assert_eq!(reason, wanted),
            (Err(error), Err(wanted)) => {
                let message = error.message.clone() + ")";
                assert!(message.trim_end_matches(')').ends_with(wanted.trim_end_matches(')')), "{message}: {wanted}");
            }
            (outcome, wanted) => panic!("{decisions:?}: {outcome:?}, not {wanted:?}"),
        }
    }
}

#[tokio::test]
async fn masters_come_before_everybody() {
    let authorization = chain(&[Decision::deny("never")]);
    let root = Attributes { user: user("root", &["system:masters"]), ..question() };
    assert!(authorization.allows(&root).await);
    assert!(!authorization.allows(&question()).await);
}

#[tokio::test]
async fn refusals_say_who_what_and_where() {
    let error = chain(&[]).check(&question()).await.unwrap_err();
    assert_eq!(
        error.message,
        "deployments.apps \"d\" is forbidden: User \"alice\" cannot get resource \"deployments/scale\" in API group \"apps\" in the namespace \"x\""
    );
    let path = Attributes { user: User::anonymous(), verb: "get".into(), path: "/api".into(), ..Attributes::default() };
    let error = chain(&[]).check(&path).await.unwrap_err();
    assert_eq!(error.message, "forbidden: User \"system:anonymous\" cannot get path \"/api\"");
}

fn headers(pairs: &[(&'static str, &str)]) -> http::HeaderMap {
    pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap())).collect()
}

#[tokio::test]
async fn masters_may_act_as_others_and_nobody_else() {
    let authorization = chain(&[]);
    let wish =
        headers(&[("impersonate-user", "joe"), ("impersonate-group", "devs"), ("impersonate-extra-scopes", "view")]);
    let joe = impersonate(&authorization, user("root", &["system:masters"]), &mut wish.clone()).await.unwrap();
    assert_eq!(
        (joe.name.as_str(), joe.groups.as_slice()),
        ("joe", &["devs".to_owned(), AUTHENTICATED_GROUP.to_owned()][..])
    );
    assert_eq!(joe.extra, [("scopes".to_owned(), vec!["view".to_owned()])]);
    let error =
        impersonate(&authorization, user("alice", &[AUTHENTICATED_GROUP]), &mut wish.clone()).await.unwrap_err();
    assert_eq!(
        error.message,
        "users \"joe\" is forbidden: User \"alice\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
    let account = headers(&[("impersonate-user", "system:serviceaccount:ns1:sa1")]);
    let error =
        impersonate(&authorization, user("alice", &[AUTHENTICATED_GROUP]), &mut account.clone()).await.unwrap_err();
    assert!(error.message.starts_with("serviceaccounts \"sa1\" is forbidden"), "{}", error.message);
}

#[tokio::test]
async fn a_group_alone_cannot_be_impersonated() {
    let wish = headers(&[("impersonate-group", "a"), ("impersonate-uid", "u")]);
    let root = user("root", &["system:masters"]);
    let error = impersonate(&chain(&[]), root.clone(), &mut wish.clone()).await.unwrap_err();
    assert_eq!(error.code, 400);
    assert_eq!(
        error.message,
        "requested [{Group  a    } {UID  u  authentication.k8s.io/v1  }] without impersonating a user"
    );
    let nobody = headers(&[("impersonate-user", "")]);
    assert_eq!(impersonate(&chain(&[]), root.clone(), &mut nobody.clone()).await.unwrap(), root);
}
