//! What is wrong with a resource although no decision says so, and what has to be said about it once.

use std::time::Duration;

use crate::model::reports::NoteLevel;
use crate::plugin::Context;

use super::machine::Machine;
use super::report::{Trouble, TroubleKind};

impl Machine {
    /// Looks at the levels once more, after the decision: not for what is to be done, but for what a person has to know.
    pub(super) fn look_for_troubles(&mut self, cx: &mut Context<'_>) {
        if !Self::is_live(cx.node) {
            return;
        }
        let mut found = Vec::new();
        found.extend(self.hanging(cx));
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
