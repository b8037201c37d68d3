//! Writes of a connection, gathered: what many streams have to say at the same moment leaves in full TLS records and
//! few calls of the operating system.
//!
//! HTTP/2 flushes behind every frame. Here a flush waits until the connection has nothing more to do for now, or until
//! enough is gathered; then everything is written.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is gathered at most: four full TLS records. Who writes more waits until they are gone.
const GATHERED_MAX: usize = 64 * 1024;

/// The stream of a connection; all handles share it.
pub(super) struct Gathered<S>(Arc<Mutex<Shared<S>>>);

struct Shared<S> {
    stream: S,
    gathered: BytesMut,
    /// While a [`Driven`] connection writes what is gathered. Else (on an upgraded connection) nothing is held back.
    is_driven: bool,
}

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Gathered(Arc::clone(&self.0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gathered<S> {
    pub(super) fn new(stream: S) -> Gathered<S> {
        Gathered(Arc::new(Mutex::new(Shared { stream, gathered: BytesMut::new(), is_driven: false })))
    }

    /// Drives a connection that reads and writes here.
    pub(super) fn drive<C: Future>(&self, connection: C) -> Driven<S, C> {
        self.0.lock().is_driven = true;
        Driven { io: self.clone(), connection: Box::pin(connection), has_ended: false }
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.gathered))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.gathered.advance(written),
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Room for some more; nothing stays behind where nobody drives.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.gathered.len() >= GATHERED_MAX || !self.is_driven && !self.gathered.is_empty() {
            true => self.poll_written(cx),
            false => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.0.lock();
        ready!(shared.poll_room(cx))?;
        if !shared.is_driven {
            return Pin::new(&mut shared.stream).poll_write_vectored(cx, bufs);
        }
        bufs.iter().for_each(|buf| shared.gathered.extend_from_slice(buf));
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.0.lock();
        match shared.is_driven {
            true => shared.poll_room(cx),
            false => shared.poll_written(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.0.lock();
        ready!(shared.poll_written(cx))?;
        Pin::new(&mut shared.stream).poll_shutdown(cx)
    }
}

/// A connection whose writes are gathered while it has something to do, and written then.
pub(super) struct Driven<S, C: Future> {
    io: Gathered<S>,
    connection: Pin<Box<C>>,
    /// The connection is at its end, and its last bytes are being written.
    has_ended: bool,
}

impl<S, C, E> Future for Driven<S, C>
where
    S: AsyncWrite + Unpin,
    C: Future<Output = Result<(), E>>,
    E: Unpin,
{
    type Output = Result<(), E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let this = &mut *self;
        if !this.has_ended {
            match this.connection.as_mut().poll(cx) {
                // Nobody waits for the last bytes of a connection that has failed.
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => this.has_ended = true,
                Poll::Pending => {}
            }
        }
        let mut shared = this.io.0.lock();
        // A connection that cannot write learns of it when it writes again, or reads.
        let written = shared.poll_written(cx);
        if !this.has_ended || written.is_pending() {
            return Poll::Pending;
        }
        shared.is_driven = false;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Counts what is written at once.
    struct Counting<S>(S, Arc<Mutex<Vec<usize>>>);

    impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let written = ready!(Pin::new(&mut self.0).poll_write(cx, buf))?;
            self.1.lock().push(written);
            Poll::Ready(Ok(written))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test]
    async fn what_is_written_and_flushed_in_one_go_leaves_at_once_and_whole() {
        let (near, mut far) = duplex(1 << 20);
        let writes = Arc::new(Mutex::new(Vec::new()));
        let io = Gathered::new(Counting(near, Arc::clone(&writes)));
        let mut writer = io.clone();
        let connection = async move {
            for _ in 0..100 {
                writer.write_all(&[7; 100]).await?;
                writer.flush().await?;
            }
            // Beyond the bound it is written without waiting for the end.
            writer.write_all(&[8; GATHERED_MAX]).await?;
            writer.write_all(&[9; 10]).await
        };
        io.drive(connection).await.unwrap();
        assert_eq!(*writes.lock(), [10_000 + GATHERED_MAX, 10]);
        // Upgraded connections are not driven any more: nothing is held back.
        let mut upgraded = io.clone();
        upgraded.write_all(b"at once").await.unwrap();
        assert_eq!(writes.lock().last(), Some(&7));
        let mut read = vec![0; 10_000 + GATHERED_MAX + 17];
        far.read_exact(&mut read).await.unwrap();
        assert!(read.ends_with(b"at once"));
    }
}
