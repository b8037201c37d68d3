//! What expressions ask authorization. Each question is asked once a request. Expressions run without waiting: a
//! question that cannot be answered at once is noted, answered after the run, and the run is made again.

use std::fmt;

use futures::FutureExt;
use parking_lot::Mutex;

use super::super::conditions::question;
use crate::{
    access::authz::{self, Authorization, Authorizer as _, Verdict},
    api::cel::authorizer::{Authorizer, Check, Decision},
    request::User,
};

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

    /// The outcome of a run that had all answers.
    pub(super) async fn settle<T>(&self, run: impl Fn(&Asking<'a>) -> T) -> T {
        loop {
            let outcome = run(self);
            let waiting = std::mem::take(&mut *self.waiting.lock());
            if waiting.is_empty() {
                return outcome;
            }
            for check in waiting {
                let decision = decision(self.authorization.authorize(&question(&check, self.user)).await);
                self.answers.lock().push((check, decision));
            }
        }
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
