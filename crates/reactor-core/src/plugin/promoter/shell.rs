//! `runner = "shell"`: commands in order, where there is no systemd. What holds is what we did, and DRBD's role.
//!
//! The first start command that fails ends the start; a stop command that fails does not keep the others from being run.
//!
//! ```text
//!  Off ── the first start command runs ──▶ Up ── the next one ──▶ Up ── the last one has ended ──▶ On
//!  Up ── one failed ──▶ Failed
//!  Failed ── the first start command runs ──▶ Up
//!  Stopped ── the first start command runs ──▶ Up
//!
//!  On ── the first stop command runs ──▶ Down ── the next one ──▶ Down ── the last one has ended ──▶ Stopped ── Secondary ──▶ Off
//!  Off ── Primary, and not by us ──▶ Down
//!  Up ── a stop is wanted, and the command that ran has ended ──▶ Down
//!  Failed ── what has started is stopped ──▶ Down
//!  Stopped ── DRBD says Primary all the same ──▶ Down
//!
//!  Off ── there are no start commands ──▶ On
//!  Failed ── there are no start commands ──▶ On
//!  Stopped ── there are no start commands ──▶ On
//!  Off ── there are no stop commands ──▶ Stopped ── there are no stop commands ──▶ Stopped
//!  Up ── there are no stop commands ──▶ Stopped
//!  On ── there are no stop commands ──▶ Stopped
//!  Failed ── there are no stop commands ──▶ Stopped
//! ```

use std::time::Duration;

use crate::action::{Call, HandlerEnd, HandlerRun, Reason};
use crate::ids::ActionId;
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::settings::promoter::{PromotedResource, StartEntry};
use crate::settings::umh::HandlerStdin;

use super::course::{Course, Transitions};
use super::delay::seconds;
use super::machine::Machine;
use super::plan::{Decision, StopCause, Verdict};
use super::services::Services;
use super::timers::Timer;
use super::view;

/// A command is ended after this.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// Bytes kept of the output of a command.
const OUTPUT: usize = 16 * 1024;

/// Where the commands are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shell {
    course: Course<Phase>,
    /// What did not go well with the last stop.
    problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// None has run.
    Off,
    /// A start command runs.
    Up {
        next: usize,
        running: ActionId,
        /// A stop is wanted: it follows when the command has ended.
        then_stop: bool,
    },
    /// The start commands have run.
    On,
    /// A start command failed.
    Failed,
    /// A stop command runs.
    Down { next: usize, running: ActionId },
    /// The stop commands have run. Where this node stays Primary all the same, they did not help.
    Stopped,
}

impl Transitions for Phase {
    fn may_become(&self, next: &Self) -> bool {
        use Phase::{Down, Failed, Off, On, Stopped, Up};
        matches!(
            (self, next),
            (Off | Failed | Stopped, Up { .. } | On)
                | (Off | On | Failed | Stopped, Down { .. } | Stopped)
                | (Stopped, Off)
                | (Up { .. }, Up { .. } | On | Failed | Down { .. } | Stopped)
                | (Down { .. }, Down { .. } | Stopped)
        )
    }
}

impl Default for Shell {
    fn default() -> Self {
        Self { course: Course::begin(Phase::Off), problem: None }
    }
}

impl Shell {
    /// What holds.
    pub(super) fn services(&self, primary: bool) -> Services {
        match self.course.phase() {
            // Primary without our doing: we were restarted while it ran.
            Phase::Off if primary => Services::On,
            Phase::Stopped if primary => Services::Half,
            Phase::Off | Phase::Stopped => Services::Off,
            Phase::Up { .. } => Services::Starting,
            Phase::On => Services::On,
            Phase::Failed => Services::Half,
            Phase::Down { .. } => Services::Stopping,
        }
    }

    /// Looks at DRBD's role. `true` = this node is Primary because of our start commands, though our stop commands have run.
    pub(super) fn observe(&mut self, primary: bool) -> bool {
        let has_stopped = *self.course.phase() == Phase::Stopped;
        if has_stopped && !primary {
            self.course.enter(Phase::Off);
            self.problem = None;
        }
        has_stopped && primary
    }

