//! Requests to the HTTP servers of pods, services and nodes, handed on as they are; answers come back with their links
//! led through the proxy.
//!
//! In: a request below `.../proxy`. Out: the backend's answer, streamed. A redirect is answered, not followed. Not
//! here: finding the backend (`location`), the links in pages (`links`).

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{
    forwarded,
    links::{self, Rewriter},
    location::Location,
    upgrade,
    url::escape_path,
};
use crate::{
    client::remove_hop_headers,
    request::{
        Request,
        body::{self, Body},
        status::ApiError,
    },
};

const CORS: [&str; 4] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
];

pub(super) async fn serve(request: Request, location: Location) -> Result<Response<Body>, ApiError> {
    if upgrade::is_upgrade(&request.headers) {
        return upgrade::forward(request, location).await;
    }
    let ends_in_slash = request.info.path.ends_with('/');
    let mut location = Location { query: request.uri.query().unwrap_or_default().to_owned(), ..location };
    if ends_in_slash && !location.path.ends_with('/') {
        location.path.push('/');
    }
    let method = request.info.method.clone();
    if location.path.is_empty() && matches!(method, Method::GET | Method::HEAD) {
        return to_root(&request);
    }
    let host = host(&request, &location);
    let rewriter = Rewriter {
        host: host.clone(),
        backend: location.authority.clone(),
        prefix: prefix(&request.info.path, &location.path).to_owned(),
    };
    let mut headers = forwarded::headers(&request, &location);
    for (name, value) in [
        ("x-forwarded-uri", rewriter.forwarded_uri(&escape_path(&location.path))),
        ("x-forwarded-host", host),
        ("x-forwarded-proto", "https".to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let mut handed_on = HttpRequest::new(request.body.into_stream().boxed_unsync());
    *handed_on.method_mut() = method;
    *handed_on.uri_mut() = location.uri()?;
    *handed_on.headers_mut() = headers;
    let answered = location.client.send(handed_on).await;
    let response =
        answered.map_err(|error| ApiError::service_unavailable(format!("error trying to reach service: {error}")))?;
    answer(response, &rewriter).await
}

/// The proxy's own root: pages there have links that are relative to it.
fn to_root(request: &Request) -> Result<Response<Body>, ApiError> {
    let query = request.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let to = format!("{}/{query}", request.info.path);
    let to = HeaderValue::from_str(&to).map_err(|_| ApiError::bad_request(format!("invalid path {to:?}")))?;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

/// The host that the client named.
fn host(request: &Request, location: &Location) -> String {
    let named = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| request.uri.authority().map(|authority| authority.as_str()));
    named.unwrap_or(&location.authority).to_owned()
}

/// What stands before the backend's own path in the path of a request.
fn prefix<'a>(path: &'a str, below: &str) -> &'a str {
    path.strip_suffix(below).unwrap_or(path)
}

async fn answer(response: Response<Incoming>, rewriter: &Rewriter) -> Result<Response<Body>, ApiError> {
    let (mut parts, content) = response.into_parts();
    for name in CORS {
        parts.headers.remove(name);
    }
    remove_hop_headers(&mut parts.headers);
    let mut body = forwarded::body(content);
    if let Some(to) = parts.headers.get(header::LOCATION).map(|to| to.to_str().map(str::to_owned)) {
        let to = to.map_err(|error| ApiError::internal(format!("error trying to parse Location header: {error}")))?;
        if let Ok(to) = HeaderValue::from_str(&rewriter.rewrite(&to)) {
            parts.headers.insert(header::LOCATION, to);
        }
    } else if is_page(&parts.headers) {
        let encoding = parts.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        body = links::rewritten(body, encoding, rewriter.clone());
        if links::knows(encoding) {
            parts.headers.remove(header::CONTENT_LENGTH);
        }
    }
    // Both say what they think of caching.
    let said = parts.headers.get_all(header::CACHE_CONTROL).iter().cloned().collect::<Vec<_>>();
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    for value in said {
        parts.headers.append(header::CACHE_CONTROL, value);
    }
    Ok(Response::from_parts(parts, body))
}

fn is_page(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().unwrap_or_default().trim() == "text/html"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_what_the_backend_does_not_see() {
        for (path, below, want) in [
            ("/api/v1/namespaces/a/pods/b/proxy/x/y", "/x/y", "/api/v1/namespaces/a/pods/b/proxy"),
            ("/api/v1/nodes/n/proxy/", "/", "/api/v1/nodes/n/proxy"),
        ] {
            assert_eq!(prefix(path, below), want);
        }
    }
}
