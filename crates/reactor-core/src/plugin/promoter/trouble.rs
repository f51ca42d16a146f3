//! What is wrong with a resource although no decision says so, and what has to be said about it once.

use std::time::Duration;

use crate::model::reports::NoteLevel;
use crate::plugin::Context;

use super::machine::{Machine, Work};
use super::report::{Trouble, TroubleKind};

/// Members come up before their target does, and go down after it: what lasts longer than this is neither.
const OUTSIDE_PATIENCE: Duration = Duration::from_secs(5);

impl Machine {
    /// Whether nothing that we asked for is under way.
    fn is_idle(&self) -> bool {
        matches!(self.work, Work::Idle) && self.shell.is_none()
    }

    /// Looks at the levels once more, after the decision: not for what is to be done, but for what a person has to know.
    pub(super) fn look_for_troubles(&mut self, cx: &mut Context<'_>) {
        if !Self::is_live(cx.node) {
            return;
        }
        let mut found = Vec::new();
        found.extend(self.hanging(cx));
        found.extend(self.outside_target(cx));
        for trouble in &found {
            if !self.troubles.iter().any(|known| known.kind == trouble.kind) {
                self.note(cx, NoteLevel::Error, format!("{}: {}", self.name, trouble.what));
            }
        }
        for over in &self.troubles {
            if !found.iter().any(|trouble| trouble.kind == over.kind) {
                self.note(cx, NoteLevel::Info, format!("{}: it is over: {}", self.name, over.what));
            }
        }
        self.troubles = found;
    }

    /// Units of the resource run, and its target does not: a socket, a timer or a person has started them, and with them the promotion.
    fn outside_target(&mut self, cx: &Context<'_>) -> Option<Trouble> {
        let units = if self.is_idle() { self.set.up_without_target(cx.node.units()) } else { Vec::new() };
        if units.is_empty() {
            self.outside_since = None;
            return None;
        }
        let since = *self.outside_since.get_or_insert(cx.now);
        let due = since.after(OUTSIDE_PATIENCE);
        if due > cx.now {
            self.wait_for(Some(due), "what still runs outside of its target then was started by something else");
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
        self.wait_for(self.hang.due(cx.now, polled), "if its I/O is still blocked then, it counts as hanging");
        let (since, signs) = self.hang.seen(cx.now, resource, self.options.peers(), polled)?;
        let what = format!("Primary here, but its I/O hangs: {signs}");
        Some(Trouble { kind: TroubleKind::IoHangs, what, since })
    }
}
