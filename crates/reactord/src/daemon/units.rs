//! systemd, as the loop sees it: which units are followed, their news, and calls.
//!
//! There is a connection only while a promoter with the systemd runner is configured, or files of one that is gone still wait for
//! their target to stop.

use std::collections::BTreeSet;
use std::future::pending;

use reactor_core::action::{Outcome, UnitCall};
use reactor_core::ids::{ActionId, ResourceName, UnitName};
use reactor_core::input::Input;
use reactor_core::settings::promoter::Runner;
use reactor_core::settings::{PluginSettings, Settings};
use reactor_core::systemd::{ActiveState, BusEvent, BusState, LoadState, UnitEnd};
use reactor_sys::systemd::{Handle, Link};
use tracing::{info, warn};

use super::Daemon;
use super::deeds::Kind;

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

impl Daemon {
    /// Connects or disconnects as the settings ask for, and follows what must be followed.
    pub(super) fn follow_units(&mut self) {
        let mut followed = self.core.units();
        followed.extend(self.files.retiring().flat_map(|(_, units)| units).cloned());
        let names: BTreeSet<UnitName> = followed.iter().cloned().collect();
        let in_use = self.systemd.link.is_some() && self.files.is_running();
        let needed = needs_systemd(&self.loaded.settings) || self.files.need_systemd() || in_use;
        if !needed {
            let was = std::mem::take(&mut self.systemd);
            if was.link.is_some() {
                info!("no promoter needs systemd: the connection is closed");
                // What was told is not the present any more.
                self.step(&Input::Bus(BusEvent::Down { why: "no promoter needs systemd".to_owned() }));
            }
            return;
        }
        match &mut self.systemd.link {
            None => self.systemd.link = Some(Link::connect(&self.loaded.settings.daemon.bus, followed)),
            Some(link) if names != self.systemd.followed => link.follow(followed),
            Some(_) => return,
        }
        // What nobody tells any more is not known any more, also when it is followed again.
        self.core.forget_units(|unit| names.contains(unit));
        self.systemd.followed = names;
    }

    /// News of systemd.
    pub(super) fn systemd_news(&mut self, input: &Input) {
        if let Input::Bus(event) = input {
            self.systemd.told = true;
            match event {
                BusEvent::Up => {
                    info!(units = self.systemd.followed.len(), "connected to systemd");
                    self.files.retry_now();
                }
                // It is tried again and again: said once.
                BusEvent::Down { .. } if matches!(self.core.node().units().bus(), BusState::Down { .. }) => {}
                BusEvent::Down { why } => warn!(why, "no connection to systemd: promoters wait"),
            }
        }
        self.note_retiring(input);
        self.step(input);
        self.retire_what_has_stopped();
    }

    /// Asks systemd for something.
    pub(super) fn call_unit(&mut self, id: ActionId, call: UnitCall) {
        self.deeds.begin(id, Kind::Unit, call.resource.clone(), format!("{} {}", call.verb.as_str(), call.unit));
        match self.systemd.handle() {
            Some(handle) => self.deeds.run_one(id, async move { Outcome::Unit(handle.call(call).await) }),
            None => {
                let why = "there is no connection".to_owned();
                self.deeds.run_one(id, async { Outcome::Unit(UnitEnd::NoBus { why }) });
            }
        }
    }

    /// Resources whose files may go: their target and their promotion have stopped, and that is the present.
    pub(super) fn stopped_targets(&self) -> Vec<ResourceName> {
        let units = self.core.node().units();
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

/// Whether a promoter with the systemd runner is configured.
pub(super) fn needs_systemd(settings: &Settings) -> bool {
    promoted(settings).any(|(_, runner)| runner == Runner::Systemd)
}

/// Whether any promoter is configured.
pub(super) fn has_promoter(settings: &Settings) -> bool {
    promoted(settings).next().is_some()
}

/// Every promoted resource and its runner.
pub(super) fn promoted(settings: &Settings) -> impl Iterator<Item = (&ResourceName, Runner)> {
    settings.plugins.iter().flat_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => {
            promoter.resources.iter().map(|(name, resource)| (name, resource.runner)).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    })
}
