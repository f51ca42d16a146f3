//! Bodies of answers: a fixed text, or the pieces of the metrics, which are sent as they are.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reactor_core::metrics;

use super::gzip::{Member, Press};
use super::watch::Watch;

/// Bytes that are sent at a time: few enough to be still in the processor's cache when the kernel copies them
/// (measured: pieces of 64 KiB are sent a fifth faster than those of 256 KiB or more).
const PIECE: usize = 64 * 1024;

/// Pieces that are smaller are copied together: a call of the kernel costs more than the copy.
const SMALL: usize = 16 * 1024;

/// Bytes that are compressed before others have their turn: about a millisecond.
const WORK: usize = 256 * 1024;

/// The body of one answer. It tells its connection when it is done with.
pub(super) struct Answer {
    content: Content,
    watch: Watch,
}

enum Content {
    Text(Bytes),
    Metrics(Metrics),
    Gzip(Gzip),
}

/// The metrics, compressed while they are sent.
struct Gzip {
    body: Box<metrics::Body>,
    press: Arc<Press>,
    /// `None` = all is sent.
    member: Option<Member>,
    /// The next piece of the body.
    next: usize,
    /// Others have their turn before more is compressed.
    pause: bool,
    /// Says that the text is still being read.
    _number: Arc<u64>,
}

impl Gzip {
    /// What is sent next; empty at the end.
    fn next(&mut self) -> Bytes {
        let (mut out, mut worked) = (Vec::new(), 0);
        while let Some(piece) = self.body.piece(self.next)
            && out.len() < PIECE
            && worked < WORK
        {
            let Some(member) = &mut self.member else { break };
            let (squeezed, is_new) = self.press.squeeze(self.body.stamp(self.next), piece);
            worked += if is_new { piece.len() } else { 0 };
            member.add(&mut out, &squeezed);
            self.next += 1;
        }
        self.pause = worked > 0;
        if self.next == self.body.pieces()
            && let Some(member) = self.member.take()
        {
            member.end(&mut out, self.body.len());
        }
        out.into()
    }
}

struct Metrics {
    body: Box<metrics::Body>,
    /// The next piece of the body.
    next: usize,
    /// What is left of the piece before.
    rest: Bytes,
    left: u64,
    /// Says that the text is still being read.
    _number: Arc<u64>,
}

/// A piece that the body keeps too.
struct Shared(metrics::Piece);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Metrics {
    /// What is sent next; empty at the end.
    fn next(&mut self) -> Bytes {
        let mut small = Vec::new();
        while self.rest.is_empty()
            && small.len() < PIECE
            && let Some(piece) = self.body.piece(self.next)
        {
            if piece.len() < SMALL {
                small.extend_from_slice(piece);
            } else if small.is_empty() {
                self.rest = Bytes::from_owner(Shared(Arc::clone(piece)));
            } else {
                break;
            }
            self.next += 1;
        }
        let bytes = if small.is_empty() { self.rest.split_to(self.rest.len().min(PIECE)) } else { small.into() };
        self.left = self.left.saturating_sub(bytes.len() as u64);
        bytes
    }
}

impl Answer {
    pub(super) fn text(text: impl Into<Bytes>, watch: Watch) -> Self {
        Self { content: Content::Text(text.into()), watch }
    }

    pub(super) fn metrics(body: metrics::Body, number: Arc<u64>, watch: Watch) -> Self {
        let left = body.len();
        let metrics = Metrics { body: Box::new(body), next: 0, rest: Bytes::new(), left, _number: number };
        Self { content: Content::Metrics(metrics), watch }
    }

    /// The same, compressed.
    pub(super) fn gzip(body: metrics::Body, number: Arc<u64>, press: Arc<Press>, watch: Watch) -> Self {
        let member = Some(Member::default());
        let gzip = Gzip { body: Box::new(body), press, member, next: 0, pause: false, _number: number };
        Self { content: Content::Gzip(gzip), watch }
    }

    /// How much is left; `None` = that is seen when it is made.
    fn left(&self) -> Option<u64> {
        match &self.content {
            Content::Text(text) => Some(text.len() as u64),
            Content::Metrics(metrics) => Some(metrics.left),
            Content::Gzip(gzip) => gzip.member.is_none().then_some(0),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut self.content {
            Content::Text(text) => std::mem::take(text),
            Content::Metrics(metrics) => metrics.next(),
            Content::Gzip(gzip) => {
                if std::mem::take(&mut gzip.pause) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                gzip.next()
            }
        };
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.watch.answer_made();
    }
}
