//! Reading the configuration again, and applying it.
//!
//! ```text
//!  asked ─▶ read (a thread) ─▶ applied to the core ─▶ log files, control socket (threads) ─▶ answered
//!              └─ 10 s ─▶ answered: it hangs, and where                  └─ 2 s ─▶ answered all the same
//! ```
//!
//! The files are read by a thread: a folder on a disk that hangs must not stop the loop. Who asked is told then that it hangs; what ran before
//! goes on, and what is read at last is applied. A reload never ends the daemon: files with errors keep their last good version, and
//! everybody who asked is told what became of it. Once the daemon ends, nothing is read any more, and that is the answer.

use std::time::Instant;

use reactor_api::status::ReloadResult;
use reactor_api::verbs::Reload;
use reactor_config::{Finding, Loaded, Style};
use reactor_core::history::Severity;
use reactor_sys::control::Reply;
use reactor_sys::deliver::Configured;
use tracing::{error, info, warn};

use super::Daemon;
use super::configuration::{News, Outcome, refuse};
use super::promoters::needs_systemd;
use super::status::node_name;

/// The answer while the daemon ends.
const STOPPING: &str = "the daemon is stopping: the configuration is not read any more, the next start reads it";

impl Daemon {
    /// Begins to read the configuration again. Who asks while that goes on is told of a second reading that follows.
    pub(super) fn start_reload(&mut self, reply: Option<Reply<Reload>>) {
        if self.is_ending() {
            warn!("{STOPPING}");
            return reply.into_iter().for_each(|reply| refuse(reply, STOPPING));
        }
        if self.configuration.begin(reply) {
            self.service.reloading();
            self.wall.read_again();
        }
    }

    /// The daemon ends: what is still being read is not applied any more.
    pub(super) fn give_up_reload(&mut self) {
        let later = self.configuration.take_next().unwrap_or_default();
        // What is applied has its answer.
        self.finish_reload();
        self.configuration.wait(later);
        self.configuration.give_up(STOPPING);
    }

    /// Something is late.
    pub(super) fn look_at_reload(&mut self, now: Instant) {
        if let Some(why) = self.configuration.look(now) {
            error!("{why}");
            self.tell_systemd();
        }
        if self.configuration.is_answer_due(now) {
            self.finish_reload();
        }
    }

    /// Compares the files on disk with what runs, as often as `snippets-monitoring-interval` says.
    pub(super) fn look_for_drift(&mut self) {
        if !self.is_ending() && self.configuration.look_for_drift() {
            self.look_for_leftovers();
        }
    }

    pub(super) fn reloaded(&mut self, news: News) {
        if self.is_ending() {
            return;
        }
        match news {
            News::Drift(drift) => self.configuration.drifted(drift, self.work.systemd()),
            News::Watched(Some(true)) => {
                info!("a path unit should have reloaded this, and has missed it: reading the configuration");
                self.start_reload(None);
            }
            News::Watched(Some(false)) => {}
            News::Watched(None) => self.configuration.ask_again(),
            News::Read(read) => match *read {
                Ok(loaded) => self.take(loaded),
                Err(error) => {
                    error!(%error, "reading the configuration failed; what ran before goes on");
                    let (findings, report) = (vec![error.to_string()], error.to_string());
                    self.answer_soon(Outcome { result: ReloadResult::Refused, findings, report });
                }
            },
        }
    }

    fn take(&mut self, loaded: Loaded) {
        let old = self.configuration.replace(loaded);
        let loaded = self.configuration.loaded();
        for finding in &loaded.findings {
            log_finding(finding);
        }
        let result = match (loaded.is_clean(), loaded.settings == old.settings) {
            (true, _) => ReloadResult::Ok,
            (false, true) => ReloadResult::Refused,
            (false, false) => ReloadResult::Partly,
        };
        let findings = loaded.findings.iter().map(Finding::one_line).collect();
        let mut outcome = Outcome { result, findings, report: render(loaded) };
        if let Some(why) = self.configuration.needs_restart() {
            warn!("{why}");
            outcome.also(&why);
        }
        let settings = self.configuration.settings();
        self.clients.apply(&settings.daemon);
        self.logs.apply(&settings.log);
        self.apply_settings();
        self.answer_soon(outcome);
    }

