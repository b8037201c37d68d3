use serde_json::{Value, json};

use super::*;
use crate::{
    access::{authz::Selector, metrics::Metrics},
    client::stand_in::{StandIn, answer},
};

fn settings(server: &StandIn, rest: &str) -> settings::WebhookSettings {
    let text = format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers: [{{type: Webhook, name: w, \
         webhook: {{timeout: 3s, subjectAccessReviewVersion: v1, matchConditionSubjectAccessReviewVersion: v1, \
         connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {}}}, {rest}}}}}]",
        server.kubeconfig().display()
    );
    AuthorizationConfiguration::parse(&text).unwrap().authorizers.remove(0).webhook.unwrap()
}

fn asked() -> Attributes {
    Attributes {
        user: User {
            name: "ann".to_owned(),
            uid: "1".to_owned(),
            groups: vec!["devs".to_owned()],
            extra: vec![("k".to_owned(), vec!["v".to_owned()])],
        },
        verb: "list".to_owned(),
        is_resource: true,
        namespace: "x".to_owned(),
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        resource: "deployments".to_owned(),
        field_selector: Selector::of_fields("metadata.name=a"),
        label_selector: Selector::of_labels("tier in (b,a),!old"),
        ..Attributes::default()
    }
}

#[tokio::test]
async fn the_service_decides() {
    let error = |why: &str| Some(why.to_owned());
    let failing = |verdict, why: &str| Decision { verdict, reason: String::new(), error: error(why) };
    let both = "webhook subject access review returned both allow and deny response";
    for (status, policy, expected, calls) in [
        (r#"{"allowed":true,"reason":"because"}"#, "Deny", Decision::allow("because"), 1),
        (r#"{"allowed":false,"reason":"who?"}"#, "Deny", Decision::no_opinion("who?"), 1),
        (r#"{"allowed":false,"denied":true,"reason":"no"}"#, "Deny", Decision::deny("no"), 1),
        (r#"{"allowed":true,"denied":true}"#, "Deny", Decision { error: error(both), ..Decision::deny("") }, 1),
        ("", "Deny", failing(Verdict::Deny, "away"), 2),
        ("", "NoOpinion", failing(Verdict::NoOpinion, "away"), 2),
    ] {
        let server = StandIn::start(move |_| match status {
            "" => answer(403, "away"),
            status => answer(200, format!("{{\"status\":{status}}}")),
        })
        .await;
        let webhook =
            Webhook::of_settings(&settings(&server, &format!("failurePolicy: {policy}")), "w", &Metrics::default())
                .unwrap();
        for _ in 0..2 {
            assert_eq!(webhook.authorize(&asked()).await, expected, "{status}");
        }
        assert_eq!(server.asked().len(), calls, "{status}: answers are kept, failures are not");
    }
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_asked_again() {
    let server = StandIn::start(|_| answer(200, r#"{"status":{"allowed":true}}"#)).await;
    let rest = "failurePolicy: Deny, cacheAuthorizedRequests: false";
    let webhook = Webhook::of_settings(&settings(&server, rest), "w", &Metrics::default()).unwrap();
    webhook.authorize(&asked()).await;
    webhook.authorize(&asked()).await;
    assert_eq!(server.asked().len(), 2);
    let webhook = Webhook::of_settings(&settings(&server, "failurePolicy: Deny"), "w", &Metrics::default()).unwrap();
    let long = Attributes { name: "n".repeat(LETTERS_MAX), ..asked() };
    webhook.authorize(&long).await;
    webhook.authorize(&long).await;
    assert_eq!(server.asked().len(), 4, "answers to long questions would fill the memory");
}

#[tokio::test]
async fn conditions_leave_requests_out() {
    let server = StandIn::start(|_| answer(200, r#"{"status":{"allowed":true}}"#)).await;
    let path = Attributes { path: "/healthz".to_owned(), verb: "get".to_owned(), ..Attributes::default() };
    let no_key = "cel evaluation error: expression 'request.resourceAttributes.verb == 'get'' resulted in error: no such \
                  key: resourceAttributes";
    for (condition, question, expected) in [
        ("request.user == 'ann'", asked(), Decision::allow("")),
        ("request.user != 'ann'", asked(), Decision::no_opinion("")),
        (
            "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'x'",
            asked(),
            Decision::allow(""),
        ),
        (
            "request.resourceAttributes.?labelSelector.requirements.orValue([]).size() == 2",
            asked(),
            Decision::allow(""),
        ),
        ("request.resourceAttributes.fieldSelector.requirements[0].values == ['a']", asked(), Decision::allow("")),
        ("!has(request.resourceAttributes)", path.clone(), Decision::allow("")),
        (
            "request.resourceAttributes.verb == 'get'",
            path,
            Decision { verdict: Verdict::Deny, reason: String::new(), error: Some(no_key.to_owned()) },
        ),
    ] {
        let rest = format!("failurePolicy: Deny, matchConditions: [{{expression: \"{condition}\"}}]");
        let webhook = Webhook::of_settings(&settings(&server, &rest), "w", &Metrics::default()).unwrap();
        assert_eq!(webhook.authorize(&question).await, expected, "{condition}");
    }
}

#[test]
fn the_question_is_told_whole() {
    let spec = |groups: &str| -> Value {
        let mut spec = json!({
            "resourceAttributes": {
                "namespace": "x", "verb": "list", "group": "apps", "version": "v1", "resource": "deployments",
                "fieldSelector": {"requirements": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]},
                "labelSelector": {"requirements": [
                    {"key": "old", "operator": "DoesNotExist"}, {"key": "tier", "operator": "In", "values": ["a", "b"]},
                ]},
            },
            "user": "ann", "extra": {"k": ["v"]}, "uid": "1",
        });
        spec[groups] = json!(["devs"]);
        spec
    };
    for (version, groups) in [("v1", "groups"), ("v1beta1", "group")] {
        let mut found = review::of(&asked(), version);
        let requirements = found["spec"]["resourceAttributes"]["labelSelector"]["requirements"].as_array_mut().unwrap();
        requirements.sort_by_key(|requirement| requirement["key"].to_string());
        let apiversion = format!("authorization.k8s.io/{version}");
        let expected = json!({"kind": "SubjectAccessReview", "apiVersion": apiversion, "metadata": {},
                              "spec": spec(groups), "status": {"allowed": false}});
        assert_eq!(found, expected);
    }
}
