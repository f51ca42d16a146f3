//! How the server asks the loop, and what it gets.

use std::time::Duration;

use reactor_core::metrics::{Cache, Enums, Health, Snapshot};
use reactor_core::model::Node;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Requests that wait for the loop at most; what comes on top waits with its own deadline.
pub const SCRAPE_QUEUE: usize = 16;

/// A request to the loop.
#[derive(Debug)]
pub struct ScrapeRequest {
    wanted: Wanted,
    reply: oneshot::Sender<Scrape>,
}

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Only how the daemon is.
    Health,
    /// Everything, with or without one sample per state.
    Metrics(Enums),
}

/// What the loop answers.
#[derive(Debug)]
pub struct Scrape {
    /// Every resource; none if only the health was asked for.
    pub snapshot: Snapshot,
    /// How the daemon is.
    pub health: Health,
}

/// The way to the loop. Clones lead to the same loop.
#[derive(Clone, Debug)]
pub struct ScrapeHandle {
    to_loop: mpsc::Sender<ScrapeRequest>,
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the main loop of the daemon is too busy to answer")]
    TooBusy,
    #[error("the daemon is stopping")]
    Stopping,
}

/// A way to the loop, and the loop's end of it.
pub fn scrape_channel() -> (ScrapeHandle, mpsc::Receiver<ScrapeRequest>) {
    let (to_loop, requests) = mpsc::channel(SCRAPE_QUEUE);
    (ScrapeHandle { to_loop }, requests)
}

impl ScrapeRequest {
    /// Answers it. `health` is not called if nobody waits for the answer any more.
    pub fn answer(self, node: &Node, cache: &mut Cache, health: impl FnOnce() -> Health) {
        if self.reply.is_closed() {
            return;
        }
        let snapshot = match self.wanted {
            Wanted::Health => Snapshot::default(),
            Wanted::Metrics(enums) => cache.refresh(node.resources(), enums),
        };
        // The client may have gone away meanwhile; nothing is lost by it.
        let _ = self.reply.send(Scrape { snapshot, health: health() });
    }
}

impl ScrapeHandle {
    pub(super) async fn ask(&self, wanted: Wanted, deadline: Duration) -> Result<Scrape, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.to_loop.send(ScrapeRequest { wanted, reply }).await.map_err(|_| NoAnswer::Stopping)?;
            answer.await.map_err(|_| NoAnswer::Stopping)
        };
        timeout(deadline, asked).await.unwrap_or(Err(NoAnswer::TooBusy))
    }
}
