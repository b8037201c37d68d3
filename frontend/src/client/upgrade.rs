//! Connections that switch protocols. Small and without knowledge of the protocol; bytes flow only as fast as they are
//! taken.

use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::request::body::{self, Body};

/// What is read at once of each direction.
const CHUNK_BYTES: usize = 32 * 1024;

/// An answer that switches protocols; its headers are the caller's.
pub fn switching() -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}

/// Two connections that switch protocols become one: what one side sends, the other gets, until either ends.
pub async fn join(client: OnUpgrade, backend: OnUpgrade) {
    match tokio::try_join!(client, backend) {
        Ok((client, backend)) => joined(TokioIo::new(client), TokioIo::new(backend)).await,
        Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
    }
}

/// Copies both ways until either side ends; then both are closed, in order.
async fn joined<A, B>(a: A, b: B)
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let ((mut a_in, mut a_out), (mut b_in, mut b_out)) = (io::split(a), io::split(b));
    tokio::select! {
        _ = copy(&mut a_in, &mut b_out) => {}
        _ = copy(&mut b_in, &mut a_out) => {}
    }
    // Who is gone already need not be told.
    let _ = b_out.shutdown().await;
    let _ = a_out.shutdown().await;
}

/// Copies until the end, sending on at once what has come: an echo must not wait for more.
async fn copy<R, W>(from: &mut R, to: &mut W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..read]).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_pass_both_ways_until_one_side_ends() {
        let (client, mut client_end) = io::duplex(16);
        let (backend, mut backend_end) = io::duplex(16);
        let task = tokio::spawn(joined(client, backend));
        for (from, to) in [(b"one" as &[u8], true), (b"two", false)] {
            let mut got = [0; 3];
            let (writer, reader) = match to {
                true => (&mut client_end, &mut backend_end),
                false => (&mut backend_end, &mut client_end),
            };
            writer.write_all(from).await.unwrap();
            reader.read_exact(&mut got).await.unwrap();
            assert_eq!(got, from);
        }
        backend_end.write_all(b"last words").await.unwrap();
        drop(backend_end);
        let mut rest = Vec::new();
        client_end.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last words");
        task.await.unwrap();
    }
}
