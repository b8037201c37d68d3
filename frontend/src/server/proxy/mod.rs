//! A request handed on to another server, and its answer handed back.
//!
//! In: a request that its user may make, and the aggregated server that answers it. Out: that server's answer, streamed
//! as it comes; a connection that it upgrades is passed through. The server hears who asks by request headers, over a
//! connection on which this server shows its certificate. Failures are texts with a 503, as the original's proxy
//! answers them. Not here: which server it is (`cluster`), and whether it is available.

mod headers;

use std::time::Duration;

use http::{Request, Response, Uri, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, upgrade::OnUpgrade};

use crate::{
    client::{join, remove_hop_headers, switching},
    cluster::{Cluster, Remote},
    request::{
        Request as Asked, Session, User,
        body::{self, Body},
    },
    server::respond,
};

/// Discovery must be quick: clients ask all servers for it.
const DISCOVERY_TIME_MAX: Duration = Duration::from_secs(5);
const REDIRECTED: &str = "the backend attempted to redirect this request, which is not permitted";

/// Hands a request on.
///
/// A dropped future ends the call; whether the other server carries it out is open.
pub(super) async fn forward(cluster: &Cluster, remote: &Remote, asked: Asked, user: &User) -> Response<Body> {
    if !remote.available {
        return respond::text_error(503, "service unavailable");
    }
    let address = match cluster.address_of(remote) {
        Ok(address) => address,
        Err(why) => {
            tracing::warn!(service = remote.service, namespace = remote.namespace, %why, "cannot resolve");
            return respond::text_error(503, "service unavailable");
        }
    };
    let client = match cluster.client_of(remote, &address) {
        Ok(client) => client,
        Err(why) => return respond::text_error(500, &why.to_string()),
    };
    let authority = address.authority();
    let path = asked.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("https://{authority}{path}").parse::<Uri>() else {
        return respond::text_error(503, "service unavailable");
    };
    let is_discovery = !asked.info.is_resource && asked.info.path.trim_matches('/').split('/').count() == 3;
    let upgrades = asked.headers.contains_key(header::UPGRADE);
    let mut request = Request::new(());
    *request.method_mut() = asked.info.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers::forwarded(&asked, &authority, user);
    let (client_side, session, content) = (asked.upgrade, asked.session, asked.body.into_stream());
    let request = request.map(|()| content.boxed_unsync());
    let sent = client.send(request);
    let answer = match is_discovery {
        true => match tokio::time::timeout(DISCOVERY_TIME_MAX, sent).await {
            Ok(answer) => answer.map_err(|why| why.to_string()),
            Err(_) => Err("context deadline exceeded".to_owned()),
        },
        false => sent.await.map_err(|why| why.to_string()),
    };
    match answer {
        Err(why) => respond::text_error(503, &format!("error trying to reach service: {why}")),
        Ok(answer) if answer.status() == http::StatusCode::SWITCHING_PROTOCOLS && upgrades => {
            pass_through(answer, client_side, &session)
        }
        Ok(answer) if answer.status().is_redirection() && answer.headers().contains_key(header::LOCATION) => {
            let mut refusal = Response::new(body::full(REDIRECTED));
            *refusal.status_mut() = http::StatusCode::BAD_GATEWAY;
            refusal
        }
        Ok(answer) => hand_back(answer),
    }
}

/// The answer to an upgrade that the other server agreed to. The two connections are joined when the client has it.
fn pass_through(mut answer: Response<Incoming>, client: Option<OnUpgrade>, session: &Session) -> Response<Body> {
    let Some(client) = client else {
        return respond::text_error(400, "the connection cannot be upgraded");
    };
    session.begin(join(client, hyper::upgrade::on(&mut answer)));
    let (mut parts, _) = answer.into_parts();
    let protocol = parts.headers.remove(header::UPGRADE);
    remove_hop_headers(&mut parts.headers);
    let mut response = switching();
    response.headers_mut().extend(parts.headers);
    response.headers_mut().extend(protocol.map(|protocol| (header::UPGRADE, protocol)));
    response
}

fn hand_back(answer: Response<Incoming>) -> Response<Body> {
    let (mut parts, content) = answer.into_parts();
    remove_hop_headers(&mut parts.headers);
    headers::strip_origins(&mut parts.headers);
    Response::from_parts(parts, content.map_err(Into::into).boxed_unsync())
}