    /// The same for a machine that is built anew: a command that was never run is one that failed.
    pub(super) fn after_a_panic(mut self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        if let Phase::Up { running, .. } | Phase::Down { running, .. } = self.course.phase()
            && !is_sent(*running)
        {
            self.course = Course::begin(Phase::Failed);
        }
        self
    }

    /// A stop is wanted while a start command runs.
    fn stop_after_this_command(&mut self) {
        self.course.update(|phase| match phase {
            Phase::Up { then_stop, .. } => *then_stop = true,
            Phase::Off | Phase::On | Phase::Failed | Phase::Down { .. } | Phase::Stopped => {}
        });
    }

    /// What a person should know.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether this is the command that runs.
    pub(super) fn is_running(&self, id: ActionId) -> bool {
        matches!(self.course.phase(), Phase::Up { running, .. } | Phase::Down { running, .. } if *running == id)
    }
}

fn start_commands(settings: &PromotedResource) -> Vec<&str> {
    let mut commands = Vec::new();
    for entry in &settings.start {
        match &entry.what {
            StartEntry::Unit(command) => commands.push(command.as_str()),
            // The configuration makes none of these for the shell runner.
            StartEntry::Ocf { .. } | StartEntry::Command { .. } => {}
        }
    }
    commands
}

/// `stop`, or `start` in reverse order.
fn stop_commands(settings: &PromotedResource) -> Vec<&str> {
    if settings.stop.is_empty() {
        start_commands(settings).into_iter().rev().collect()
    } else {
        settings.stop.iter().map(String::as_str).collect()
    }
}

impl Machine {
    pub(super) fn carry_out_by_shell(&mut self, cx: &mut Context<'_>, decision: Decision) {
        let Some(shell) = &mut self.shell else { return };
        let repeats = match (&decision.verdict, shell.course.phase()) {
            (Verdict::Start, Phase::Stopped)
            | (Verdict::Stop(_), Phase::Off | Phase::On | Phase::Failed | Phase::Stopped) => {
                self.stops.wait_for_commands(cx.now)
            }
            _ => None,
        };
        if let Some(until) = repeats {
            let wait = seconds(until.since(cx.now));
            self.standing.also_because(Reason(format!("the stop commands have run a moment ago: next in {wait}")));
            return self.timers.set(Timer::StopBackOff, until);
        }
        match (decision.verdict, shell.course.phase()) {
            (Verdict::Start, Phase::Off | Phase::Failed | Phase::Stopped) => {
                let since = self.levels.since();
                self.whereabouts.start_is_asked(cx.now, since.eligible, since.free);
                self.tries.started(cx.now, &self.settings);
                self.history.decided(cx.now, None, "run the start commands".to_owned(), decision.because.clone());
                self.next_start(cx, 0, decision.because);
            }
            (Verdict::Stop(_), Phase::Up { .. }) => shell.stop_after_this_command(),
            (Verdict::Stop(_), Phase::Stopped) => {
                self.shell_problem(cx, "the stop commands have run, and DRBD says Primary all the same");
                self.stop_by_shell(cx, decision.because);
            }
            (Verdict::Stop(cause), Phase::Off | Phase::On | Phase::Failed) => {
                if let StopCause::Failback(node) = cause {
                    self.failback.gave(cx.now, &node);
                }
                self.stop_by_shell(cx, decision.because);
            }
            _ => {}
        }
    }

    /// Something did not go well with a stop: said once, and shown until it is over.
    fn shell_problem(&mut self, cx: &mut Context<'_>, text: &str) {
        let Some(shell) = &mut self.shell else { return };
        if shell.problem.replace(text.to_owned()).is_none() {
            self.note(
                cx,
                NoteLevel::Warn,
                format!("{}: {text}; they are run again, with longer and longer pauses", self.name),
            );
        }
    }

