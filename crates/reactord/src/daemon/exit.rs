//! The end: what the settings want done at exit is carried out, what still runs is ended, and everybody gets an answer.
//!
//! ```text
//!  serving ─ SIGTERM ─▶ Input::Exit ─▶ ending: the same loop, until what was asked for at exit has its outcome ─▶ finish
//!                                        └─ asked once more, or ten minutes ───────────────────────────────────────┘
//! ```
//!
//! While it ends, the daemon answers as always: scrapes, status, changes, helpers of DRBD, operators. Who stops services wants to see how far they
//! are, and a hold that is asked for now is remembered for the next start. Only the configuration is not read any more: a reload is refused, with
//! this reason, because plugins that start now would be stopped before they could do anything.

use std::time::{Duration, Instant};

use reactor_core::action::HelperAnswer;
use reactor_core::history::Severity;
use reactor_core::ids::ActionId;
use reactor_core::input::Input;
use tracing::{info, warn};

use super::Daemon;
use super::requests::helper_reply;

/// How long services may take to stop at exit. systemd's own `TimeoutStopSec` is pushed back meanwhile.
const SERVICES: Duration = Duration::from_secs(600);

/// Outcomes make the core ask for more; after so many rounds nobody listens any more.
const ROUNDS: usize = 16;

/// systemd is asked for this much more time, again and again.
const EXTEND: Duration = Duration::from_secs(30);

/// So often.
const EXTEND_EVERY: Duration = Duration::from_secs(10);

/// Whether the daemon serves or ends.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// It serves.
    #[default]
    Serving,
    /// It carries out what is wanted at exit: all actions after `last`, until `until` at the latest.
    Ending { last: ActionId, until: Instant, extend: Instant },
    /// Nothing is waited for any longer.
    Over,
}

impl Phase {
    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Ending { until, extend, .. } => Some(*until.min(extend)),
            Self::Serving | Self::Over => None,
        }
    }
}

impl Daemon {
    /// Whether the daemon has been asked to end.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self.phase, Phase::Serving)
    }

    /// Whether the loop is over: nothing is waited for any longer.
    pub(super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Serving => false,
            Phase::Ending { last, .. } => !self.owes(last),
            Phase::Over => true,
        }
    }

    /// A signal: the end begins, or is not waited for any longer.
    pub(super) fn asked_to_stop(&mut self, signal: &'static str) {
        if self.is_ending() {
            warn!("asked to stop once more: not waiting for services any longer");
            self.phase = Phase::Over;
            return;
        }
        info!("{signal}: stopping");
        self.say(Severity::Info, format!("the daemon was asked to end: {signal}"), Vec::new());
        // First, so that the end of a reload is not the last that systemd hears.
        self.give_up_reload();
        self.service.stopping();
        self.clients.send_helpers_away(&helper_reply(HelperAnswer::Fallback { why: "the daemon stops".to_owned() }));
        let last = self.work.last();
        let now = Instant::now();
        self.phase = Phase::Ending { last, until: now + SERVICES, extend: now };
        self.step(&Input::Exit);
        self.tell_systemd();
        if self.owes(last) {
            info!(
                calls = self.work.under_way_since(last),
                "stopping services before the daemon ends, as the settings say"
            );
        }
    }

    /// Something of the end is due.
    pub(super) fn look_at_end(&mut self, now: Instant) {
        let Phase::Ending { until, extend, .. } = &mut self.phase else { return };
        if *until <= now {
            warn!(after_s = SERVICES.as_secs(), "services have not stopped in time: the daemon ends without them");
            self.phase = Phase::Over;
        } else if *extend <= now {
            *extend = now + EXTEND_EVERY;
            self.service.extend(EXTEND);
        }
    }

    /// Ends. What still runs has an outcome first.
    pub(super) async fn finish(mut self) {
        if self.work.under_way() > 0 {
            info!(calls = self.work.under_way(), "not waiting for what is still under way");
        }
        self.abandon();
        if self.handlers.running() > 0 {
            info!(handlers = self.handlers.running(), "ending the handlers that still run");
        }
        // Their outcomes still go through the core: a helper that waits for one gets its answer.
        for done in self.handlers.stop().await {
            self.handler_done(done);
        }
        self.abandon();
        self.storage.finish().await;
        self.notify.finish().await;
        self.told.finish().await;
        self.memories.finish().await;
        self.recording.finish();
        self.chronicle.note_daemon(Severity::Info, "the daemon has ended".to_owned());
        self.chronicle.finish();
        info!("stopped");
        self.logs.flush();
    }

    /// Whether something is under way that was asked for after `last`: of systemd, of the disk, or a promoter's own commands.
    fn owes(&self, last: ActionId) -> bool {
        self.work.under_way_since(last) > 0 || self.handlers.owe_promoters(last)
    }

    /// An outcome for everything that is under way. What the core asks for because of one is not carried out, but it has its outcome
    /// too.
    fn abandon(&mut self) {
        for _ in 0..ROUNDS {
            let done = self.work.abandon("the daemon stops");
            if done.is_empty() {
                break;
            }
            self.calls_done(done);
        }
    }
}
