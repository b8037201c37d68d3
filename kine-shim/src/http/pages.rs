//! Plain answers: a page, and the parameters of a query.

use http::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue, LOCATION},
};
use tonic::body::Body;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";

pub(super) fn not_found() -> Response<Body> {
    page(StatusCode::NOT_FOUND, TEXT, "404 page not found\n")
}

pub(super) fn page(status: StatusCode, kind: &'static str, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let body = http_body_util::Full::new(body.into());
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The values of a query parameter, `Some("")` for one without a value.
pub(super) fn query<'a>(text: Option<&'a str>, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = text.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

/// The path without empty pieces and dots, where it has some: Go's servers send whoever asks for another one there.
pub(super) fn cleaned(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    for piece in path.split('/').skip(1) {
        match piece {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    if path.len() > 1 && path.ends_with('/') && !clean.ends_with('/') {
        clean.push('/');
    }
    (clean != path && path.starts_with('/')).then_some(clean)
}

pub(super) fn moved(to: &str, query: Option<&str>) -> Response<Body> {
    let to = query.map_or_else(|| to.to_owned(), |query| format!("{to}?{query}"));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::cleaned;

    #[test]
    fn paths_are_cleaned_as_in_go() {
        let cases = [
            ("//v3/kv/range", Some("/v3/kv/range")),
            ("/v3//kv/./range", Some("/v3/kv/range")),
            ("/v3/kv/../watch", Some("/v3/watch")),
            ("/v3/", None),
            ("/", None),
            ("//", Some("/")),
            ("/v3/kv/range", None),
            ("*", None),
        ];
        for (path, clean) in cases {
            assert_eq!(cleaned(path).as_deref(), clean, "{path}");
        }
    }
}
