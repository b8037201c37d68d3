//! What expressions ask authorization. Each question is asked once a request. Expressions run without waiting: a
//! question that cannot be answered at once is noted, answered after the run, and the run is made again.

use std::fmt;

use futures::FutureExt;
use parking_lot::Mutex;

use super::Attributes;
use crate::{
    access::authz::{self, Authorization, Authorizer as _, Verdict},
    api::cel::authorizer::{Authorizer, Check, Decision},
    request::User,
};

/// Expressions whose questions depend on answers ask in several runs; more of them are not made.
const RUNS_MAX: usize = 32;

pub(super) struct Asking<'a> {
    authorization: &'a Authorization,
    user: &'a User,
    answers: Mutex<Vec<(Check, Decision)>>,
    waiting: Mutex<Vec<Check>>,
}

impl fmt::Debug for Asking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("user", &self.user.name).finish_non_exhaustive()
    }
}

impl<'a> Asking<'a> {
    pub(super) fn new(authorization: &'a Authorization, user: &'a User) -> Asking<'a> {
        Asking { authorization, user, answers: Mutex::default(), waiting: Mutex::default() }
    }

    /// The outcome of a run that had all answers; that of the last run, where they do not come to an end.
    pub(super) async fn settle<T>(&self, run: impl Fn(&Asking<'a>) -> T) -> T {
        let mut outcome = run(self);
        for _ in 1..RUNS_MAX {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            if waiting.is_empty() {
                return outcome;
            }
            for check in waiting {
                let decision = decision(self.authorization.authorize(&question(&check, self.user)).await);
                self.answers.lock().push((check, decision));
            }
            outcome = run(self);
        }
        outcome
    }
}

fn decision(of: authz::Decision) -> Decision {
    Decision { allowed: of.verdict == Verdict::Allow, reason: of.reason, error: of.error }
}

impl Authorizer for Asking<'_> {
    fn authorize(&self, check: &Check) -> Decision {
        if let Some((_, answer)) = self.answers.lock().iter().find(|(known, _)| known == check) {
            return answer.clone();
        }
        match self.authorization.authorize(&question(check, self.user)).now_or_never() {
            Some(answer) => {
                let answer = decision(answer);
                self.answers.lock().push((check.clone(), answer.clone()));
                answer
            }
            None => {
                self.waiting.lock().push(check.clone());
                Decision::default()
            }
        }
    }
}

/// What the request is about, as authorization asks.
pub(super) fn about(attributes: &Attributes<'_>) -> Check {
    Check {
        group: attributes.resource.group.to_string(),
        resource: attributes.resource.plural.to_string(),
        subresource: attributes.subresource.to_owned(),
        namespace: attributes.namespace.to_owned(),
        name: attributes.name.to_owned(),
        ..Check::default()
    }
}

fn question(check: &Check, user: &User) -> authz::Attributes {
    let user = match &check.service_account {
        None => user.clone(),
        Some((namespace, name)) => User {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            ..User::default()
        },
    };
    let is_resource = check.path.is_none();
    authz::Attributes {
        user,
        verb: check.verb.clone(),
        is_resource,
        namespace: check.namespace.clone(),
        group: check.group.clone(),
        version: if is_resource { "*".to_owned() } else { String::new() },
        resource: check.resource.clone(),
        subresource: check.subresource.clone(),
        name: check.name.clone(),
        path: check.path.clone().unwrap_or_default(),
        field_selector: authz::Selector::of_fields(&check.field_selector),
        label_selector: authz::Selector::of_labels(&check.label_selector),
    }
}
