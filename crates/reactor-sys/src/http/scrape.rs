//! How the server asks the loop, and what it gets.

use std::sync::Arc;
use std::time::Duration;

use reactor_core::metrics::Health;
use reactor_core::model::Node;
use reactor_core::model::objects::Resource;
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
    /// Everything.
    Metrics {
        /// The moment that the server has already.
        have: Option<u64>,
    },
}

/// All resources of one moment, by name.
#[derive(Debug)]
pub struct Resources {
    /// The moment: [`Node::generation`].
    pub generation: u64,
    /// The resources.
    pub list: Vec<Arc<Resource>>,
}

/// What the loop answers.
#[derive(Debug)]
pub struct Scrape {
    /// Every resource; `None` if the server has them, or if only the health was asked for.
    pub resources: Option<Resources>,
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
pub(crate) enum NoAnswer {
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
    /// Answers it: costs a reference count for each resource if anything has changed. `health` is not called if nobody waits for
    /// the answer any more.
    pub fn answer(self, node: &Node, health: impl FnOnce() -> Health) {
        if self.reply.is_closed() {
            return;
        }
        let generation = node.generation();
        let resources = match self.wanted {
            Wanted::Metrics { have } if have != Some(generation) => {
                Some(Resources { generation, list: node.snapshot() })
            }
            Wanted::Health | Wanted::Metrics { .. } => None,
        };
        // The client may have gone away meanwhile; nothing is lost by it.
        let _ = self.reply.send(Scrape { resources, health: health() });
    }
}

impl ScrapeHandle {
    pub(crate) async fn ask(&self, wanted: Wanted, deadline: Duration) -> Result<Scrape, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.to_loop.send(ScrapeRequest { wanted, reply }).await.map_err(|_| NoAnswer::Stopping)?;
            answer.await.map_err(|_| NoAnswer::Stopping)
        };
        timeout(deadline, asked).await.unwrap_or(Err(NoAnswer::TooBusy))
    }
}
