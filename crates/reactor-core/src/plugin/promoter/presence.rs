//! Where a resource runs, for the history: told whenever it is not what was told last. Nothing is decided by it.
//!
//! What was told is compared with the levels, and how long each part of a promotion took is measured between the levels and our own start. Until
//! DRBD and systemd have said how things are, nothing is told: a daemon that has just started knows nothing better than the one before it.

use crate::action::Reason;
use crate::history::{Entry, Kind, Phases, Presence, Serving, Severity, Told};
use crate::ids::{Mono, UnitName};
use crate::plugin::Context;
use crate::settings::promoter::OnServiceFailure;

use super::machine::Machine;
use super::services::Services;
use super::view;

/// What was told, and what is being measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Whereabouts {
    told: Option<Level>,
    /// Since when it runs nowhere, or nobody knows where.
    gone: Option<Mono>,
    /// The start that is under way.
    start: Option<Asked>,
    phases: Phases,
    without_quorum: bool,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    serving: Serving,
    primary: Option<bool>,
    planned: bool,
}

/// A start that was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Mono,
    /// Since when it could be promoted by then.
    eligible: Option<Mono>,
    /// Since when nobody kept it from being started here.
    free: Option<Mono>,
    /// When this node became Primary by it.
    primary: Option<Mono>,
}

impl Whereabouts {
    /// A start is asked for.
    pub(super) fn start_is_asked(&mut self, now: Mono, eligible: Option<Mono>, free: Option<Mono>) {
        self.start = Some(Asked { at: now, eligible, free, primary: None });
    }

    /// Takes what holds now; gives what each part took if it is to be told.
    fn take(&mut self, now: Mono, level: Level) -> Option<Phases> {
        let before = self.told.replace(level);
        if before == Some(level) {
            if level.serving == Serving::Here {
                // Something was started among what runs, which is no promotion.
                self.start = None;
            }
            return None;
        }
        let became_primary = before.is_some_and(|before| before.primary != Some(true)) && level.primary == Some(true);
        if let Some(start) = self.start.as_mut().filter(|_| became_primary) {
            start.primary = Some(now);
            self.phases = Phases {
                detect: start.eligible.zip(self.gone).map(|(eligible, gone)| eligible.since(gone)),
                decide: start.free.map(|free| start.at.since(free)),
                promote: Some(now.since(start.at)),
                start: None,
            };
        }
        let mut phases = self.phases;
        if level.serving == Serving::Here {
            phases.start = self.start.take().map(|start| now.since(start.primary.unwrap_or(start.at)));
            (self.phases, self.gone) = (Phases::default(), None);
        } else if level.serving == Serving::Elsewhere {
            (self.phases, self.gone) = (Phases::default(), None);
        } else {
            self.gone.get_or_insert(now);
        }
        Some(phases)
    }
}

impl Machine {
    /// Tells where it runs, and whether it has quorum, if that is news.
    pub(super) fn look_where_it_runs(&mut self, cx: &Context<'_>) {
        let unknown = self.cannot_tell(cx);
        if self.whereabouts.told.is_none() && unknown.is_some() {
            return;
        }
        let (serving, primary, why) = match unknown {
            _ if !Self::is_live(cx.node) => (Serving::Unknown, None, "no news of DRBD".to_owned()),
            // Whether this node is Primary is known without systemd.
            Some(why) => (Serving::Unknown, Some(self.is_primary(cx)), why),
            None => self.where_it_runs(cx),
        };
        if self.services(cx.node) == Services::Off {
            // A start that is over has nothing to do with what somebody starts later.
            self.whereabouts.start = None;
        }
        let wanted = self.held.hold().is_some() || cx.drained.is_some();
        let planned = serving == Serving::Nowhere && wanted;
        if let Some(phases) = self.whereabouts.take(cx.now, Level { serving, primary, planned }) {
            let because = [Reason(why)].into_iter().chain(self.standing.because().iter().cloned()).collect();
            self.history.tell(Told::Presence(Box::new(Presence { serving, primary, planned, because, phases })));
        }
        self.look_at_quorum(cx);
    }

    pub(super) fn is_primary(&self, cx: &Context<'_>) -> bool {
        cx.node.resource(self.name.as_str()).is_some_and(view::is_primary)
    }

    /// Why nothing can be said of where it runs.
    fn cannot_tell(&self, cx: &Context<'_>) -> Option<String> {
        if !Self::is_live(cx.node) {
            return Some("no news of DRBD".to_owned());
        }
        if let Some(why) = self.no_units(cx.node) {
            return Some(why);
        }
        self.untold(cx.node).map(|unit| format!("systemd has not said how {unit} is"))
    }

