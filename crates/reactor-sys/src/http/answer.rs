//! Bodies of answers: a fixed text, or the pieces of the metrics, which are sent as they are.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reactor_core::metrics;

use super::watch::Watch;

/// Bytes that are sent at a time: few enough to be still in the processor's cache when the kernel copies them
/// (measured: pieces of 64 KiB are sent a fifth faster than those of 256 KiB or more).
const PIECE: usize = 64 * 1024;

/// Pieces that are smaller are copied together: a call of the kernel costs more than the copy.
const SMALL: usize = 16 * 1024;

/// The body of one answer. It tells its connection when it is done with.
pub(super) struct Answer {
    content: Content,
    watch: Watch,
}

enum Content {
    Text(Bytes),
    Metrics(Metrics),
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

    fn left(&self) -> u64 {
        match &self.content {
            Content::Text(text) => text.len() as u64,
            Content::Metrics(metrics) => metrics.left,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut self.content {
            Content::Text(text) => std::mem::take(text),
            Content::Metrics(metrics) => metrics.next(),
        };
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.watch.answer_made();
    }
}
