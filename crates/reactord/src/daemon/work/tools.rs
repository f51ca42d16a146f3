//! Calls of DRBD's tools, and the journal: programs that we wait for in tasks of their own.

use std::sync::Arc;

use reactor_core::action::{Answered, AskTools, DrbdCall, Examine};
use reactor_core::ids::{ActionId, ResourceName, UnitName};
use reactor_core::input::Dialect;
use reactor_core::settings::{Bus, DaemonSettings};
use reactor_sys::drbd::survivors::Survivors;
use reactor_sys::drbd::tools::Tools;
use reactor_sys::examine::Examiner;
use tokio::sync::Semaphore;

use super::Work;

/// How many of DRBD's tools run at once, of each kind: at the start there are three calls for each resource.
const AT_ONCE: usize = 8;

/// Places for programs that run at once. Those that only ask have places of their own: resources whose adjust hangs must not keep the
/// others from being decided about.
#[derive(Clone, Debug)]
pub(super) struct Places {
    adjust: Arc<Semaphore>,
    ask: Arc<Semaphore>,
    /// Calls that hang in the kernel: they have no place, and no second one is run.
    survivors: Survivors,
}

impl Default for Places {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(AT_ONCE));
        Self { adjust: places(), ask: places(), survivors: Survivors::default() }
    }
}

impl Places {
    /// Where a call has to queue; `None` = nowhere: somebody waits for I/O to fail, and that is not put behind a thousand adjusts.
    fn of(&self, call: DrbdCall) -> Option<&Semaphore> {
        match call {
            DrbdCall::SecondaryForce => None,
            DrbdCall::Adjust | DrbdCall::AdjustLinks | DrbdCall::Connect { .. } => Some(&self.adjust),
            DrbdCall::LowerDevices | DrbdCall::Options => Some(&self.ask),
        }
    }
}

impl Work {
    /// For a task that calls DRBD's tools.
    pub(in crate::daemon) fn tools(&self, settings: &DaemonSettings, dialect: Dialect) -> Tools {
        Tools {
            drbdsetup: settings.drbdsetup.clone(),
            drbdadm: settings.drbdadm.clone(),
            dialect,
            survivors: self.places.survivors.clone(),
        }
    }

    /// Asks DRBD's tools for something.
    pub(in crate::daemon) fn call_drbd(&mut self, id: ActionId, resource: ResourceName, call: DrbdCall, tools: Tools) {
        self.calls.begin::<AskTools>(id, resource.clone(), format!("{} {resource}", call.as_str()));
        let places = self.places.clone();
        self.calls.run_one::<AskTools>(id, async move {
            let _place = match places.of(call) {
                None => None,
                Some(places) => match places.acquire().await {
                    Ok(place) => Some(place),
                    Err(_) => return AskTools::given_up("the daemon stops"),
                },
            };
            tools.call(&resource, call).await
        });
    }

    /// Asks systemd and the journal why units are not up.
    pub(in crate::daemon) fn examine(&mut self, id: ActionId, resource: &ResourceName, units: Vec<UnitName>, bus: Bus) {
        self.calls.begin::<Examine>(id, resource.clone(), format!("ask why units of {resource} are not up"));
        let places = self.places.clone();
        self.calls.run_one::<Examine>(id, async move {
            let Ok(_place) = places.ask.acquire().await else { return Vec::new() };
            let Some(asked) = Examiner::of_this_machine(bus).await else { return Vec::new() };
            asked.examine(&units).await
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusts_that_hang_keep_nobody_from_asking() {
        let places = Places::default();
        let hang: Vec<_> = (0..AT_ONCE).map(|_| places.adjust.try_acquire().unwrap()).collect();
        let free = |call| places.of(call).is_none_or(|places| places.try_acquire().is_ok());
        assert!(!free(DrbdCall::Adjust));
        assert!(free(DrbdCall::Options) && free(DrbdCall::LowerDevices) && free(DrbdCall::SecondaryForce));
        drop(hang);
        assert!(free(DrbdCall::Adjust));
    }
}
