//! Services that an operator's kubeconfig leads to and that are asked by a document: token and authorization webhooks,
//! policy services of images, sinks of audit events.
//!
//! In: a document. Out: the answer's body, or why there is none, in the words of Kubernetes' client. Calls that failed
//! for a moment are made again, each time after a longer pause. Not here: what is asked.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{Backoff, CallError, Client, Kubeconfig, Reply};

/// So often a call is made at most.
const CALLS_MAX: u32 = 5;
/// A service that asks for a longer pause than this gets this one.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// One service.
#[derive(Clone)]
pub struct Hook {
    client: Client,
    url: String,
    headers: HeaderMap,
    /// That one call may take.
    time: Duration,
    first_pause: Duration,
    retries: Retries,
}

/// What is worth another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retries {
    /// What says of itself that it will pass.
    Passing,
    /// Any failure: what is sent must not be lost while there is a chance.
    Any,
}

impl Hook {
    pub fn open(kubeconfig: &Path, time: Duration, first_pause: Duration) -> Result<Hook, String> {
        let config = Kubeconfig::read(kubeconfig)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(config.authorization.map(|value| (header::AUTHORIZATION, value)));
        let client = Client::new(&config.peer).map_err(|error| error.to_string())?;
        Ok(Hook { client, url: config.server, headers, time, first_pause, retries: Retries::Passing })
    }

    pub fn retrying(self, retries: Retries) -> Hook {
        Hook { retries, ..self }
    }

    /// Asks until there is an answer, or a failure that will stay. Who drops the future asks no more.
    pub async fn ask(&self, document: Bytes) -> Result<Bytes, CallError> {
        let mut backoff = Backoff::of_hooks(self.first_pause);
        for _ in 1..CALLS_MAX {
            let outcome = self.call(document.clone()).await;
            let Some(wanted) = again(&outcome, self.retries) else { return answer(outcome) };
            tokio::time::sleep(backoff.pause().max(wanted.min(PAUSE_MAX))).await;
        }
        answer(self.call(document).await)
    }

    async fn call(&self, document: Bytes) -> Result<Reply, CallError> {
        self.client.call(Method::POST, &self.url, self.headers.clone(), document, self.time).await
    }
}

/// Whether another call may help, and the pause that the service asked for.
fn again(outcome: &Result<Reply, CallError>, retries: Retries) -> Option<Duration> {
    let any = retries == Retries::Any;
    match outcome {
        Ok(reply) => {
            let told = reply.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let busy = matches!(reply.status.as_u16(), 429 | 500 | 504);
            let refused = !reply.status.is_success();
            (busy || (refused && (any || told.is_some()))).then(|| Duration::from_secs(told.unwrap_or(0)))
        }
        Err(CallError(why)) => (any || why.contains("connection reset by peer")).then_some(Duration::ZERO),
    }
}

fn answer(outcome: Result<Reply, CallError>) -> Result<Bytes, CallError> {
    let reply = outcome?;
    match reply.status.is_success() {
        true => Ok(reply.body),
        false => Err(CallError(refusal(reply.status, &reply.body))),
    }
}

/// What a client of Kubernetes makes of an answer that is none: the message of a Status, or words for the code.
fn refusal(code: StatusCode, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Status {
        kind: String,
        message: String,
    }
    if let Ok(status) = serde_json::from_slice::<Status>(body)
        && status.kind == "Status"
        && !status.message.is_empty()
    {
        return status.message;
    }
    let said = String::from_utf8_lossy(body);
    let said = if said.is_empty() { "unknown" } else { said.trim_end() };
    match code.as_u16() {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => said.to_owned(),
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => "the server was unable to return a response in the time allotted, but may still be processing the \
                request"
            .to_owned(),
        500..=599 => format!("an error on the server ({said:?}) has prevented the request from succeeding"),
        _ => format!("the server responded with the status code {} but did not return more information", code.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::client::stand_in::{StandIn, answer};

    /// What comes of these answers, one after the other, and how many calls were made.
    async fn outcome(answers: &'static [(u16, &'static str)]) -> (Result<Bytes, CallError>, usize) {
        let at = AtomicU32::new(0);
        let server = StandIn::start(move |_| {
            let (code, body) = answers[at.fetch_add(1, Ordering::Relaxed) as usize];
            answer(code, body)
        })
        .await;
        let hook = Hook::open(&server.kubeconfig(), Duration::from_secs(5), Duration::from_millis(1)).unwrap();
        let outcome = hook.ask(Bytes::from_static(b"{}")).await;
        let asked = server.asked();
        assert!(asked.iter().all(|asked| asked.path == "/hook" && asked.header("authorization") == "Bearer shown"));
        (outcome, asked.len())
    }

    #[tokio::test]
    async fn calls_are_made_again_while_that_may_help() {
        let good = Ok(Bytes::from_static(b"{}"));
        let bad = |why: &str| Err(CallError(why.to_owned()));
        let busy = bad("the server has received too many requests and has asked us to try again later");
        let broken = bad("an error on the server (\"oh\") has prevented the request from succeeding");
        assert_eq!(outcome(&[(200, "{}")]).await, (good.clone(), 1));
        assert_eq!(outcome(&[(500, ""), (429, ""), (504, ""), (200, "{}")]).await, (good, 4));
        assert_eq!(outcome(&[(429, ""); 5]).await, (busy, 5));
        assert_eq!(outcome(&[(500, "oh"); 5]).await, (broken.clone(), 5));
        assert_eq!(outcome(&[(501, "oh")]).await, (broken, 1));
        assert_eq!(outcome(&[(400, r#"{"kind":"Status","message":"no"}"#)]).await, (bad("no"), 1));
    }
}
