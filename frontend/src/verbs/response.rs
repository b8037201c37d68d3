//! Bytes in the form that was agreed on, and the response that carries them.

use bytes::Bytes;
use http::{Response, StatusCode, header};

use crate::{
    api::schema::{Object, codec},
    request::{
        body::Body,
        negotiate::{self, MediaType, Output},
    },
};

pub(super) fn response(code: u16, media: MediaType, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, negotiate::content_type(media));
    response
}

pub(super) fn encode(object: &Object, output: Output) -> Bytes {
    let mut out = Vec::new();
    match output.media {
        MediaType::Json if output.pretty => codec::encode_json_pretty(object, &mut out),
        MediaType::Json => {
            codec::encode_json(object, &mut out);
            out.push(b'\n');
        }
        MediaType::Yaml => codec::encode_yaml(object, &mut out),
        MediaType::Protobuf => return codec::encode_protobuf(object),
    }
    out.into()
}
