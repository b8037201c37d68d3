//! The way of a request through the server, in one function: [`Server::pass`].
//!
//! In: an HTTP request from the listener. Out: an HTTP response. Not here: sockets (net), the verbs themselves.
//! Mutations run detached from the client's connection: a client that goes away does not leave one half done. Reads are
//! cancelled with it.

mod answer;
mod limits;
mod route;

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Method, Response};
use hyper::upgrade::OnUpgrade;
pub use limits::Limits;
pub use route::VERSION;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

use crate::{
    access::{Authorized, Unauthenticated, authz::Attributes},
    config,
    request::{
        Notes, Peer, Request, Session, User,
        body::{Body, BodyError, RequestBody, Seen},
        info::{Query, RequestInfo, has_valid_escapes},
        status::ApiError,
        user::MASTERS_GROUP,
    },
    server::{
        audit::{Audit, Record},
        health::HealthChecks,
        metrics::Metrics,
        respond,
    },
    verbs::Context,
};

/// What answers requests for resources: the verbs, or a stand-in under test.
pub trait Resources: Send + Sync {
    fn serve<'a>(
        &'a self,
        ctx: &'a Arc<Context>,
        request: Authorized,
    ) -> BoxFuture<'a, Result<Response<Body>, ApiError>>;
}

/// Everything that a request passes.
pub struct Server {
    pub context: Arc<Context>,
    pub resources: Arc<dyn Resources>,
    pub audit: Arc<Audit>,
    pub health: HealthChecks,
    pub metrics: Metrics,
    pub request_timeout: Duration,
    pub limits: Limits,
    /// host:port that discovery tells clients.
    pub advertised: String,
    /// Mutations that are under way, and sessions on connections that were upgraded; the wiring waits for them before
    /// it stops.
    pub tasks: TaskTracker,
}

/// What an answer needs to know of the request that the handler consumed.
struct Trace {
    headers: HeaderMap,
    query: Query,
    info: RequestInfo,
    uri: http::Uri,
    notes: Notes,
    audit_id: String,
    received_at: Instant,
    record: Record,
    session: Session,
    body: Seen,
    peer: Option<SocketAddr>,
}

impl Server {
    /// Answers one request. Never fails: whatever goes wrong is an answer too.
    pub async fn handle<B>(self: &Arc<Self>, raw: http::Request<B>, peer: Peer) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BodyError>,
    {
        let received_at = Instant::now();
        let (request, trace) = match self.read(raw, peer, received_at) {
            Ok(read) => read,
            Err(refusal) => return *refusal,
        };
        let is_mutation = !is_read(&request.info.method);
        let _inflight = (!request.info.is_long_running()).then(|| self.metrics.started(is_mutation));
        let deadline = request.deadline;
        let passed =
            AssertUnwindSafe(Arc::clone(self).pass(Unauthenticated::new(request), trace.record.clone())).catch_unwind();
        let passed = async {
            match is_mutation {
                true => self.tasks.spawn(passed).await.unwrap_or_else(|joined| Err(Box::new(joined))),
                false => passed.await,
            }
        };
        let outcome = match deadline {
            Some(at) => tokio::time::timeout_at(at.into(), passed).await.unwrap_or_else(|_| {
                let late = ApiError::timeout("request did not complete within the allotted timeout", 0);
                Ok((String::new(), Err(late)))
            }),
            None => passed.await,
        };
        self.answer(trace, outcome).await
    }

    /// The chain, outermost first: each stage consumes the previous one's type. Authentication comes before
    /// impersonation, which takes the rights of the real user; authorization asks for those of the effective one.
    /// Admission needs the object and so happens inside the verbs. The audit hears of a request when its user is known,
    /// whoever it then acts as.
    async fn pass(
        self: Arc<Self>,
        request: Unauthenticated,
        record: Record,
    ) -> (String, Result<Response<Body>, ApiError>) {
        let access = &self.context.access;
        let request = match access.authenticate(request).await {
            Ok(request) => request,
            Err(refused) => {
                let begun = self.begin(&record, &User::default(), &refused.request);
                return (String::new(), begun.and(Err(refused.error)));
            }
        };
        let name = request.user().name.clone();
        if let Err(lost) = self.begin(&record, request.user(), request.request()) {
            return (name, Err(lost));
        }
        let real = request.user().clone();
        let request = match access.impersonate(request).await {
            Ok(request) => request,
            Err(refusal) => return (name, Err(refusal)),
        };
        if *request.user() != real {
            record.acts_as(request.user());
        }
        let _place = match self.enter(request.user(), &request.request().info) {
            Ok(place) => place,
            Err(refusal) => return (name, Err(refusal)),
        };
        match access.authorize(request).await {
            Ok(request) => (name, self.route(request).await),
            Err(refusal) => (name, Err(refusal)),
        }
    }

