//! systemd: which units are followed, their news, and calls.
//!
//! There is a connection only while a promoter with the systemd runner is configured, or files of one that is gone still wait for
//! their target to stop.

use std::collections::BTreeSet;
use std::future::pending;

use reactor_core::action::UnitCall;
use reactor_core::ids::{ActionId, ResourceName, UnitName};
use reactor_core::input::Input;
use reactor_core::settings::Settings;
use reactor_core::systemd::{ActiveState, BusEvent, BusState, LoadState, UnitEnd, Units};
use reactor_sys::systemd::{Handle, Link};
use tracing::{info, warn};

use super::Work;
use crate::daemon::promoters::needs_systemd;

/// The connection to systemd, if there is one.
#[derive(Default)]
pub(super) struct Systemd {
    link: Option<Link>,
    followed: BTreeSet<UnitName>,
    /// The connection has said whether it stands.
    told: bool,
}

impl Systemd {
    /// The next news; waits for ever without a connection. Cancel safe.
    pub(super) async fn next(&mut self) -> Input {
        match &mut self.link {
            Some(link) => link.next().await,
            None => pending().await,
        }
    }

    /// The next news, if there is any by now.
    pub(super) fn try_next(&mut self) -> Option<Input> {
        self.link.as_mut()?.try_next()
    }

    /// For tasks that call systemd.
    pub(super) fn handle(&self) -> Option<Handle> {
        self.link.as_ref().map(Link::handle)
    }

    /// Whether the connection is so new that it has not said yet whether it stands.
    pub(super) fn is_connecting(&self) -> bool {
        self.link.is_some() && !self.told
    }

    /// How many units are followed; `None` without a connection.
    pub(super) fn followed(&self) -> Option<u64> {
        self.link.as_ref().map(|_| self.followed.len() as u64)
    }
}

/// What became of the units that are to be followed.
pub(in crate::daemon) enum Followed {
    /// They are the same as before, or nothing of systemd is needed.
    Same,
    /// They are others: what is known of the rest is not known any more.
    Others,
    /// Nothing of systemd is needed any more: the connection is closed.
    Closed {
        /// Why.
        why: &'static str,
    },
}

impl Work {
    /// Connects or disconnects as the settings ask for, and follows `followed` and what else must be.
    pub(in crate::daemon) fn follow(&mut self, mut followed: Vec<UnitName>, settings: &Settings) -> Followed {
        followed.extend(self.files.retiring().flat_map(|(_, units)| units).cloned());
        let names: BTreeSet<UnitName> = followed.iter().cloned().collect();
        let in_use = self.systemd.link.is_some() && self.files.is_running();
        let needed = needs_systemd(settings) || self.files.need_systemd() || in_use;
        if !needed {
            let was = std::mem::take(&mut self.systemd);
            return match was.link {
                Some(_) => Followed::Closed { why: "no promoter needs systemd" },
                None => Followed::Same,
            };
        }
        match &mut self.systemd.link {
            None => self.systemd.link = Some(Link::connect(&settings.daemon.bus, followed)),
            Some(link) if names != self.systemd.followed => link.follow(followed),
            Some(_) => return Followed::Same,
        }
        self.systemd.followed = names;
        Followed::Others
    }

    /// Whether this unit is followed.
    pub(in crate::daemon) fn is_followed(&self, unit: &UnitName) -> bool {
        self.systemd.followed.contains(unit)
    }

    /// How many units are followed; `None` without a connection.
    pub(in crate::daemon) fn followed(&self) -> Option<u64> {
        self.systemd.followed()
    }

    /// For tasks that call systemd.
    pub(in crate::daemon) fn systemd(&self) -> Option<Handle> {
        self.systemd.handle()
    }

    /// Notes news of systemd, before the core hears of them; `bus` is what it knows.
    pub(in crate::daemon) fn note_systemd(&mut self, input: &Input, bus: &BusState) {
        if let Input::Bus(event) = input {
            self.systemd.told = true;
            match event {
                BusEvent::Up => {
                    info!(units = self.systemd.followed.len(), "connected to systemd");
                    self.files.retry_now();
                }
                // It is tried again and again: said once.
                BusEvent::Down { .. } if matches!(bus, BusState::Down { .. }) => {}
                BusEvent::Down { why } => warn!(why, "no connection to systemd: promoters wait"),
            }
        }
        self.files.note(input);
    }

    /// Asks systemd for something.
    pub(in crate::daemon) fn call_unit(&mut self, id: ActionId, call: UnitCall) {
        self.calls.begin::<UnitCall>(id, call.resource.clone(), format!("{} {}", call.verb.as_str(), call.unit));
        match self.systemd.handle() {
            Some(handle) => self.calls.run_one::<UnitCall>(id, async move { handle.call(call).await }),
            None => {
                let why = "there is no connection".to_owned();
                self.calls.run_one::<UnitCall>(id, async { UnitEnd::NoBus { why } });
            }
        }
    }

    /// Resources whose files may go: their target and their promotion have stopped, and that is the present.
    pub(super) fn stopped_targets(&self, units: &Units) -> Vec<ResourceName> {
        if *units.bus() != BusState::Up {
            return Vec::new();
        }
        let stopped = |unit: &UnitName| {
            let told =
                self.files.unit(unit).or_else(|| units.get(unit.as_str()).filter(|_| units.is_told(unit.as_str())));
            told.is_some_and(|state| {
                let gone = state.load == LoadState::NotFound;
                !state.job && (gone || matches!(state.active, ActiveState::Inactive | ActiveState::Failed))
            })
        };
        self.files
            .retiring()
            .filter(|(_, units)| units.iter().all(|unit| stopped(unit)))
            .map(|(resource, _)| resource.clone())
            .collect()
    }
}
