//! Calls of DRBD's tools, and the journal: programs that we wait for in tasks of their own.

use std::sync::Arc;

use reactor_core::action::{DrbdAnswer, DrbdCall, Outcome};
use reactor_core::ids::{ActionId, ResourceName};
use tokio::sync::Semaphore;

use super::Daemon;
use super::deeds::Kind;

/// How many of DRBD's tools run at once: at the start there are three calls for each resource.
const AT_ONCE: usize = 8;

/// Places for programs that run at once.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Daemon {
    /// Asks DRBD's tools for something.
    pub(super) fn call_drbd(&mut self, id: ActionId, resource: ResourceName, call: DrbdCall) {
        self.deeds.begin(id, Kind::Drbd, resource.clone(), format!("{} {resource}", call.as_str()));
        let (places, tools) = (self.places.clone(), self.tools());
        self.deeds.run_one(id, async move {
            // Somebody waits for I/O to fail: that is not put behind a thousand adjusts.
            let _place = match call {
                DrbdCall::SecondaryForce => None,
                DrbdCall::Adjust | DrbdCall::LowerDevices | DrbdCall::Options => match places.0.acquire().await {
                    Ok(place) => Some(place),
                    Err(_) => return Outcome::Drbd(DrbdAnswer::Failed { why: "the daemon stops".to_owned() }),
                },
            };
            Outcome::Drbd(tools.call(&resource, call).await)
        });
    }
}
