//! A request as handlers see it, who is at the other end of it, and the warnings that go back with its answer.

use std::time::Instant;

use futures::future::BoxFuture;
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;

use super::{
    body::RequestBody,
    info::{Query, RequestInfo, UnknownForm},
    steps::Steps,
};

/// What is noted of a request while it is answered. Clones share it.
#[derive(Clone, Debug)]
pub struct Notes {
    /// Becomes `Warning` headers of the answer.
    pub warnings: Warnings,
    /// Goes into the audit log with the request.
    pub annotations: AuditAnnotations,
    /// Told in the log where the request was slow.
    pub steps: Steps,
}

impl Notes {
    pub fn since(began: Instant) -> Notes {
        Notes { warnings: Warnings::default(), annotations: AuditAnnotations::default(), steps: Steps::since(began) }
    }
}

/// A request as a handler sees it.
#[derive(Debug)]
pub struct Request {
    pub info: RequestInfo,
    pub query: Query,
    /// The URI as the client wrote it, for messages and proxies.
    pub uri: http::Uri,
    pub headers: HeaderMap,
    pub body: RequestBody,
    /// The connection itself, for handlers that switch protocols.
    pub upgrade: Option<OnUpgrade>,
    /// What a handler that switches protocols does from then on.
    pub session: Session,
    /// Who is at the other end, as far as TLS and TCP tell.
    pub peer: Peer,
    pub received_at: Instant,
    /// When the answer must be there; none for long-running requests.
    pub deadline: Option<Instant>,
    pub notes: Notes,
    /// The id that ties answer, log and audit together.
    pub audit_id: String,
}

impl Request {
    /// A request that did not come over a connection: this server's own.
    pub fn local(
        method: &http::Method,
        uri: http::Uri,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Request, UnknownForm> {
        let query = Query::parse(uri.query().unwrap_or_default());
        Ok(Request {
            info: RequestInfo::parse(method, &uri, &query)?,
            query,
            uri,
            headers,
            body,
            upgrade: None,
            session: Session::default(),
            peer: Peer::default(),
            received_at: Instant::now(),
            deadline: None,
            notes: Notes::since(Instant::now()),
            audit_id: String::new(),
        })
    }

    pub fn user_agent(&self) -> &str {
        self.headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

/// What happens on a connection whose protocol was switched. A handler that answers 101 leaves it here; the server runs
/// it, and drops it when it goes down.
#[derive(Clone, Default)]
pub struct Session(std::sync::Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Session {
    pub fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock() = Some(Box::pin(work));
    }

    pub fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().take()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

/// The other end of the connection.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub address: Option<std::net::SocketAddr>,
    /// The client certificate chain that TLS already verified, DER, leaf first.
    pub certificates: std::sync::Arc<[rustls_pki_types::CertificateDer<'static>]>,
}

/// Collects texts for `Warning` headers while a request is handled. The same text is kept once.
#[derive(Clone, Debug, Default)]
pub struct Warnings(std::sync::Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    texts: Vec<String>,
    /// Letters that will be sent.
    written: usize,
    /// There are too many to be sent whole: each is cut.
    cutting: bool,
}

/// Whole texts are sent up to this many letters; when there are more, each is cut, and none follows once so many are
/// sent.
const WARNING_LETTERS_MAX: usize = 4 * 1024;
const CUT_LETTERS: usize = 256;

impl Warnings {
    pub fn add(&self, text: impl Into<String>) {
        let text = text.into();
        let mut kept = self.0.lock();
        let full = kept.cutting && kept.written >= WARNING_LETTERS_MAX;
        if text.is_empty() || full || kept.texts.contains(&text) || text.chars().any(char::is_control) {
            return;
        }
        let letters = text.chars().count();
        kept.texts.push(text);
        if kept.cutting {
            kept.written += letters.min(CUT_LETTERS);
        } else if kept.written + letters <= WARNING_LETTERS_MAX {
            kept.written += letters;
        } else {
            kept.cutting = true;
            kept.written = kept.texts.iter().map(|text| text.chars().count().min(CUT_LETTERS)).sum();
        }
    }

    pub fn take(&self) -> Vec<String> {
        let Kept { texts, cutting, .. } = std::mem::take(&mut *self.0.lock());
        match cutting {
            true => texts.into_iter().map(|text| text.chars().take(CUT_LETTERS).collect()).collect(),
            false => texts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_that_are_too_long_are_cut() {
        let warnings = Warnings::default();
        for text in ["a", "a", &"b".repeat(5000), "c"] {
            warnings.add(text);
        }
        assert_eq!(warnings.take(), ["a".to_owned(), "b".repeat(256), "c".to_owned()]);
        for at in 0..100 {
            warnings.add(format!("{at} {}", "d".repeat(300)));
        }
        assert_eq!(warnings.take().len(), 16);
    }
}

/// Collects what the audit log is to tell of a request besides itself: keys with a domain and their values. The first
/// value of a key stays.
#[derive(Clone, Debug, Default)]
pub struct AuditAnnotations(std::sync::Arc<Mutex<Vec<(String, String)>>>);

/// A request has at most this many annotations; more are left out and said in the log.
const ANNOTATIONS_MAX: usize = 256;

impl AuditAnnotations {
    pub fn add(&self, key: impl Into<String>, value: impl Into<String>) {
        let (key, mut kept) = (key.into(), self.0.lock());
        if kept.iter().any(|(present, _)| *present == key) {
            return;
        }
        match kept.len() < ANNOTATIONS_MAX {
            true => kept.push((key, value.into())),
            false => tracing::warn!(key, "an audit annotation is left out: there are too many"),
        }
    }

    pub fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.0.lock())
    }
}
