//! Since when what DRBD says of a resource holds without a break.

use std::time::Duration;

use crate::ids::Mono;
use crate::model::objects::Resource;

use super::services::Services;
use super::view;

/// How long after a start was pre-empted its promotion may still come through.
const PREEMPTED: Duration = Duration::from_secs(60);

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Levels {
    since: Since,
    /// Whether it may be promoted here because it is Primary already.
    eligible_as_primary: bool,
    was_primary: bool,
    /// DRBD's word on it was judged once.
    judged: bool,
    adopted: bool,
    /// When somebody stopped a start of ours: its promotion may come through all the same.
    preempted: Option<Mono>,
}

/// Since when; `None` = it does not hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Since {
    /// It could be promoted here, or is Primary by our doing without its services.
    pub(super) eligible: Option<Mono>,
    /// The same, and nothing else keeps it from being started here: a head start of other nodes counts from then.
    pub(super) free: Option<Mono>,
    /// A volume has no quorum.
    pub(super) quorum_lost: Option<Mono>,
    /// Primary, and no good data of a volume in reach.
    pub(super) data_lost: Option<Mono>,
    /// Services run although this node is not Primary.
    pub(super) not_primary: Option<Mono>,
    /// Nobody is Primary, or this node is and runs nothing.
    pub(super) nowhere: Option<Mono>,
    /// Something of it is up although its target is down and this node is Secondary.
    pub(super) left_behind: Option<Mono>,
}

/// What is known besides DRBD's word on the resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) now: Mono,
    pub(super) services: Services,
    /// Its services run neither here nor elsewhere.
    pub(super) nowhere: bool,
    /// Something of it is up although its target is down and this node is Secondary.
    pub(super) left_behind: bool,
    /// The promotion's unit is active.
    pub(super) holds_promotion: bool,
    /// It is, or could not be stopped.
    pub(super) promoted: bool,
    /// With the shell runner: Primary because of our start commands, though our stop commands have run.
    pub(super) ours_by_commands: bool,
}

fn hold(since: &mut Option<Mono>, holds: bool, now: Mono) {
    *since = holds.then(|| since.unwrap_or(now));
}

impl Levels {
    /// Looks at DRBD's word on the resource.
    pub(super) fn observe(&mut self, resource: &Resource, facts: &Facts) {
        let Facts { now, services, .. } = *facts;
        let primary = view::is_primary(resource);
        self.adopt(primary, facts);
        hold(&mut self.since.nowhere, facts.nowhere, now);
        hold(&mut self.since.left_behind, facts.left_behind, now);
        // Being Primary and being free to become it are two things: a node that has just let go waits like any other.
        if std::mem::replace(&mut self.eligible_as_primary, primary) != primary {
            self.since.eligible = None;
        }
        let eligible = self.is_eligible(resource, facts);
        hold(&mut self.since.eligible, eligible, now);
        hold(&mut self.since.quorum_lost, !view::without_quorum(resource).is_empty(), now);
        hold(&mut self.since.data_lost, primary && !view::without_data(resource).is_empty(), now);
        hold(&mut self.since.not_primary, services.is_any() && !primary, now);
        self.was_primary = services.is_any() && (self.was_primary || primary);
    }

    /// Whether a promotion that systemd does not know of counts as ours.
    fn adopt(&mut self, primary: bool, facts: &Facts) {
        if !std::mem::replace(&mut self.judged, true) {
            self.adopted = primary && facts.services == Services::Off;
        }
        self.adopted &= primary && !facts.holds_promotion;
        if facts.holds_promotion {
            // The promotion of a start after that one came through.
            self.preempted = None;
        }
        // systemd kills the promotion that a stop pre-empts, but the kernel may have heard it already: it was ours.
        self.adopted |= primary && self.preempted.is_some_and(|at| facts.now.since(at) < PREEMPTED);
        self.adopted |= facts.ours_by_commands;
    }

    fn is_eligible(&self, resource: &Resource, facts: &Facts) -> bool {
        let primary = view::is_primary(resource);
        let may = resource.state.may_promote || (primary && (self.adopted || facts.promoted));
        // A Primary waits from the moment when its services do not run any more.
        let may = may && (!primary || matches!(facts.services, Services::Off | Services::Half));
        may && view::primary_peers(resource).is_empty() && view::without_quorum(resource).is_empty()
    }

    /// DRBD has no such resource.
    pub(super) fn resource_is_gone(&mut self) {
        *self = Self { judged: self.judged, preempted: self.preempted, ..Self::default() };
    }

    /// What is known of DRBD is old: nothing is eligible by it, and a delay begins anew.
    pub(super) fn news_are_old(&mut self) {
        (self.since.eligible, self.since.free) = (None, None);
    }

    /// A start was asked for. A promotion whose end has failed was ours: after the reset systemd does not know that any more.
    pub(super) fn start_is_asked(&mut self, promoted: bool) {
        self.adopted |= self.eligible_as_primary && promoted;
    }

    /// A stop, of ours or of somebody else, pre-empts a start.
    pub(super) fn start_is_preempted(&mut self, now: Mono) {
        self.preempted = Some(now);
    }

    /// Since when it could be started here. `is_free`: nothing but DRBD's word and time keeps it from that now.
    pub(super) fn free_since(&self, now: Mono, is_free: bool) -> Option<Mono> {
        let eligible = self.since.eligible?;
        // Who is Primary already gives nobody a head start.
        if self.eligible_as_primary {
            return Some(eligible);
        }
        is_free.then(|| self.since.free.unwrap_or(now).max(eligible))
    }

    /// See [`free_since`](Self::free_since).
    pub(super) fn is_free_since(&mut self, since: Option<Mono>) {
        self.since.free = since;
    }

    /// It was left to a node that has not taken it, and ran here before: it comes back at once.
    pub(super) fn waits_no_more(&mut self) {
        self.since.free = Some(Mono::ZERO);
    }

    /// The same, and ran elsewhere: a delay counts from then, when it is back there.
    pub(super) fn waits_from(&mut self, at: Mono) {
        self.since.free = Some(at);
    }

    /// Whatever kept it from being started was ended by a person, maybe on all nodes at once: a delay begins anew.
    pub(super) fn waits_anew(&mut self) {
        self.since.free = None;
    }

    /// Since when what holds.
    pub(super) fn since(&self) -> &Since {
        &self.since
    }

    /// Whether a promotion that is not ours by what systemd says counts as ours: it was there when we came, or it came through all the same.
    pub(super) fn adopted(&self) -> bool {
        self.adopted
    }

    /// Whether this node was seen as Primary since its services run.
    pub(super) fn was_primary(&self) -> bool {
        self.was_primary
    }
}
