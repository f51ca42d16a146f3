//! What is wrong with a resource although no decision says so, and what has to be said about it once.

use std::time::Duration;

use crate::ids::{Mono, UnitName};
use crate::model::reports::NoteLevel;
use crate::plugin::Context;

use super::delay::times;
use super::machine::Machine;
use super::report::{StateWord, Trouble, TroubleKind};
use super::timers::Timer;
use super::view;

/// How long a resource may run nowhere: every delay and every usual back-off is shorter.
const NOWHERE: Duration = Duration::from_secs(60);
/// How long something may still be up after its target: on the way down it is so for a moment.
const LEFT: Duration = Duration::from_secs(10);

/// Members come up before their target does, and go down after it: what lasts longer than this is neither.
const OUTSIDE_PATIENCE: Duration = Duration::from_secs(5);

/// What is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    known: Vec<Trouble>,
    /// Since when units run although their target does not.
    outside_since: Option<Mono>,
}

impl Troubles {
    /// All that is wrong now.
    pub(super) fn known(&self) -> &[Trouble] {
        &self.known
    }
}

/// Those of `some` of which `others` has none of the kind.
fn missing<'a>(some: &'a [Trouble], others: &[Trouble]) -> impl Iterator<Item = &'a Trouble> {
    some.iter().filter(|trouble| !others.iter().any(|other| other.kind == trouble.kind))
}

impl Machine {
    /// Whether nothing that we asked for is under way.
    fn is_idle(&self) -> bool {
        self.work.is_idle() && self.shell.is_none()
    }

    /// Looks at the levels once more, after the decision: not for what is to be done, but for what a person has to know.
    pub(super) fn look_for_troubles(&mut self, cx: &mut Context<'_>) {
        if !Self::is_live(cx.node) {
            return;
        }
        let mut found = Vec::new();
        found.extend(self.hanging(cx));
        found.extend(self.outside_target(cx));
        found.extend(self.nowhere(cx));
        found.extend(self.left(cx));
        for trouble in missing(&found, &self.troubles.known) {
            self.note(cx, NoteLevel::Error, format!("{}: {}", self.name, trouble.what));
        }
        for over in missing(&self.troubles.known, &found) {
            self.note(cx, NoteLevel::Info, format!("{}: it is over: {}", self.name, over.what));
        }
        self.troubles.known = found;
    }

    /// Units of the resource run, and its target does not: a socket, a timer or a person has started them, and with them the promotion.
    fn outside_target(&mut self, cx: &Context<'_>) -> Option<Trouble> {
        // On a Secondary nothing starts; what is up there was left behind.
        let ours = self.levels.since().left_behind.is_none() && self.is_idle();
        let units = if ours { self.set.up_without_target(cx.node.units()) } else { Vec::new() };
        if units.is_empty() {
            self.troubles.outside_since = None;
            return None;
        }
        let since = *self.troubles.outside_since.get_or_insert(cx.now);
        let due = since.after(OUTSIDE_PATIENCE);
        if due > cx.now {
            self.timers.set(Timer::OutsideTarget, due);
            return None;
        }
        let units: Vec<&str> = units.iter().map(|unit| unit.as_str()).collect();
        let verb = if units.len() == 1 { "runs" } else { "run" };
        let what =
            format!("{} {verb} although {} does not: something else has started it", units.join(", "), self.set.target);
        Some(Trouble { kind: TroubleKind::OutsideTarget, what, since })
    }

    /// Primary here, and I/O does not get on.
    fn hanging(&mut self, cx: &Context<'_>) -> Option<Trouble> {
        let resource = cx.node.resource(self.name.as_str())?;
        let polled: Option<Duration> = cx.node.poll_interval();
        self.timers.set(Timer::IoHangs, self.hang.due(cx.now, polled));
        let (since, signs) = self.hang.seen(cx.now, resource, self.options.peers(), polled)?;
        let what = format!("Primary here, but its I/O hangs: {signs}");
        Some(Trouble { kind: TroubleKind::IoHangs, what, since })
    }

    /// Nobody is Primary, or this node is without its services, and nothing that is under way changes that.
    fn nowhere(&mut self, cx: &Context<'_>) -> Option<Trouble> {
        let since = self.levels.since().nowhere?;
        // Who holds it knows; others tell if they could not start it either.
        if matches!(self.standing.state(), StateWord::Held | StateWord::Drained) {
            return None;
        }
        if since.after(NOWHERE) > cx.now {
            self.timers.set(Timer::Nowhere, since.after(NOWHERE));
            return None;
        }
        let mut why: Vec<String> = match self.tries.refused() {
            Some((count, words)) => vec![format!("DRBD refused the promotion {}: {words}", times(count))],
            None => self.standing.because().iter().map(|reason| reason.0.clone()).collect(),
        };
        // A wait is no reason, and its length would change with every look.
        why.retain(|reason| !reason.starts_with("starts in "));
        let is_primary = cx.node.resource(self.name.as_str()).is_some_and(view::is_primary);
        let who = if is_primary {
            "this node is Primary, and its services do not run, so no other node can start them"
        } else {
            "nobody is Primary"
        };
        let mut what = format!("it runs nowhere: {who}; here: {}", why.join(", "));
        what.extend(self.way_out(cx).map(|way| format!("; {way}")));
        Some(Trouble { kind: TroubleKind::RunsNowhere, what, since })
    }

    /// This node is Primary, and no unit of ours would ever end that: what a person can do.
    fn way_out(&self, cx: &Context<'_>) -> Option<String> {
        let resource = cx.node.resource(self.name.as_str()).filter(|resource| view::is_primary(resource))?;
        if self.set.promoted(cx.node.units()) {
            return None;
        }
        let lets = format!("if nobody works on it, drbdadm secondary {} lets it be started again", self.name);
        Some(match view::open(resource) {
            Some(open) if open.is_empty() => format!("none of its devices is open: {lets}"),
            Some(open) => format!("somebody has {} open", view::volumes(&open)),
            None => lets,
        })
    }

    /// Up although the target is down and this node is Secondary, for example a mount that could not be unmounted.
    fn left(&mut self, cx: &Context<'_>) -> Option<Trouble> {
        let since = self.levels.since().left_behind?;
        let left = self.left_behind(cx);
        if left.is_empty() {
            return None;
        }
        if since.after(LEFT) > cx.now {
            self.timers.set(Timer::LeftBehind, since.after(LEFT));
            return None;
        }
        let list: Vec<&str> = left.iter().map(UnitName::as_str).collect();
        let what = format!("still up here although its target is down and this node is Secondary: {}", list.join(", "));
        Some(Trouble { kind: TroubleKind::LeftBehind, what, since })
    }

    /// Members that are up here, where nothing of it should be.
    pub(super) fn left_behind(&self, cx: &Context<'_>) -> Vec<UnitName> {
        let secondary = cx.node.resource(self.name.as_str()).is_some_and(|resource| !view::is_primary(resource));
        if self.shell.is_some() || !secondary || self.no_units(cx.node).is_some() {
            return Vec::new();
        }
        self.set.up_without_target(cx.node.units()).into_iter().cloned().collect()
    }
}
