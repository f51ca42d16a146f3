//! Deadlines of one connection. hyper's own header timeout also runs between two requests, where a scraper is silent for a
//! minute and right to be.
//!
//! ```text
//!   (new) ─▶ Request ── request read ──▶ [Door ─▶] Answer ── all sent ──▶ Idle
//!               ▲                                                         │
//!               └───────────────────── first byte ────────────────────────┘
//! ```

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::serve::Server;

/// Bytes that a client has to read within [`Limits::slow`](super::Limits::slow).
const LEAST: usize = 64 * 1024;

/// Without so many bytes for so long, a transfer gives way to somebody who wants its place.
const STALLED: Duration = Duration::from_secs(1);

/// What a connection is doing, since when, and until when it may. Shared by the socket, the service and the body.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    server: Arc<Server>,
    seat: Arc<Seat>,
}

/// What is known of one connection. It outlives the connection by nothing but its own memory.
#[derive(Debug)]
pub(super) struct Seat {
    inner: Mutex<Inner>,
    ended: Notify,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    /// Since when; of an answer that is being sent, when it last got on.
    since: Instant,
    deadline: Instant,
    /// Whether it ever had an answer.
    answered: bool,
    is_ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Request,
    /// Its password is being checked, or waits for that.
    Door,
    Answer(Sending),
    Idle,
}

/// An answer on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sending {
    /// The last piece was handed over, not yet sent.
    made: bool,
    /// When the scrape began and the number of its text, if it is one.
    scrape: Option<(Instant, u64)>,
    /// When all has to be sent; `None` = it is being made.
    until: Option<Instant>,
    /// Bytes since it last got on.
    moved: usize,
}

/// What is lost if a connection is ended; the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Loss {
    /// It never asked for anything.
    Nothing,
    /// It has begun a request and not ended it.
    SlowRequest,
    /// It has not shown yet that it may ask.
    Unproven,
    /// It has had its answer, and a new connection is cheap.
    Silent,
    /// It does not read what it asked for.
    Stalled,
}

impl Seat {
    /// A new connection, which has until `deadline` for its first request.
    pub(super) fn new(deadline: Instant) -> Self {
        let inner = Inner { phase: Phase::Request, since: Instant::now(), deadline, answered: false, is_ended: false };
        Self { inner: Mutex::new(inner), ended: Notify::new() }
    }

    /// What is lost if it is ended, and since when it is so; `None` = it is being served.
    pub(super) fn loss(&self, now: Instant) -> Option<(Loss, Instant)> {
        let inner = self.inner();
        let loss = match inner.phase {
            Phase::Request if !inner.answered => Loss::Nothing,
            Phase::Request => Loss::SlowRequest,
            Phase::Door => Loss::Unproven,
            Phase::Idle => Loss::Silent,
            Phase::Answer(Sending { until: Some(_), .. }) if now >= inner.since + STALLED => Loss::Stalled,
            Phase::Answer(_) => return None,
        };
        Some((loss, inner.since))
    }

    /// The number of the text that it reads.
    pub(super) fn reads(&self) -> Option<u64> {
        match self.inner().phase {
            Phase::Answer(Sending { scrape: Some((_, number)), .. }) => Some(number),
            _ => None,
        }
    }

    /// Ends the connection.
    pub(super) fn end(&self) {
        self.inner().is_ended = true;
        self.ended.notify_one();
    }

    #[cfg(test)]
    pub(super) fn is_ended(&self) -> bool {
        self.inner().is_ended
    }

    /// Waits until somebody ends it.
    pub(super) async fn ended(&self) {
        while !self.inner().is_ended {
            self.ended.notified().await;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    pub(super) fn new(server: Arc<Server>, seat: Arc<Seat>) -> Self {
        Self { server, seat }
    }

    /// When the connection has to be ended if nothing happens.
    pub(super) fn deadline(&self) -> Instant {
        self.inner().deadline
    }

    /// The handshake is done: now the first request has its time.
    pub(super) fn came_in(&self) {
        self.enter(Phase::Request, self.server.limits.header);
    }

    /// A request is complete.
    pub(super) fn requested(&self) {
        let limits = &self.server.limits;
        // The loop has a deadline of its own before the first byte.
        self.enter(Phase::Answer(Sending::default()), limits.write + limits.answer);
    }

    /// The password of the request is to be checked, in its turn.
    pub(super) fn waits_at_the_door(&self) {
        self.enter(Phase::Door, self.server.limits.write + self.server.limits.answer);
    }

    /// The request is a scrape that began at `since`, and sending of text `number` begins now.
    pub(super) fn scrape(&self, since: Instant, number: u64) {
        let limits = &self.server.limits;
        let until = Some(Instant::now() + limits.write);
        let sending = Sending { scrape: Some((since, number)), until, ..Sending::default() };
        self.enter(Phase::Answer(sending), limits.write.min(limits.slow));
    }

    /// The last piece of an answer was handed over.
    pub(super) fn answer_made(&self) {
        if let Phase::Answer(sending) = &mut self.inner().phase {
            sending.made = true;
        }
    }

    /// Whether a scrape is not all sent.
    pub(super) fn is_scraping(&self) -> bool {
        matches!(self.inner().phase, Phase::Answer(Sending { scrape: Some(_), .. }))
    }

    fn received(&self) {
        if self.inner().phase == Phase::Idle {
            self.enter(Phase::Request, self.server.limits.header);
        }
    }

    /// The client has taken so many bytes.
    fn moved(&self, bytes: usize) {
        let mut inner = self.inner();
        let Phase::Answer(Sending { moved, until: Some(until), .. }) = &mut inner.phase else { return };
        *moved += bytes;
        if *moved >= LEAST {
            *moved = 0;
            let (now, until) = (Instant::now(), *until);
            (inner.since, inner.deadline) = (now, until.min(now + self.server.limits.slow));
        }
    }

    fn sent(&self) {
        let Phase::Answer(Sending { made: true, scrape, .. }) = self.inner().phase else { return };
        if let Some((since, _)) = scrape {
            let mut health = self.server.health();
            health.scrapes += 1;
            health.scrape_seconds += since.elapsed().as_secs_f64();
        }
        self.enter(Phase::Idle, self.server.limits.idle);
    }

    fn enter(&self, phase: Phase, time: Duration) {
        let now = Instant::now();
        let mut inner = self.inner();
        inner.answered |= phase == Phase::Idle;
        (inner.phase, inner.since, inner.deadline) = (phase, now, now + time);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.seat.inner()
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
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.watch.moved(count);
        Poll::Ready(Ok(count))
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
        let count = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        self.watch.moved(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
