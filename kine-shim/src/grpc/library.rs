//! What the gRPC library says by itself, in the words of the one that etcd is built on (grpc-go): clients' logs and
//! tests know those.

use http::{HeaderMap, Response, header::HeaderValue};

const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

/// A response to `path` that has ended before it began: its status stands in its headers.
pub(crate) fn translate<B>(path: &str, response: &mut Response<B>) {
    let headers = response.headers_mut();
    let Some((status, message)) = translated(path, headers) else { return };
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert(STATUS, HeaderValue::from_static(status));
        headers.insert(MESSAGE, message);
    }
}

fn translated(path: &str, headers: &HeaderMap) -> Option<(&'static str, String)> {
    let message = headers.get(MESSAGE).and_then(|message| message.to_str().ok()).unwrap_or_default();
    match headers.get(STATUS)?.as_bytes() {
        b"11" => {
            let sizes = message.strip_prefix("Error,%20decoded%20message%20length%20too%20large:%20found%20")?;
            let (found, rest) = sizes.split_once("%20")?;
            let limit = rest.strip_prefix("bytes,%20the%20limit%20is:%20")?.split('%').next()?;
            Some(("8", format!("grpc: received message larger than max ({found} vs. {limit})")))
        }
        b"12" if message.is_empty() => {
            let (service, method) = path.trim_start_matches('/').rsplit_once('/')?;
            let is_known = super::SERVICES.contains(&service);
            let what =
                if is_known { format!("method {method} for service {service}") } else { format!("service {service}") };
            Some(("12", format!("unknown {what}")))
        }
        _ => None,
    }
}