    fn begin(&self, record: &Record, user: &User, request: &Request) -> Result<(), ApiError> {
        if !self.audit.is_on() {
            return Ok(());
        }
        record.begin(&self.audit, &Attributes::of_request(user, request), request)
    }

    /// A place among the requests that are handled. Streams need none, and operators get in however full it is.
    fn enter(&self, user: &User, info: &RequestInfo) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        match self.limits.enter(!is_read(&info.method)) {
            _ if info.is_long_running() => Ok(None),
            Err(_) if user.is_in(MASTERS_GROUP) => Ok(None),
            place => place,
        }
    }

    /// Parses what the pipeline needs before it knows the user. The error is a whole answer.
    fn read<B>(
        &self,
        raw: http::Request<B>,
        peer: Peer,
        received_at: Instant,
    ) -> Result<(Request, Trace), Box<Response<Body>>>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BodyError>,
    {
        let (mut parts, body) = raw.into_parts();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let audit_id = parts.headers.get("audit-id").and_then(|v| v.to_str().ok()).filter(|v| !v.is_empty());
        let audit_id = audit_id.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        if !has_valid_escapes(parts.uri.path()) {
            return Err(Box::new(respond::bare_text(400, "400 Bad Request")));
        }
        let info = RequestInfo::parse(&parts.method, &parts.uri, &query).map_err(|error| {
            let text =
                format!("Internal Server Error: {:?}: failed to create RequestInfo: {error}", parts.uri.to_string());
            let mut response = respond::text_error(500, &text);
            respond::identify(response.headers_mut(), &audit_id);
            Box::new(response)
        })?;
        let trace = Trace {
            headers: parts.headers.clone(),
            query: query.clone(),
            info: info.clone(),
            uri: parts.uri.clone(),
            notes: Notes::since(received_at),
            audit_id: audit_id.clone(),
            received_at,
            record: Record::default(),
            session: Session::default(),
            body: Seen::default(),
            peer: peer.address,
        };
        let deadline = match self.deadline(&info, &query, received_at) {
            Ok(deadline) => deadline,
            Err(refusal) => {
                let mut response = respond::error(&refusal, &parts.headers, &query, &self.context.cluster.schema());
                respond::finish(response.headers_mut(), &audit_id, Vec::new());
                return Err(Box::new(response));
            }
        };
        let body = RequestBody::new(body);
        let trace = Trace { body: body.seen(), ..trace };
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let request = Request {
            info,
            query,
            uri: parts.uri,
            headers: parts.headers,
            body,
            upgrade,
            session: trace.session.clone(),
            peer,
            received_at,
            deadline,
            notes: trace.notes.clone(),
            audit_id,
        };
        Ok((request, trace))
    }

    /// When the answer must be there: a client may shorten the server's time, not lengthen it.
    fn deadline(&self, info: &RequestInfo, query: &Query, received_at: Instant) -> Result<Option<Instant>, ApiError> {
        if info.is_long_running() {
            return Ok(None);
        }
        let wish = match query.non_empty("timeout") {
            // One that is past already counts as none.
            Some(text) if text.strip_prefix('-').is_some_and(|size| config::parse_duration(size).is_ok()) => {
                Duration::ZERO
            }
            Some(text) => config::parse_duration(text).map_err(|why| {
                ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}"))
            })?,
            None => Duration::ZERO,
        };
        let time = if wish.is_zero() { self.request_timeout } else { wish.min(self.request_timeout) };
        Ok(Some(received_at + time))
    }
}

/// Methods that read only.
fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests;
