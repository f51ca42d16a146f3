//! Deadlines of one connection. hyper's own header timeout also runs between two requests, where a scraper is silent for a
//! minute and right to be.
//!
//! ```text
//!   (new) ─▶ Request ── request read ──▶ Answer ── all sent ──▶ Idle
//!               ▲                                                │
//!               └──────────────── first byte ────────────────────┘
//! ```

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::serve::Server;

/// What a connection is doing, since when, and until when it may. Shared by the socket, the service and the body.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    server: Arc<Server>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    deadline: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Request,
    /// `made` = the last piece was handed over, not yet sent. `scrape` = when this began, if it is one.
    Answer {
        made: bool,
        scrape: Option<Instant>,
    },
    Idle,
}

impl Watch {
    pub(super) fn new(server: Arc<Server>) -> Self {
        let deadline = Instant::now() + server.limits.header;
        Self { server, inner: Arc::new(Mutex::new(Inner { phase: Phase::Request, deadline })) }
    }

    /// When the connection has to be ended if nothing happens.
    pub(super) fn deadline(&self) -> Instant {
        self.inner().deadline
    }

    /// A request is complete.
    pub(super) fn requested(&self) {
        let limits = &self.server.limits;
        // The loop and other transfers have deadlines of their own before the first byte.
        let time = limits.write + limits.answer + limits.place;
        self.enter(Phase::Answer { made: false, scrape: None }, time);
    }

    /// The request is a scrape that began at `since`, and sending begins now.
    pub(super) fn scrape(&self, since: Instant) {
        self.enter(Phase::Answer { made: false, scrape: Some(since) }, self.server.limits.write);
    }

    /// The last piece of an answer was handed over.
    pub(super) fn answer_made(&self) {
        if let Phase::Answer { made, .. } = &mut self.inner().phase {
            *made = true;
        }
    }

    /// Whether a scrape is not all sent.
    pub(super) fn is_scraping(&self) -> bool {
        matches!(self.inner().phase, Phase::Answer { scrape: Some(_), .. })
    }

    fn received(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Request, self.server.limits.header);
        }
    }

    fn sent(&self) {
        let Phase::Answer { made: true, scrape } = self.phase() else { return };
        if let Some(since) = scrape {
            let mut health = self.server.health();
            health.scrapes += 1;
            health.scrape_seconds += since.elapsed().as_secs_f64();
        }
        self.enter(Phase::Idle, self.server.limits.idle);
    }

    fn enter(&self, phase: Phase, time: Duration) {
        *self.inner() = Inner { phase, deadline: Instant::now() + time };
    }

    fn phase(&self) -> Phase {
        self.inner().phase
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that tells a [`Watch`] what happens on it.
#[derive(Debug)]
pub(super) struct Watched<T> {
    pub(super) io: T,
    pub(super) watch: Watch,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.watch.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    /// hyper calls this when it has nothing more to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.watch.sent();
        Poll::Ready(Ok(()))
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