    /// Runs the stop commands, whatever holds.
    pub(super) fn stop_by_shell(&mut self, cx: &mut Context<'_>, because: Vec<Reason>) {
        self.tries.counts.stops += 1;
        self.stops.commands_run(cx.now);
        self.failures.we_stop();
        self.history.decided(cx.now, None, "run the stop commands".to_owned(), because.clone());
        self.next_stop(cx, 0, because);
    }

    fn next_start(&mut self, cx: &mut Context<'_>, next: usize, because: Vec<Reason>) {
        let command = start_commands(&self.settings).get(next).map(|command| (*command).to_owned());
        let phase = match command {
            Some(command) => {
                let running = self.run(cx, "start", next, command, because);
                Phase::Up { next: next + 1, running, then_stop: false }
            }
            None => {
                self.tries.succeeded();
                Phase::On
            }
        };
        if let Some(shell) = &mut self.shell {
            shell.course.enter(phase);
        }
    }

    fn next_stop(&mut self, cx: &mut Context<'_>, next: usize, because: Vec<Reason>) {
        let command = stop_commands(&self.settings).get(next).map(|command| (*command).to_owned());
        let phase = match command {
            Some(command) => {
                let running = self.run(cx, "stop", next, command, because);
                Phase::Down { next: next + 1, running }
            }
            None => Phase::Stopped,
        };
        if phase == Phase::Stopped {
            self.failures.forget_leaving();
            // DRBD's word that it is Secondary ends the pause; it may be on its way.
            self.stops.did_not_help(cx.now);
        }
        if let Some(shell) = &mut self.shell {
            shell.course.enter(phase);
        }
    }

    fn run(&self, cx: &mut Context<'_>, what: &str, at: usize, command: String, because: Vec<Reason>) -> ActionId {
        let env = [
            ("DRBD_RES_NAME", self.name.as_str()),
            ("HOME", "/"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("TERM", "Linux"),
        ];
        let run = HandlerRun {
            rule: format!("promoter {what} #{}", at + 1),
            resource: self.name.clone(),
            command,
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            stdin: HandlerStdin::Null,
            document: None,
            timeout: TIMEOUT,
            max_output_bytes: OUTPUT,
            ask: None,
        };
        cx.call(because, Call::Handler(Box::new(run)))
    }

    /// A command ended.
    pub(super) fn shell_done(&mut self, cx: &mut Context<'_>, end: &HandlerEnd) {
        let Some(shell) = &self.shell else { return };
        let ok = *end == HandlerEnd::Exited(0);
        match shell.course.phase().clone() {
            Phase::Up { then_stop: true, .. } => {
                let because = vec![Reason("a stop was wanted while the start commands ran".to_owned())];
                self.stop_by_shell(cx, because);
            }
            Phase::Up { next, .. } if ok => {
                let because = vec![Reason(format!("start command {next} ended with exit code 0"))];
                self.next_start(cx, next, because);
            }
            Phase::Up { next, .. } => {
                let why = format!("start command {next} failed: {end:?}");
                if let Some(shell) = &mut self.shell {
                    shell.course.enter(Phase::Failed);
                }
                if cx.node.resource(self.name.as_str()).is_some_and(view::is_primary) {
                    self.start_failed(cx, None, why);
                } else {
                    self.tries.lost_race(cx.now, &self.settings);
                    self.leave(cx.now, vec![why]);
                }
            }
            Phase::Down { next, .. } => {
                let how = if ok { "ended with exit code 0".to_owned() } else { format!("failed: {end:?}") };
                if !ok {
                    self.shell_problem(cx, &format!("stop command {next} {how}"));
                }
                self.next_stop(cx, next, vec![Reason(format!("stop command {next} {how}"))]);
            }
            Phase::Off | Phase::On | Phase::Failed | Phase::Stopped => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_what_is_allowed() {
        let up = Phase::Up { next: 1, running: ActionId(1), then_stop: false };
        let down = Phase::Down { next: 1, running: ActionId(2) };
        let all = [Phase::Off, up, Phase::On, Phase::Failed, down, Phase::Stopped];
        super::super::course::tests::check_drawing(include_str!("shell.rs"), &all);
    }
}
