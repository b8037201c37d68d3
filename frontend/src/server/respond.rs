//! Building HTTP answers: errors in the client's encoding, plain texts, headers that every answer has, compression.

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, BodyStream};
use std::io::Write;

use crate::{
    api::schema::{Gvk, Schema, codec},
    request::{
        body::{self, Body, BodyError},
        info::Query,
        negotiate::{self, MediaType},
        status::ApiError,
    },
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// A plain text, the way Go's `http.Error` writes it: with a newline at its end.
pub fn text_error(code: u16, message: &str) -> Response<Body> {
    text(code, format!("{message}\n"))
}

/// A plain text that nobody need be kept from guessing at.
pub fn bare_text(code: u16, message: impl Into<Bytes>) -> Response<Body> {
    let mut response = text(code, message);
    response.headers_mut().remove(header::X_CONTENT_TYPE_OPTIONS);
    response
}

/// A plain text as it stands.
pub fn text(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

/// A document in JSON, always indented, as the real server writes those that are no API objects.
pub fn raw_json(document: &impl serde::Serialize) -> Response<Body> {
    let mut response = Response::new(body::full(serde_json::to_vec_pretty(document).unwrap_or_default()));
    response.headers_mut().insert(header::CONTENT_TYPE, negotiate::content_type(MediaType::Json));
    response
}

/// An error as this client can read it.
pub fn error(error: &ApiError, headers: &HeaderMap, query: &Query, schema: &Schema) -> Response<Body> {
    if error.plain_text {
        let mut response = text_error(error.code, &error.message);
        set_retry_after(response.headers_mut(), error);
        return response;
    }
    let output = negotiate::error_output(headers, query);
    let (media, bytes) = match output.media {
        MediaType::Json if output.pretty => (MediaType::Json, error.to_json_pretty()),
        MediaType::Json => (MediaType::Json, error.to_json()),
        media => encoded(error, media, schema).map_or_else(|| (MediaType::Json, error.to_json()), |b| (media, b)),
    };
    let mut response = Response::new(body::full(bytes));
    *response.status_mut() = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, negotiate::content_type(media));
    set_retry_after(response.headers_mut(), error);
    if error.nosniff {
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    }
    response
}

fn set_retry_after(headers: &mut HeaderMap, error: &ApiError) {
    if let Some(seconds) = error.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// None where the schema does not know the Status kind.
fn encoded(error: &ApiError, media: MediaType, schema: &Schema) -> Option<Vec<u8>> {
    let status = Gvk::from_static("", "v1", "Status");
    let object = codec::decode_json(schema, &error.to_json(), Some(&status)).ok()?.object;
    if media == MediaType::Protobuf {
        return Some(codec::encode_protobuf(&object).to_vec());
    }
    let mut yaml = Vec::new();
    codec::encode_yaml(&object, &mut yaml);
    Some(yaml)
}

/// Names the request that an answer belongs to.
pub fn identify(headers: &mut HeaderMap, audit_id: &str) {
    if let Ok(id) = HeaderValue::from_str(audit_id) {
        headers.insert("audit-id", id);
    }
}

/// Sets what every answer carries.
pub fn finish(headers: &mut HeaderMap, audit_id: &str, warnings: Vec<String>) {
    identify(headers, audit_id);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    for warning in warnings {
        if let Some(value) = warning_header(&warning) {
            headers.append(header::WARNING, value);
        }
    }
}

/// `299 - "text"`; none for a text with control characters.
fn warning_header(text: &str) -> Option<HeaderValue> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()).ok()
}

/// Answers from this size on are compressed for clients that ask for it.
const COMPRESS_FROM_BYTES: usize = 128 * 1024;

/// Compresses a large answer. Reads ahead at most the size that decides; the rest is compressed as it flows.
/// Dropping the future drops the answer.
pub async fn compress(asked: &HeaderMap, response: Response<Body>) -> Response<Body> {
    let small = response.body().size_hint().upper().is_some_and(|n| n < COMPRESS_FROM_BYTES as u64);
    if small || !accepts_gzip(asked) || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, mut body) = response.into_parts();
    let mut head: Vec<Bytes> = Vec::new();
    let mut head_bytes = 0;
    while head_bytes < COMPRESS_FROM_BYTES {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    head_bytes += data.len();
                    head.push(data);
                }
            }
            Some(Err(error)) => {
                let chunks = head.into_iter().map(Ok).chain([Err(error)]).collect::<Vec<_>>();
                return Response::from_parts(parts, body::stream(futures::stream::iter(chunks)));
            }
            None => return Response::from_parts(parts, body::full(head.concat())),
        }
    }
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    let rest = BodyStream::new(body).filter_map(|frame| async { frame.map(|f| f.into_data().ok()).transpose() });
    let source = futures::stream::iter(head.into_iter().map(Ok)).chain(rest).map(Some);
    let ended = source.chain(futures::stream::once(async { None }));
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let chunks = ended.scan(Some(encoder), |encoder, chunk| {
        let out = gzip_step(encoder, chunk);
        async move { out }
    });
    let chunks = chunks.filter(|chunk| futures::future::ready(!matches!(chunk, Ok(bytes) if bytes.is_empty())));
    Response::from_parts(parts, body::stream(chunks))
}

/// What a chunk (or the end) adds to the compressed stream; none ends it.
fn gzip_step(
    encoder: &mut Option<GzEncoder<Vec<u8>>>,
    chunk: Option<Result<Bytes, BodyError>>,
) -> Option<Result<Bytes, BodyError>> {
    match chunk {
        Some(Ok(data)) => {
            let open = encoder.as_mut()?;
            let written = open.write_all(&data).map(|()| std::mem::take(open.get_mut()).into());
            Some(written.map_err(Into::into))
        }
        Some(Err(error)) => {
            *encoder = None;
            Some(Err(error))
        }
        None => encoder.take().map(|open| open.finish().map(Bytes::from).map_err(Into::into)),
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let wish = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // The bare word alone counts: one with a quality, even of 1, is no wish for it.
    wish.split(',').any(|part| part.trim() == "gzip")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn warnings_are_quoted() {
        assert_eq!(warning_header("a \"b\"").unwrap(), "299 - \"a \\\"b\\\"\"");
        assert!(warning_header("a\nb").is_none());
    }

    fn wants_gzip() -> HeaderMap {
        [(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"))].into_iter().collect()
    }

    #[tokio::test]
    async fn large_streams_are_compressed_and_small_ones_are_not() {
        let chunk = Bytes::from(vec![b'a'; 50_000]);
        for (chunks, compressed) in [(2, false), (10, true)] {
            let stream = futures::stream::iter(vec![chunk.clone(); chunks].into_iter().map(Ok));
            let response = compress(&wants_gzip(), Response::new(body::stream(stream))).await;
            assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), compressed);
            let sent = response.into_body().collect().await.unwrap().to_bytes();
            let mut plain = Vec::new();
            match compressed {
                true => drop(flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut plain).unwrap()),
                false => plain.extend_from_slice(&sent),
            }
            assert_eq!(plain.len(), chunks * 50_000);
        }
    }
}
