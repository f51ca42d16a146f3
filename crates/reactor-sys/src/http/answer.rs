//! Bodies of answers: a fixed text, or metrics that are put together while they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reactor_core::metrics;
use tokio::sync::OwnedSemaphorePermit;

use super::watch::Watch;

/// Bytes that are put together and sent at a time: few enough to be still in the processor's cache when the kernel copies them
/// (measured: pieces of 64 KiB are sent a fifth faster than those of 256 KiB or more).
const PIECE: usize = 64 * 1024;

/// The body of one answer. It tells its connection when it is done with.
pub(super) struct Answer {
    content: Content,
    watch: Watch,
}

enum Content {
    Text(Bytes),
    Metrics {
        body: Box<metrics::Body>,
        left: u64,
        /// The place among the transfers that run.
        _place: OwnedSemaphorePermit,
    },
}

impl Answer {
    pub(super) fn text(text: impl Into<Bytes>, watch: Watch) -> Self {
        Self { content: Content::Text(text.into()), watch }
    }

    pub(super) fn metrics(body: metrics::Body, place: OwnedSemaphorePermit, watch: Watch) -> Self {
        let left = body.len();
        Self { content: Content::Metrics { body: Box::new(body), left, _place: place }, watch }
    }

    fn left(&self) -> u64 {
        match &self.content {
            Content::Text(text) => text.len() as u64,
            Content::Metrics { left, .. } => *left,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.content {
            Content::Text(text) => std::mem::take(text),
            Content::Metrics { body, left, .. } => {
                let size = usize::try_from(*left).map_or(PIECE, |left| left.min(PIECE));
                // Some room for the last resource, which is not cut.
                let mut piece = Vec::with_capacity(size + size / 16);
                body.next_piece(PIECE, &mut piece);
                *left = left.saturating_sub(piece.len() as u64);
                Bytes::from(piece)
            }
        };
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
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