    fn where_it_runs(&self, cx: &Context<'_>) -> (Serving, Option<bool>, String) {
        let Some(resource) = cx.node.resource(self.name.as_str()) else {
            return (Serving::Unknown, Some(false), "DRBD has no such resource here".to_owned());
        };
        let primary = view::is_primary(resource);
        let frozen = !self.set.frozen(cx.node.units()).is_empty();
        let (serving, why) = match self.services(cx.node) {
            Services::On if primary && frozen => (Serving::Nowhere, "frozen".to_owned()),
            Services::On if primary => match self.died(cx).first() {
                Some((unit, result)) => (Serving::Nowhere, format!("{unit} ended: {result}")),
                None => (Serving::Here, "Primary here, and its target is active".to_owned()),
            },
            services => match view::primary_peers(resource).first() {
                Some(peer) if !primary => {
                    (Serving::Elsewhere, format!("{} is Primary", self.options.peers().of(resource, *peer)))
                }
                _ if primary => (Serving::Nowhere, format!("Primary here, its services: {}", services.as_str())),
                _ if view::no_other_has_it(resource, self.policy(cx.node)) => {
                    (Serving::Nowhere, "nobody is Primary".to_owned())
                }
                _ => (Serving::Unknown, "a node that is not seen from here may be Primary".to_owned()),
            },
        };
        (serving, Some(primary), why)
    }

    /// Units that ended badly and are down while the target stays active, also those that systemd waits to start again (`Restart=`).
    fn died(&self, cx: &Context<'_>) -> Vec<(UnitName, String)> {
        if self.settings.on_service_failure == OnServiceFailure::Ignore {
            return Vec::new();
        }
        let mut died = self.set.ended_badly_and_down(cx.node.units());
        // How these ended before they came into the list is not our business.
        died.retain(|(unit, _)| !self.start_list.newcomers().contains(unit));
        died
    }

    fn look_at_quorum(&mut self, cx: &Context<'_>) {
        let Some(resource) = cx.node.resource(self.name.as_str()).filter(|_| Self::is_live(cx.node)) else { return };
        let lost = view::without_quorum(resource);
        if std::mem::replace(&mut self.whereabouts.without_quorum, !lost.is_empty()) == lost.is_empty() {
            let entry = if lost.is_empty() {
                Entry::new(Kind::Quorum, Severity::Info, "quorum is there again".to_owned())
            } else {
                Entry::new(Kind::Quorum, Severity::Warning, format!("no quorum: {}", view::volumes(&lost)))
            };
            self.history.tell(Told::Entry(entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn level(serving: Serving, primary: bool) -> Level {
        Level { serving, primary: Some(primary), planned: false }
    }

    fn at(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    #[test]
    fn each_part_of_a_promotion_is_measured_once() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let mut it = Whereabouts::default();
        assert_eq!(it.take(at(0), level(Serving::Elsewhere, false)), Some(Phases::default()));
        assert_eq!(it.take(at(5), level(Serving::Elsewhere, false)), None, "it was told");
        it.take(at(100), level(Serving::Unknown, false));
        it.take(at(150), level(Serving::Nowhere, false));
        it.start_is_asked(at(400), Some(at(200)), Some(at(200)));
        let primary = Phases { detect: ms(100), decide: ms(200), promote: ms(50), start: None };
        assert_eq!(it.take(at(450), level(Serving::Nowhere, true)), Some(primary));
        assert_eq!(it.take(at(1450), level(Serving::Here, true)), Some(Phases { start: ms(1000), ..primary }));
        // The next one begins anew: a service that was started again where it was.
        it.take(at(2000), level(Serving::Nowhere, true));
        it.start_is_asked(at(2500), Some(at(2000)), Some(at(2000)));
        let again = Phases { start: ms(500), ..Phases::default() };
        assert_eq!(it.take(at(3000), level(Serving::Here, true)), Some(again));
        // One of its services is started among those that run, and long after that all are frozen and thawed.
        it.start_is_asked(at(4000), Some(at(2000)), Some(at(2000)));
        assert_eq!(it.take(at(4001), level(Serving::Here, true)), None);
        it.take(at(900_000), level(Serving::Nowhere, true));
        assert_eq!(it.take(at(900_005), level(Serving::Here, true)), Some(Phases::default()));
    }

    #[test]
    fn what_is_found_running_was_not_promoted_by_us() {
        let mut it = Whereabouts::default();
        assert_eq!(it.take(at(9), level(Serving::Here, true)), Some(Phases::default()));
    }
}
