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

use super::Limits;

/// What a connection is doing, since when, and until when it may. Shared by the socket, the service and the body.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    phase: Phase,
    deadline: Instant,
    /// How long the last scrape took, until somebody asks.
    scraped: Option<Duration>,
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
    pub(super) fn new(limits: Limits) -> Self {
        let deadline = Instant::now() + limits.header;
        Self(Arc::new(Mutex::new(Inner { limits, phase: Phase::Request, deadline, scraped: None })))
    }

    /// When the connection has to be ended if nothing happens.
    pub(super) fn deadline(&self) -> Instant {
        self.inner().deadline
    }

    /// A request is complete.
    pub(super) fn requested(&self) {
        let mut inner = self.inner();
        inner.phase = Phase::Answer { made: false, scrape: None };
        // The loop and other transfers have deadlines of their own before the first byte.
        inner.deadline = Instant::now() + inner.limits.write + inner.limits.answer * 2;
    }

    /// The request is a scrape that began at `since`, and sending begins now.
    pub(super) fn scrape(&self, since: Instant) {
        let mut inner = self.inner();
        inner.phase = Phase::Answer { made: false, scrape: Some(since) };
        inner.deadline = Instant::now() + inner.limits.write;
    }

    /// The last piece of an answer was handed over.
    pub(super) fn answer_made(&self) {
        if let Phase::Answer { made, .. } = &mut self.inner().phase {
            *made = true;
        }
    }

    /// How long a scrape took that ended since the last call.
    pub(super) fn take_scraped(&self) -> Option<Duration> {
        self.inner().scraped.take()
    }

    /// Whether a scrape is not all sent.
    pub(super) fn is_scraping(&self) -> bool {
        matches!(self.inner().phase, Phase::Answer { scrape: Some(_), .. })
    }

    fn received(&self) {
        let mut inner = self.inner();
        if inner.phase == Phase::Idle {
            inner.phase = Phase::Request;
            inner.deadline = Instant::now() + inner.limits.header;
        }
    }

    fn sent(&self) {
        let mut inner = self.inner();
        if let Phase::Answer { made: true, scrape } = inner.phase {
            let now = Instant::now();
            inner.scraped = scrape.map(|since| now - since);
            inner.phase = Phase::Idle;
            inner.deadline = now + inner.limits.idle;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
