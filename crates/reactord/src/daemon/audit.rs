//! Who asked for a change over the control socket, and what became of it. Every such call comes through here, also one that was refused: the one
//! place for whoever writes it down.

use reactor_sys::control::{Audited, CallOutcome};
use tracing::{info, warn};

use super::Daemon;

impl Daemon {
    /// Writes a call down.
    pub(super) fn audited(&mut self, audited: &Audited) {
        log(audited);
        self.chronicle.write_asked(audited);
    }
}

/// One line, each part of it a field of its own in the journal: `journalctl -t reactord AUDIT=control`.
fn log(audited: &Audited) {
    let Audited { at: _, peer, verb, resource, parameters, outcome, unsaid } = audited;
    let (user, uid, pid) = (peer.user.as_deref().or((peer.uid == 0).then_some("root")), peer.uid, peer.pid);
    let (resource, text) = (resource.as_deref(), outcome.text());
    let (outcome_word, unsaid) = (outcome.as_str(), (*unsaid > 0).then_some(*unsaid));
    // Level and sentence belong to the place in the code: they can't be values.
    macro_rules! line {
        ($level:ident, $said:literal) => {
            $level!(
                audit = "control",
                user,
                uid,
                pid,
                call = verb,
                resource,
                parameters,
                outcome = outcome_word,
                text,
                unsaid,
                $said
            )
        };
    }
    match outcome {
        CallOutcome::Denied { .. } => line!(warn, "who asked may not do that"),
        CallOutcome::Done { .. }
        | CallOutcome::Unchanged { .. }
        | CallOutcome::Refused { .. }
        | CallOutcome::Unknown { .. } => line!(info, "asked for over the control socket"),
    }
}
