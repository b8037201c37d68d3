//! How an exec or attach ended, as a Status in JSON: what kubelets say on their error stream, and what clients are told
//! on channel 3.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::request::status::{ApiError, Cause, Details};

const NON_ZERO_EXIT: &str = "NonZeroExitCode";
const EXIT_CODE: &str = "ExitCode";

/// A Status without kind, as it stands on a stream.
#[derive(Default, Serialize)]
struct Told<'a> {
    metadata: Empty,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
    #[serde(skip_serializing_if = "is_zero")]
    code: u16,
}

#[derive(Default, Serialize)]
struct Empty {}

fn is_zero(code: &u16) -> bool {
    *code == 0
}

/// What a kubelet says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    kind: String,
    status: String,
    message: String,
    reason: String,
    details: Option<SaidDetails>,
    code: u16,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SaidDetails {
    name: String,
    group: String,
    kind: String,
    causes: Vec<SaidCause>,
    retry_after_seconds: i32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SaidCause {
    reason: String,
    message: String,
    field: String,
}

fn told(told: &Told<'_>) -> Vec<u8> {
    serde_json::to_vec(told).unwrap_or_default()
}

/// What a client is told of an error.
pub(super) fn failure(error: &ApiError) -> Vec<u8> {
    told(&Told {
        status: "Failure",
        message: &error.message,
        reason: error.reason.as_str(),
        details: error.details.as_deref(),
        code: error.code,
        ..Told::default()
    })
}

fn success() -> Vec<u8> {
    told(&Told { status: "Success", ..Told::default() })
}

/// What a client is told when a process ended with a code.
fn exit(code: u8) -> Vec<u8> {
    let cause = Cause { reason: EXIT_CODE.into(), message: code.to_string(), field: String::new() };
    let details = Details { causes: vec![cause], ..Details::default() };
    let message = format!("command terminated with non-zero exit code: command terminated with exit code {code}");
    told(&Told {
        status: "Failure",
        message: &message,
        reason: NON_ZERO_EXIT,
        details: Some(&details),
        ..Told::default()
    })
}

/// What a client is told of the words on a kubelet's error stream; silence is success.
pub(super) fn of_kubelet(words: &[u8]) -> Vec<u8> {
    if words.is_empty() {
        return success();
    }
    match exit_code(words) {
        Ok(None) => success(),
        Ok(Some(code)) => exit(code),
        Err(why) => failure(&ApiError::internal(why)),
    }
}

/// A code other than 0, or none for success.
fn exit_code(words: &[u8]) -> Result<Option<u8>, String> {
    let wrong = |what: &str| Err(format!("error stream protocol error: {what}"));
    let said: Said = match serde_json::from_slice(words) {
        Ok(said) => said,
        Err(error) => return wrong(&format!("{error} in {:?}", String::from_utf8_lossy(words))),
    };
    match (said.status.as_str(), said.reason.as_str()) {
        ("Success", _) => Ok(None),
        ("Failure", NON_ZERO_EXIT) => {
            let Some(details) = said.details else { return wrong("details must be set") };
            let Some(cause) = details.causes.iter().find(|cause| cause.reason == EXIT_CODE) else {
                return wrong(&format!("no {EXIT_CODE} cause given"));
            };
            match cause.message.parse() {
                Ok(code) => Ok(Some(code)),
                Err(_) => wrong(&format!("invalid exit code value {:?}", cause.message)),
            }
        }
        ("Failure", _) => Err(said.message),
        _ => wrong("unknown error"),
    }
}

/// A Status with which a kubelet answers; none if it is none.
pub(super) fn status(body: &[u8]) -> Option<ApiError> {
    let said: Said = serde_json::from_slice(body).ok().filter(|said: &Said| said.kind == "Status")?;
    let details = said.details.map(|details| Details {
        name: details.name,
        group: Cow::Owned(details.group),
        kind: Cow::Owned(details.kind),
        causes: details
            .causes
            .into_iter()
            .map(|cause| Cause { reason: cause.reason.into(), message: cause.message, field: cause.field })
            .collect(),
        retry_after_seconds: details.retry_after_seconds,
        ..Details::default()
    });
    let error = ApiError::new(said.code, said.reason.as_str(), said.message);
    Some(match details {
        Some(details) => error.with_details(details),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kubelet_says_is_told_as_the_original_tells_it() {
        let cases = [
            ("", r#"{"metadata":{},"status":"Success"}"#),
            (r#"{"metadata":{},"status":"Success"}"#, r#"{"metadata":{},"status":"Success"}"#),
            (
                r#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#,
                r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#,
            ),
            (
                r#"{"status":"Failure","reason":"InternalError","message":"no such container"}"#,
                r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: no such container","reason":"InternalError","details":{"causes":[{"message":"no such container"}]},"code":500}"#,
            ),
            (
                r#"{"status":"Failure","reason":"NonZeroExitCode"}"#,
                r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: error stream protocol error: details must be set","reason":"InternalError","details":{"causes":[{"message":"error stream protocol error: details must be set"}]},"code":500}"#,
            ),
        ];
        for (said, want) in cases {
            assert_eq!(String::from_utf8(of_kubelet(said.as_bytes())).unwrap(), want);
        }
    }

    #[test]
    fn a_status_is_handed_on() {
        let error = status(br#"{"kind":"Status","status":"Failure","message":"no","reason":"NotFound","code":404}"#);
        let error = error.unwrap();
        assert_eq!((error.code, error.reason.as_str(), error.message.as_str()), (404, "NotFound", "no"));
        assert!(status(b"no").is_none());
        assert!(status(b"{}").is_none());
    }
}
