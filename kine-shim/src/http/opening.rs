//! The first bytes of a connection: whether the client speaks HTTP/2 from the start. Who opens a connection and then
//! says nothing, or half of it, is not waited for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::timeout,
};

/// RFC 9113, section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were looked at, and are read again.
pub(super) struct Opened<S> {
    first: BytesMut,
    inner: S,
}

impl<S: AsyncRead + Unpin> Opened<S> {
    /// And whether it is HTTP/2. Fails when that is not known `within` the time, or never will be.
    pub(super) async fn read(mut inner: S, within: Duration) -> io::Result<(Self, bool)> {
        let mut first = BytesMut::with_capacity(PREFACE.len());
        let reading = async {
            loop {
                let seen = first.len().min(PREFACE.len());
                if first[..seen] != PREFACE[..seen] {
                    return Ok::<_, io::Error>(false);
                }
                if seen == PREFACE.len() {
                    return Ok(true);
                }
                if inner.read_buf(&mut first).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        let is_http2 = timeout(within, reading).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok((Self { first, inner }, is_http2))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opened<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buffer);
        }
        let count = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..count]);
        self.first.advance(count);
        if self.first.is_empty() {
            self.first = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opened<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(first: &[u8], then: Option<&[u8]>) -> io::Result<(Vec<u8>, bool)> {
        let (client, server) = tokio::io::duplex(64);
        let (_keep, mut client) = tokio::io::split(client);
        tokio::io::AsyncWriteExt::write_all(&mut client, first).await?;
        let reading = Opened::read(server, Duration::from_secs(30));
        let writing = async {
            if let Some(then) = then {
                tokio::task::yield_now().await;
                tokio::io::AsyncWriteExt::write_all(&mut client, then).await.expect("written");
            }
        };
        let (opened, ()) = tokio::join!(reading, writing);
        let (mut stream, is_http2) = opened?;
        let mut bytes = vec![0; first.len() + then.unwrap_or_default().len()];
        stream.read_exact(&mut bytes).await?;
        Ok((bytes, is_http2))
    }

    #[tokio::test(start_paused = true)]
    async fn both_kinds_are_told_apart_and_nothing_is_lost() {
        let (bytes, is_http2) = opened(b"GET / HTTP/1.1\r\n", None).await.expect("opened");
        assert!(!is_http2 && bytes == b"GET / HTTP/1.1\r\n");
        let (bytes, is_http2) = opened(&PREFACE[..7], Some(&PREFACE[7..])).await.expect("opened");
        assert!(is_http2 && bytes == PREFACE);
        let (_, is_http2) = opened(b"PRI", Some(b"NT / HTTP/1.0\r\n")).await.expect("opened");
        assert!(!is_http2);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends() {
        for first in [&b""[..], b"P", &PREFACE[..23]] {
            assert_eq!(opened(first, None).await.expect_err("waited for ever").kind(), io::ErrorKind::TimedOut);
        }
    }
}
