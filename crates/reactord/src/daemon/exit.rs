//! The end: what the settings want done at exit is carried out, what still runs is ended, and everybody gets an answer.

use std::time::Duration;

use reactor_core::action::HelperAnswer;
use reactor_core::ids::ActionId;
use reactor_core::input::Input;
use reactor_sys::control::ControlRequest;
use tokio::signal::unix::Signal;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use super::{Daemon, FLUSH, Inbox, at, finish};

/// How long services may take to stop at exit. systemd's own `TimeoutStopSec` is pushed back meanwhile.
const SERVICES: Duration = Duration::from_secs(600);

/// Outcomes make the core ask for more; after so many rounds nobody listens any more.
const ROUNDS: usize = 16;

/// systemd is asked for this much more time, again and again.
const EXTEND: Duration = Duration::from_secs(30);

impl Daemon {
    /// Carries out what is wanted at exit, and ends.
    pub(super) async fn stop(mut self, mut inbox: Inbox) {
        self.notify.stopping();
        for (_, reply) in std::mem::take(&mut self.waiting) {
            // Its caller may have gone; nothing depends on it.
            let _ = reply.send(HelperAnswer::Fallback { why: "the daemon stops".to_owned() });
        }
        let before = self.last_action;
        self.step(&Input::Exit);
        if self.owes(before) {
            self.carry_out_exit(before, &mut inbox).await;
        }
        if self.deeds.len() > 0 {
            info!(deeds = self.deeds.len(), "not waiting for what is still under way");
        }
        self.abandon();
        if !self.running.is_empty() {
            info!(handlers = self.running.len(), "ending the handlers that still run");
        }
        // Their outcomes still go through the core: a helper that waits for one gets its answer.
        for done in self.executor.stop().await {
            self.handler_done(done);
        }
        self.abandon();
        self.memories.finish().await;
        self.stop_recorder();
        info!("stopped");
        self.log.flush(FLUSH);
    }

    /// Whether something is under way that was asked for after `before`: of systemd, of the disk, or a promoter's own commands.
    fn owes(&self, before: ActionId) -> bool {
        self.deeds.since(before) > 0 || self.promoters_commands.range(before..).any(|id| *id > before)
    }

    /// An outcome for everything that is under way. What the core asks for because of one is not carried out, but it has its outcome
    /// too.
    fn abandon(&mut self) {
        for _ in 0..ROUNDS {
            let done = self.deeds.abandon("the daemon stops");
            if done.is_empty() {
                break;
            }
            self.deeds_done(done);
        }
    }

    /// Clients while the daemon ends: they may look, and DRBD may ask. Nothing is changed any more.
    fn last_requests(&mut self, request: ControlRequest) {
        match request {
            ControlRequest::Status { .. }
            | ControlRequest::Why { .. }
            | ControlRequest::Changes { .. }
            | ControlRequest::Helper { .. } => self.request(request),
            // Dropped: the client is told that the daemon is stopping.
            ControlRequest::Reload { .. } | ControlRequest::Operator { .. } | ControlRequest::Leftovers { .. } => {}
        }
    }

    /// The loop, as far as it is needed to stop services: until everything that was asked for at exit has its outcome.
    async fn carry_out_exit(&mut self, before: ActionId, inbox: &mut Inbox) {
        info!(deeds = self.deeds.since(before), "stopping services before the daemon ends, as the settings say");
        let until = Instant::now() + SERVICES;
        let mut extend = interval(EXTEND / 3);
        extend.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut again = interval(self.notify.watchdog_interval().unwrap_or(EXTEND));
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.owes(before) {
            let deadline = self.core.next_deadline().map(|at| self.clock.instant(at));
            tokio::select! {
                done = self.deeds.next() => self.deeds_done(done),
                news = self.systemd.next() => self.systemd_news(&news),
                () = self.files.next() => self.files_ended(),
                Some(input) = inbox.source.recv() => self.step(&input),
                Some(request) = inbox.requests.recv() => self.last_requests(request),
                done = self.executor.next() => self.handler_done(done),
                result = self.memories.next() => self.memories.written(result),
                found = finish(&mut self.looking) => drop(found),
                () = at(deadline), if deadline.is_some() => self.step(&Input::Tick),
                _ = extend.tick() => self.notify.extend_timeout(EXTEND),
                _ = again.tick() => self.notify.watchdog(),
                () = hurry(&mut inbox.terminate, &mut inbox.interrupt) => {
                    warn!("asked to stop once more: not waiting for services any longer");
                    break;
                }
                () = sleep_until(until) => {
                    warn!(after_s = SERVICES.as_secs(), "services have not stopped in time: the daemon ends without them");
                    break;
                }
            }
        }
    }
}

/// Somebody asks once more.
async fn hurry(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
