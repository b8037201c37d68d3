//! What a client says in a body of JSON values that may stay open: each value as soon as it is whole, however the
//! bytes come. In goes a body, out come texts; what they mean is not known here.

use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use tonic::Status;

pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The values of one body. A value without an end is bounded by `bytes_max`.
pub(super) struct Said<B> {
    body: Pin<Box<B>>,
    bytes_max: usize,
    buffer: BytesMut,
    scan: Scan,
}

/// How far the value at the buffer's beginning was looked at.
#[derive(Default)]
struct Scan {
    seen: usize,
    depth: usize,
    is_text: bool,
    is_escaped: bool,
}

impl<B> Said<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Error>,
{
    pub(super) fn new(body: B, bytes_max: usize) -> Self {
        Self { body: Box::pin(body), bytes_max, buffer: BytesMut::new(), scan: Scan::default() }
    }

    /// `None` when the client has said all. What follows the last whole value is nothing but its beginning.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(value) = self.cut()? {
                return Ok(Some(value));
            }
            if self.buffer.len() > self.bytes_max {
                return Err(Status::resource_exhausted(format!("a message is larger than {} bytes", self.bytes_max)));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => frame.into_data().iter().for_each(|data| self.buffer.extend_from_slice(data)),
                Some(Err(error)) => return Err(Status::invalid_argument(error.into().to_string())),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Status::invalid_argument("unexpected end of JSON input")),
            }
        }
    }

    fn cut(&mut self) -> Result<Option<Bytes>, Status> {
        let scan = &mut self.scan;
        if scan.depth == 0 {
            let blank = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.buffer.advance(blank);
            if self.buffer.first().is_some_and(|first| *first != b'{') {
                return Err(Status::invalid_argument("a message is an object"));
            }
        }
        for byte in &self.buffer[scan.seen..] {
            scan.seen += 1;
            match byte {
                _ if scan.is_escaped => scan.is_escaped = false,
                b'\\' if scan.is_text => scan.is_escaped = true,
                b'"' => scan.is_text = !scan.is_text,
                _ if scan.is_text => {}
                b'{' | b'[' => scan.depth += 1,
                b'}' | b']' => scan.depth -= 1,
                _ => {}
            }
            if scan.depth == 0 {
                let value = self.buffer.split_to(scan.seen).freeze();
                self.scan = Scan::default();
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// The values, and how it ended.
    async fn said(text: &str, piece: usize) -> (Vec<String>, Result<(), tonic::Code>) {
        let pieces: Vec<Bytes> = text.as_bytes().chunks(piece).map(Bytes::copy_from_slice).collect();
        let body = StreamBody::new(stream::iter(pieces).map(|data| Ok::<_, Error>(Frame::data(data))));
        let (mut said, mut values) = (Said::new(body, 64), Vec::new());
        loop {
            match said.next().await {
                Ok(Some(value)) => values.push(String::from_utf8(value.to_vec()).unwrap()),
                Ok(None) => return (values, Ok(())),
                Err(status) => return (values, Err(status.code())),
            }
        }
    }

    #[tokio::test]
    async fn values_are_told_apart_however_the_bytes_come() {
        let text = "{\"a\":\"}\\\"{\"}\n {\"b\":[{},{\"c\":\"\\\\\"}]}{}\n";
        for piece in [1, 2, 3, 7, 100] {
            let (values, end) = said(text, piece).await;
            assert_eq!(values, [r#"{"a":"}\"{"}"#, r#"{"b":[{},{"c":"\\"}]}"#, "{}"], "pieces of {piece}");
            assert_eq!(end, Ok(()));
        }
    }

    #[tokio::test]
    async fn what_is_no_value_ends_it() {
        let long = format!("{{}}{{\"a\":\"{}", "x".repeat(200));
        let cases = [
            ("", 0, Ok(())),
            (" \n", 0, Ok(())),
            ("{}{", 1, Err(tonic::Code::InvalidArgument)),
            ("{}1", 1, Err(tonic::Code::InvalidArgument)),
            ("]", 0, Err(tonic::Code::InvalidArgument)),
            (&long, 1, Err(tonic::Code::ResourceExhausted)),
        ];
        for (text, count, expected) in cases {
            let (values, end) = said(text, 5).await;
            assert_eq!((values.len(), end), (count, expected), "{text:?}");
        }
    }
}
