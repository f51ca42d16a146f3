//! A socket whose first byte was looked at: it says whether the client speaks TLS, before a word is said.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// With what a TLS handshake begins.
const HANDSHAKE: u8 = 0x16;

/// The socket, with its first byte in front again.
pub(super) struct Peeked<T> {
    first: Option<u8>,
    io: T,
}

impl<T: AsyncRead + Unpin> Peeked<T> {
    /// Waits for the first byte.
    pub(super) async fn new(mut io: T) -> io::Result<Self> {
        let first = Some(io.read_u8().await?);
        Ok(Self { first, io })
    }

    /// Whether the client begins as TLS does.
    pub(super) fn is_tls(&self) -> bool {
        self.first == Some(HANDSHAKE)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Peeked<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Peeked<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