    /// Answers when the chores are done.
    fn answer_soon(&mut self, outcome: Outcome) {
        self.configuration.applied(outcome);
        self.chore_done();
    }

    /// Log files and the control socket belong to a reload: its answer waits for them, for a moment.
    pub(super) fn chore_done(&mut self) {
        if self.logs.late().or(self.clients.late()).is_none() {
            self.finish_reload();
        }
    }

    /// A reload is over, if there is one; the next one may begin.
    pub(super) fn finish_reload(&mut self) {
        let Some(mut outcome) = self.configuration.finish() else { return };
        for late in [self.logs.late(), self.clients.late()].into_iter().flatten() {
            warn!("{late}: the disk does not answer");
            outcome.also(late);
        }
        match outcome.result {
            ReloadResult::Ok => {
                info!("the configuration was read and runs");
                self.say(Severity::Info, "the configuration was read and runs".to_owned(), Vec::new());
            }
            result => {
                error!(?result, "the configuration has errors; files with errors keep their last good version");
                let what = "the configuration was read and has errors; files with errors keep their last good version";
                self.say(Severity::Error, what.to_owned(), outcome.findings.clone());
            }
        }
        self.configuration.answer(&outcome);
        self.service.reloaded();
        self.tell_systemd();
        if let Some(next) = self.configuration.take_next() {
            self.start_reload(None);
            self.configuration.wait(next);
        }
    }

    /// Makes what runs what the settings say.
    pub(super) fn apply_settings(&mut self) {
        let settings = self.configuration.settings().clone();
        self.source.set_poll_interval(settings.statistics_poll_interval);
        self.recording.apply(&settings, || node_name(&settings.daemon));
        self.chronicle.apply(&settings.history);
        if self.follows_this_machine {
            self.storage.apply(&settings, &mut self.inbox);
        }
        // Before the core, which may have something to say at once.
        let whole = self.configuration.loaded().is_clean();
        self.notify.apply(&settings, if whole { Configured::Whole } else { Configured::Partly });
        if self.follows_this_machine {
            self.told.apply(&settings, self.notify.written(), &mut self.inbox);
        }
        self.hold_what_may_be_held();
        let now = self.clock.now();
        let mut actions = std::mem::take(&mut self.actions);
        let report = self.core.configure(now, &settings, &mut actions);
        self.chronicle.write(self.core.news());
        // First the connection, if one is needed: what was decided may need it. One that is not needed any more goes last, because
        // files of a promoter that is gone may need it.
        if needs_systemd(&settings) {
            self.follow_units();
        }
        self.carry_out_all(&mut actions);
        self.follow_units();
        self.actions = actions;
        self.work.find_unconfigured(self.configuration.loaded());
        self.look_for_leftovers();
        self.system.check(self.configuration.loaded());
        self.core.set_follow(Some(self.clients.wants()));
        self.servers.reconcile(self.core.instances(), || self.clients.watch());
        info!(
            started = report.started.len(),
            kept = report.kept.len(),
            changed = report.changed.len(),
            stopped = report.stopped.len(),
            "plugins configured"
        );
        self.log_notes();
    }
}

/// A finding as one line of the log.
pub(crate) fn log_finding(finding: &Finding) {
    match finding.severity {
        reactor_config::Severity::Error => error!("{}", finding.one_line()),
        reactor_config::Severity::Warning => warn!("{}", finding.one_line()),
        reactor_config::Severity::Note => info!("{}", finding.one_line()),
    }
}

/// All findings for people: with the lines of the files and carets.
pub(crate) fn render(loaded: &Loaded) -> String {
    loaded.findings.iter().map(|finding| finding.render(Style::Plain)).collect::<Vec<_>>().join("\n\n")
}
